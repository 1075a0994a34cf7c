"""FilesystemContract: what every storage backend must do. Inherit it and provide the ``fs`` fixture.

    class TestMine(FilesystemContract):
        @pytest.fixture
        def fs(self) -> Filesystem:
            return MyFilesystem(...)          # empty, for this test alone

Tests that need a Capability pass over backends without it; none asks for a backend's name.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.files.api import Capability, Filesystem, Kind, Linker, Reader, Stat, WriteMode, Writer
from storage.files.contract_uploads import UploadContract, get, names, put
from storage.files.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    InvalidPath,
    IsADirectory,
    NotADirectory,
    NotFound,
    PermissionDenied,
    StorageError,
)
from storage.files.path import TEMP_PREFIX, VirtualPath

__all__ = ["FilesystemContract", "get", "names", "put"]

P = VirtualPath.parse
ROOT = VirtualPath()
MISSING = (NotFound, NotADirectory)


class FilesystemContract(UploadContract):
    """The suite."""

    def test_the_root_is_an_empty_directory(self, fs: Filesystem) -> None:
        """A new backend has a root and nothing in it."""
        assert fs.stat(ROOT).is_directory
        assert names(fs, "/") == set()

    def test_handles_have_the_promised_shape(self, fs: Filesystem) -> None:
        """Backend, reader and writer have every member of their protocols."""
        assert isinstance(fs, Filesystem)
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            assert isinstance(writer, Writer)
            writer.commit()
        with fs.open_reader(P("/a")) as reader:
            assert isinstance(reader, Reader)

    def test_facts_of_a_file(self, fs: Filesystem) -> None:
        """A file's size, kind and times are told, by its name, its entry and its reader alike."""
        committed = put(fs, "/a", b"12345")
        entry = next(iter(fs.scan(ROOT)))
        with fs.open_reader(P("/a")) as reader:
            opened = reader.stat()

        assert committed.kind is Kind.FILE
        assert committed.size == 5
        assert committed.modified_ns > 1_600_000_000_000_000_000
        assert _lasting(fs.stat(P("/a"))) == _lasting(committed) == _lasting(entry.stat) == _lasting(opened)
        assert (entry.name, entry.link) == ("a", False)

    def test_a_version_changes_with_every_content(self, fs: Filesystem) -> None:
        """Two contents of the same length, written one right after the other, have different versions."""
        versions = {put(fs, "/a", bytes([number])).version for number in range(50)}

        assert len(versions) == 50

    def test_a_version_is_safe_in_an_etag(self, fs: Filesystem) -> None:
        """A version has only characters that RFC 9110 allows in an entity tag."""
        assert all("!" <= letter <= "~" and letter != '"' for letter in put(fs, "/a", b"").version)

    def test_identities_tell_files_apart_and_follow_a_rename(self, fs: Filesystem) -> None:
        """Two files differ in identity; a rename keeps it."""
        first, second = put(fs, "/a", b"").identity, put(fs, "/b", b"").identity
        fs.rename(P("/a"), P("/c"), replace=False)

        assert first != second
        assert fs.stat(P("/c")).identity == first

    @pytest.mark.parametrize(
        "name",
        ["with space", "'quotes\"", "Übung", "日本語", "👩‍🚀", "-rf", "a\\b", "*?[", "#%25", "x" * 255, "é" * 127],
    )
    def test_names_come_back_as_given(self, fs: Filesystem, name: str) -> None:
        """Names of any script, and with characters that shells or URLs treat specially, are kept."""
        put(fs, f"/{name}", b"1")

        assert names(fs, "/") == {name}
        assert get(fs, f"/{name}") == b"1"

    def test_composed_and_decomposed_names_are_one(self, fs: Filesystem) -> None:
        """A name sent decomposed (macOS) and composed (others) is the same file."""
        put(fs, "/e\u0301", b"1")
        put(fs, "/\u00e9", b"2")

        assert names(fs, "/") == {"\u00e9"}
        assert get(fs, "/e\u0301") == b"2"

    @pytest.mark.parametrize("verb", ["stat", "scan", "open_reader", "remove", "rmdir", "usage"])
    @pytest.mark.parametrize("path", ["/missing", "/missing/below", "/file/below"])
    def test_what_is_not_there(self, fs: Filesystem, verb: str, path: str) -> None:
        """A verb on nothing answers NotFound, or NotADirectory below a file."""
        put(fs, "/file", b"")

        with pytest.raises(MISSING):
            getattr(fs, verb)(P(path))

    @pytest.mark.parametrize("path", ["/missing/a", "/file/a"])
    def test_nothing_is_made_without_a_parent(self, fs: Filesystem, path: str) -> None:
        """Files and directories are made only in directories that exist."""
        put(fs, "/file", b"")

        for make in (fs.mkdir, lambda place: fs.open_writer(place, WriteMode.REPLACE)):
            with pytest.raises(MISSING):
                make(P(path))

    def test_files_and_directories_are_not_mixed_up(self, fs: Filesystem) -> None:
        """Verbs for files refuse directories, and the other way round."""
        fs.mkdir(P("/dir"))
        put(fs, "/file", b"")
        for_files: list[Callable[[VirtualPath], object]] = [
            fs.open_reader,
            fs.remove,
            lambda place: fs.open_writer(place, WriteMode.REPLACE),
            lambda place: fs.truncate(place, 0),
        ]

        for verb in for_files:
            for path in ("/dir", "/"):
                with pytest.raises((IsADirectory, AlreadyExists)):
                    verb(P(path))
        for other in (fs.scan, fs.rmdir):
            with pytest.raises(NotADirectory):
                other(P("/file"))

    def test_mkdir_and_rmdir(self, fs: Filesystem) -> None:
        """A directory is made once, shows in its parent, and goes when it is empty."""
        fs.mkdir(P("/a"))
        fs.mkdir(P("/a/b"))

        with pytest.raises(AlreadyExists):
            fs.mkdir(P("/a"))
        with pytest.raises(DirectoryNotEmpty):
            fs.rmdir(P("/a"))
        fs.rmdir(P("/a/b"))
        fs.rmdir(P("/a"))
        assert names(fs, "/") == set()

    def test_the_root_stays(self, fs: Filesystem) -> None:
        """The root can be neither made, removed, moved nor replaced."""
        fs.mkdir(P("/a"))
        attempts: list[Callable[[], object]] = [
            lambda: fs.mkdir(ROOT),
            lambda: fs.rmdir(ROOT),
            lambda: fs.remove(ROOT),
            lambda: fs.rename(ROOT, P("/a/b"), replace=True),
            lambda: fs.rename(P("/a"), ROOT, replace=True),
            lambda: fs.open_writer(ROOT, WriteMode.REPLACE),
        ]

        for attempt in attempts:
            with pytest.raises((AlreadyExists, IsADirectory, PermissionDenied)):
                attempt()

    def test_remove(self, fs: Filesystem) -> None:
        """A removed file is gone; an open reader keeps its bytes."""
        put(fs, "/a", b"old")
        with fs.open_reader(P("/a")) as reader:
            fs.remove(P("/a"))

            assert names(fs, "/") == set()
            assert reader.read_at(0, 10) == b"old"

    def test_rename_moves_a_tree(self, fs: Filesystem) -> None:
        """A directory moves with all in it."""
        fs.mkdir(P("/a"))
        put(fs, "/a/f", b"1")
        fs.mkdir(P("/b"))
        fs.rename(P("/a"), P("/b/c"), replace=False)

        assert names(fs, "/") == {"b"}
        assert get(fs, "/b/c/f") == b"1"

    def test_rename_replaces_only_when_told(self, fs: Filesystem) -> None:
        """Without ``replace`` whatever is at the target stays, of any kind."""
        put(fs, "/a", b"a")
        put(fs, "/b", b"b")
        fs.mkdir(P("/dir"))

        for target in ("/b", "/dir", "/a"):
            with pytest.raises(AlreadyExists):
                fs.rename(P("/a"), P(target), replace=False)
        fs.rename(P("/a"), P("/b"), replace=True)
        assert names(fs, "/") == {"b", "dir"}
        assert get(fs, "/b") == b"a"

    def test_rename_keeps_kinds_apart(self, fs: Filesystem) -> None:
        """A file does not replace a directory, a directory no file and no full directory, but an empty one."""
        put(fs, "/file", b"")
        fs.mkdir(P("/full"))
        put(fs, "/full/x", b"")
        fs.mkdir(P("/dir"))

        for source, target, error in [
            ("/file", "/dir", IsADirectory),
            ("/dir", "/file", NotADirectory),
            ("/dir", "/full", DirectoryNotEmpty),
        ]:
            with pytest.raises(error):
                fs.rename(P(source), P(target), replace=True)
        fs.rename(P("/full"), P("/dir"), replace=True)
        assert names(fs, "/dir") == {"x"}

    def test_a_directory_does_not_move_into_itself(self, fs: Filesystem) -> None:
        """Moving a directory below itself is refused."""
        fs.mkdir(P("/a"))

        with pytest.raises(InvalidPath):
            fs.rename(P("/a"), P("/a/b"), replace=True)

    def test_rename_of_or_to_nothing(self, fs: Filesystem) -> None:
        """A missing source, or a missing directory at the target, is NotFound and changes nothing."""
        put(fs, "/a", b"")

        for source, target in [("/missing", "/b"), ("/a", "/missing/b")]:
            with pytest.raises(NotFound):
                fs.rename(P(source), P(target), replace=True)
        assert names(fs, "/") == {"a"}

    def test_set_times(self, fs: Filesystem) -> None:
        """Times are set to the nanosecond that the backend can hold; None leaves one as it is."""
        if Capability.SET_TIMES not in fs.capabilities:
            return
        put(fs, "/a", b"")
        fs.mkdir(P("/d"))
        for path in ("/a", "/d"):
            fs.set_times(P(path), 1_000_000_000_000_000_000, 1_100_000_000_000_000_000)
            fs.set_times(P(path), 1_200_000_000_000_000_000, None)

            assert fs.stat(P(path)).modified_ns == 1_200_000_000_000_000_000
            assert fs.stat(P(path)).accessed_ns == 1_100_000_000_000_000_000

    def test_truncate_of_the_live_file(self, fs: Filesystem) -> None:
        """Truncating cuts, and extends with zeros."""
        put(fs, "/a", b"12345")
        fs.truncate(P("/a"), 2)
        fs.truncate(P("/a"), 4)

        assert get(fs, "/a") == b"12\0\0"

    def test_read_at_the_edges(self, fs: Filesystem) -> None:
        """Reading gives fewer bytes only at the end, and takes memory only for what is there."""
        put(fs, "/a", b"12345")
        with fs.open_reader(P("/a")) as reader:
            assert reader.size == 5
            assert reader.read_at(3, 10) == b"45"
            assert reader.read_at(5, 10) == b""
            assert reader.read_at(10**12, 10) == b""
            assert reader.read_at(0, 2**40) == b"12345"

    def test_a_closed_reader_reads_nothing(self, fs: Filesystem) -> None:
        """Closing twice is fine, reading afterwards is an error and not another file's bytes."""
        put(fs, "/a", b"1")
        reader = fs.open_reader(P("/a"))
        reader.close()
        reader.close()

        with pytest.raises(StorageError):
            reader.read_at(0, 1)

    def test_usage_is_the_sum_of_committed_bytes(self, fs: Filesystem) -> None:
        """Usage counts all files at and below a path, and no upload in flight."""
        fs.mkdir(P("/d"))
        put(fs, "/d/a", b"123")
        put(fs, "/b", b"12345")
        with fs.open_writer(P("/c"), WriteMode.REPLACE) as writer:
            writer.write_at(0, b"x" * 100)

            assert fs.usage(ROOT) == 8
            assert fs.usage(P("/d")) == 3
            assert fs.usage(P("/b")) == 5

    def test_space_adds_up(self, fs: Filesystem) -> None:
        """Used and available bytes fit into the total."""
        space = fs.space()

        assert space.total > 0
        assert 0 <= space.used <= space.total
        assert 0 <= space.available <= space.total

    def test_a_large_directory_is_listed_whole(self, fs: Filesystem) -> None:
        """Every entry is listed once."""
        wanted = {f"f{number}" for number in range(1500)}
        for name in wanted:
            put(fs, f"/{name}", b"")

        listed = [entry.name for entry in fs.scan(ROOT)]
        assert len(listed) == len(wanted)
        assert set(listed) == wanted

    @pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\0b", f"{TEMP_PREFIX}x"])
    def test_a_forged_path_reaches_nothing(self, fs: Filesystem, name: str) -> None:
        """A path that was not made by ``parse`` is refused or finds nothing; it never steps out."""
        forged = VirtualPath((name,))

        for verb in (fs.stat, fs.open_reader, fs.scan, fs.remove, fs.rmdir):
            with pytest.raises((InvalidPath, NotFound)):
                verb(forged)

    # Links -----------------------------------------------------------------------------------------

    def test_a_link_shows_what_it_leads_to(self, fs: Filesystem) -> None:
        """A link inside the root is followed, marked in listings, and removed without its target."""
        if Capability.SYMLINK not in fs.capabilities:
            return
        assert isinstance(fs, Linker)
        fs.mkdir(P("/d"))
        put(fs, "/d/f", b"1")
        fs.symlink(P("/d/f"), P("/d/l"))
        fs.symlink(P("/d"), P("/to-d"))

        assert get(fs, "/to-d/l") == b"1"
        assert fs.read_link(P("/to-d")) == "d"
        assert {entry.name: entry.link for entry in fs.scan(P("/d"))} == {"f": False, "l": True}
        assert fs.is_link(P("/to-d"))
        fs.remove(P("/d/l"))
        fs.rmdir(P("/to-d"))
        assert get(fs, "/d/f") == b"1"
        assert names(fs, "/") == {"d"}

    def test_links_need_a_target_and_a_free_name(self, fs: Filesystem) -> None:
        """A link to nothing is refused, a taken name too, and reading what is no link."""
        if Capability.SYMLINK not in fs.capabilities:
            return
        assert isinstance(fs, Linker)
        put(fs, "/f", b"1")

        with pytest.raises(NotFound):
            fs.symlink(P("/missing"), P("/l"))
        with pytest.raises(AlreadyExists):
            fs.symlink(P("/f"), P("/f"))
        with pytest.raises(InvalidPath):
            fs.read_link(P("/f"))
        assert names(fs, "/") == {"f"}

    def test_uploads_go_through_a_link(self, fs: Filesystem) -> None:
        """Writing to a link writes what it leads to, and the link stays."""
        if Capability.SYMLINK not in fs.capabilities:
            return
        assert isinstance(fs, Linker)
        put(fs, "/f", b"1")
        fs.symlink(P("/f"), P("/l"))
        put(fs, "/l", b"2")

        assert get(fs, "/f") == b"2"
        assert fs.is_link(P("/l"))

    def test_a_hard_link_is_the_same_file(self, fs: Filesystem) -> None:
        """Both names have one identity; directories have no hard links."""
        if Capability.HARD_LINK not in fs.capabilities:
            return
        assert isinstance(fs, Linker)
        put(fs, "/f", b"1")
        fs.mkdir(P("/d"))
        fs.hard_link(P("/f"), P("/d/l"))

        assert fs.stat(P("/f")).identity == fs.stat(P("/d/l")).identity
        assert fs.stat(P("/f")).links == 2
        with pytest.raises(AlreadyExists):
            fs.hard_link(P("/f"), P("/d/l"))
        with pytest.raises(StorageError):
            fs.hard_link(P("/d"), P("/e"))


def _lasting(stat: Stat) -> tuple[object, ...]:
    """All facts but the time of the last reading."""
    return stat.kind, stat.size, stat.modified_ns, stat.version, stat.identity, stat.links
