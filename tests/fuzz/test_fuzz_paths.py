"""Hostile paths: whatever a client sends, one name inside the root is meant or nothing is touched."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.files.api import WriteMode
from storage.files.confined import Openat2, Walk
from storage.files.errors import InvalidPath, NameTooLong, StorageError
from storage.files.local import LocalFilesystem
from storage.files.path import MAX_NAME_BYTES, MAX_PATH_BYTES, TEMP_PREFIX, VirtualPath
from storage.files.workspace import Workspace
from tests.support.trees import table

DOTS = [".", "..", "...", "..;", ". .", ".. ", "%2e%2e", "%252e%252e", "..%2f", "..\\", "\uff0e\uff0e", "\u2024\u2024"]
SLASHES = ["/", "//", "/./", "\\", "%2f", "%5c", "\u2215", "\u2044", "\uff0f", "/\0/", "/\r\n/"]
PLACES = ["etc/passwd", "proc/self/root", "dev/null", "secret", "outside", "link", "file", "d", "root", "~", "*"]
ODD = [
    "\0",
    "\n",
    "\x1b[2J",
    "\x7f",
    "\u202e",
    "\ufeff",
    "\ud800",
    "e\u0301",
    "👩‍🚀",
    "A" * 256,
    "é" * 128,
    TEMP_PREFIX + "x",
]

segments = st.one_of(st.sampled_from(DOTS + PLACES + ODD), st.text(max_size=6))
hostile = st.builds(
    lambda head, parts, tail: head + "".join(slash + part for slash, part in parts) + tail,
    st.sampled_from(["", "/", "//", "C:", "~/", "file://", "\\\\?\\", "../" * 40]),
    st.lists(st.tuples(st.sampled_from(SLASHES), segments), max_size=12),
    st.sampled_from(["", "/", "/.", "/..", "\0", "::$DATA", ";x", "?x", "#x"]),
)
raw = st.one_of(
    hostile, hostile.map(lambda text: os.fsencode(text.encode("utf-8", "surrogatepass"))), st.binary(max_size=60)
)


@settings(max_examples=1500, deadline=None)
@given(raw)
def test_a_path_is_normal_or_refused(text: str | bytes) -> None:
    """Parse answers a path of plain names, whose text parses to itself, or InvalidPath; nothing else."""
    try:
        path = VirtualPath.parse(text)
    except InvalidPath:
        return

    assert VirtualPath.parse(str(path)) == path == VirtualPath.parse(str(path).encode())
    assert len(str(path).encode()) <= MAX_PATH_BYTES
    for name in path.names:
        assert name not in {"", ".", ".."}
        assert not set(name) & {"/", "\0", "\n", "\r", "\x7f"}
        assert 0 < len(name.encode()) <= MAX_NAME_BYTES
        assert not name.startswith(TEMP_PREFIX)


@settings(max_examples=500, deadline=None)
@given(hostile, st.lists(st.sampled_from(["a", "b", "é"]), max_size=5))
def test_a_relative_path_stays_in_the_tree(text: str, base: list[str]) -> None:
    """From any working directory, any number of ``..`` ends at the root at most."""
    with suppress(InvalidPath):
        path = VirtualPath.parse(text, base=VirtualPath(tuple(base)))

        assert ".." not in path.names
        assert path.is_within(VirtualPath())
        assert path.parent.joined(path.relative_to(path.parent)) == path


@pytest.fixture(scope="module", params=[Openat2, Walk])
def playground(request: pytest.FixtureRequest):
    """A root with a link out of it, inside a folder whose other content must stay as it is."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        (top / "outside").mkdir()
        (top / "outside/secret").write_bytes(b"secret")
        (top / "secret").write_bytes(b"secret")
        root = top / "root"
        root.mkdir()
        (root / "link").symlink_to("../outside")
        (root / "d").mkdir()
        (root / "file").write_bytes(b"inside")
        yield top, LocalFilesystem(root, resolver=request.param())


def _snapshot(top: Path) -> list[tuple[str, int, int]]:
    places = [top / "outside", top / "outside/secret", top / "secret", Path("/etc/passwd")]
    facts = [(str(place), place.stat().st_mtime_ns, place.stat().st_size) for place in places]
    return [*facts, *((str(entry), 0, 0) for entry in sorted(top.iterdir()))]


@settings(max_examples=1200, deadline=None)
@given(raw)
def test_no_verb_leaves_the_root(playground: tuple[Path, LocalFilesystem], text: str | bytes) -> None:
    """Every verb of a session on a hostile path works inside the root or fails; outside nothing changes."""
    top, filesystem = playground
    before = _snapshot(top)
    session = Workspace(table({"/": "full"}, {"/": filesystem}))
    try:
        path = VirtualPath.parse(text)
    except InvalidPath:
        path = VirtualPath((os.fsdecode(text),))  # a front end that forgot to parse must not get out either
    with suppress(StorageError), session.open_reader(path) as reader:
        assert reader.read_at(0, 100) != b"secret"
    with suppress(StorageError), session.open_writer(path, WriteMode.REPLACE) as upload:
        upload.write_at(0, b"written")
        upload.commit()
    for verb in (
        lambda: session.stat(path),
        lambda: [entry.name for entry in session.scan(path)],
        lambda: session.mkdir(path),
        lambda: session.set_times(path, 10**18, 10**18),
        lambda: session.truncate(path, 3),
        lambda: session.rename(path, VirtualPath.parse("/moved"), replace=True),
        lambda: session.rename(VirtualPath.parse("/moved"), path, replace=True),
        lambda: session.remove_tree(path),
    ):
        with suppress(StorageError):
            verb()

    assert _snapshot(top) == before
    session.end("done")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"/\xff", InvalidPath),
        ("/a\0b", InvalidPath),
        ("/a\nb", InvalidPath),
        ("/\ud800", InvalidPath),
        (f"/{TEMP_PREFIX}x", InvalidPath),
        ("/" + "a" * 256, NameTooLong),
        ("/" + "é" * 128, NameTooLong),
        ("/a" * 2049, NameTooLong),
    ],
)
def test_what_is_refused_is_named(text: str | bytes, error: type[StorageError]) -> None:
    """Names that cannot be kept are refused with the error that says why."""
    with pytest.raises(error):
        VirtualPath.parse(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("", "/"),
        (".", "/"),
        ("/..", "/"),
        ("/a/../..//b/./c/", "/b/c"),
        ("a", "/a"),
        ("/e\u0301", "/\u00e9"),
        ("/%2e%2e/%2f", "/%2e%2e/%2f"),
        ("/" + quote("ü"), "/%C3%BC"),
        ("/a\\..\\b", "/a\\..\\b"),
        ("/" + "a" * 255, "/" + "a" * 255),
    ],
)
def test_what_is_kept_is_plain(text: str, plain: str) -> None:
    """Dot segments are resolved, spellings composed, and nothing is decoded twice."""
    assert str(VirtualPath.parse(text)) == plain


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0"])
def test_child_takes_one_name(name: str) -> None:
    """Child refuses what is no single name."""
    with pytest.raises(InvalidPath):
        VirtualPath().child(name)


def test_paths_relate() -> None:
    """within, relative_to and parent agree, and say when two paths have nothing to do with each other."""
    a, b = VirtualPath.parse("/a"), VirtualPath.parse("/ab")

    assert not b.is_within(a)
    assert VirtualPath().parent == VirtualPath()
    assert VirtualPath().name == ""
    with pytest.raises(ValueError, match="not within"):
        b.relative_to(a)
