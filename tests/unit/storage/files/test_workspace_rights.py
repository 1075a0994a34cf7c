"""Workspace: which right each verb needs, prefixes, read-only sessions, and mounts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.files.api import Kind, WriteMode
from storage.files.errors import (
    AlreadyExists,
    CrossesMounts,
    IsADirectory,
    NotADirectory,
    NotFound,
    PermissionDenied,
    StorageUnavailable,
    Unsupported,
)
from storage.files.memory import MemoryFilesystem
from storage.files.permissions import PRESETS, Right
from storage.files.workspace import Workspace
from tests.support.trees import ROOT, P, get, ls, put, table


def _site(rights: str) -> tuple[Workspace, Workspace]:
    """An admin's workspace and one with ``rights``, over the same home with a file, a directory and a full one."""
    home = MemoryFilesystem()
    admin = Workspace(table({"/": "full"}, {"/": home}))
    put(admin, "/f", b"12345")
    admin.mkdir(P("/d"))
    admin.mkdir(P("/full"))
    put(admin, "/full/x", b"1")
    return admin, Workspace(table({"/": rights}, {"/": home}))


VERBS: list[tuple[str, Callable[[Workspace], object]]] = [
    ("read", lambda w: get(w, "/f")),
    ("create", lambda w: put(w, "/new", b"")),
    ("create", lambda w: put(w, "/new", b"", WriteMode.CREATE)),
    ("create", lambda w: put(w, "/new", b"", WriteMode.RESUME)),
    ("create", lambda w: put(w, "/new", b"", WriteMode.IN_PLACE)),
    ("overwrite", lambda w: put(w, "/f", b"")),
    ("overwrite", lambda w: put(w, "/f", b"", WriteMode.IN_PLACE)),
    ("overwrite", lambda w: w.truncate(P("/f"), 1)),
    ("rename", lambda w: w.rename(P("/f"), P("/g"), replace=False)),
    ("rename", lambda w: w.rename(P("/d"), P("/e"), replace=False)),
    ("rename overwrite", lambda w: w.rename(P("/f"), P("/full/x"), replace=True)),
    ("delete", lambda w: w.remove(P("/f"))),
    ("delete", lambda w: w.rmdir(P("/d"))),
    ("delete", lambda w: w.remove_tree(P("/full"))),
    ("make-directory", lambda w: w.mkdir(P("/new"))),
    ("set-times", lambda w: w.set_times(P("/f"), 1, 1)),
    ("read create", lambda w: w.copy_file(P("/f"), P("/new"), replace=False)),
    ("read overwrite", lambda w: w.copy_file(P("/f"), P("/full/x"), replace=True)),
]


@pytest.mark.parametrize(("right", "verb"), VERBS)
def test_each_verb_needs_its_right(right: str, verb: Callable[[Workspace], object]) -> None:
    """Every verb works with full rights and is refused when one right that it needs is missing."""
    _, everything = _site("full")
    verb(everything)

    for word in right.split():
        _, less = _site(f"full -{word}" if word != "overwrite" else "full -overwrite -append")
        with pytest.raises(PermissionDenied):
            verb(less)


@pytest.mark.parametrize(("right", "verb"), VERBS)
def test_nothing_works_without_rights(right: str, verb: Callable[[Workspace], object]) -> None:
    """With no right at all every verb is refused, and nothing changed."""
    admin, nobody = _site("none")

    with pytest.raises((PermissionDenied, NotFound)):
        verb(nobody)
    assert ls(admin, "/") == ["d", "f", "full"]
    assert get(admin, "/f") == b"12345"


def test_listing_needs_its_right() -> None:
    """Without LIST nothing of others is listed; without CREATE too, listing is refused."""
    _, everything = _site("full")
    _, writer = _site("full -list")
    _, reader = _site("read")

    assert ls(everything, "/full") == ["x"]
    assert ls(writer, "/full") == []
    with pytest.raises(PermissionDenied):
        reader.scan(P("/full"))


def test_append_only_adds_to_the_end() -> None:
    """With APPEND and without OVERWRITE an upload resumes at the end, and touches nothing before it."""
    admin, writer = _site("list append create")
    with writer.open_writer(P("/f"), WriteMode.RESUME) as upload:
        upload.write_at(5, b"67")
        upload.commit()

    assert get(admin, "/f") == b"1234567"
    with writer.open_writer(P("/f"), WriteMode.RESUME) as upload:
        assert upload.fileno() is None
        for attempt in (lambda: upload.write_at(0, b"X"), lambda: upload.truncate(0), lambda: upload.read_at(0, 1)):
            with pytest.raises(PermissionDenied):
                attempt()
    assert get(admin, "/f") == b"1234567"


def test_a_missing_directory_is_not_found_with_the_right() -> None:
    """The right decides first; with it the parent must exist."""
    _, everything = _site("full")

    for verb in (everything.mkdir, lambda path: everything.open_writer(path, WriteMode.REPLACE)):
        with pytest.raises(NotFound):
            verb(P("/missing/new"))


def test_a_read_only_session_only_reads() -> None:
    """read_only narrows every mount to listing and reading, whatever the grants say."""
    home = MemoryFilesystem()
    put(Workspace(table({"/": "full"}, {"/": home})), "/f", b"1")
    session = Workspace(table({"/": "full"}, {"/": home}), read_only=True)

    assert ls(session, "/") == ["f"]
    assert get(session, "/f") == b"1"
    assert session.may(P("/f"), Right.READ)
    assert not session.may(P("/f"), Right.CREATE)
    with pytest.raises(PermissionDenied):
        put(session, "/g", b"")
    with pytest.raises(PermissionDenied):
        session.require(P("/f"), Right.DELETE)


def test_outside_the_prefixes_nothing_is_reachable() -> None:
    """A session with prefixes sees its places and the way to them, and nothing beside it."""
    home = MemoryFilesystem()
    admin = Workspace(table({"/": "full"}, {"/": home}))
    for path in ("/a", "/a/b", "/a/c", "/z"):
        admin.mkdir(P(path))
    put(admin, "/a/b/f", b"1")
    put(admin, "/a/secret", b"2")
    put(admin, "/top", b"3")
    session = Workspace(table({"/": "full"}, {"/": home}), path_prefixes=(P("/a/b"),))

    assert ls(session, "/") == ["a"]
    assert ls(session, "/a") == ["b"]
    assert ls(session, "/a/b") == ["f"]
    put(session, "/a/b/g", b"4")
    for path in ("/a/secret", "/a/c", "/top", "/z", "/z/x"):
        assert not session.exists(P(path))
        for verb in (session.stat, session.scan, session.open_reader, session.remove, session.remove_tree):
            with pytest.raises((NotFound, PermissionDenied)):
                verb(P(path))
    for attempt in (
        lambda: put(session, "/a/new", b""),
        lambda: session.mkdir(P("/new")),
        lambda: session.rename(P("/a/b/f"), P("/a/f"), replace=True),
        lambda: session.rename(P("/a/b/f"), P("/top"), replace=True),
        lambda: session.rename(P("/a"), P("/q"), replace=True),
        lambda: session.rename(P("/a/secret"), P("/a/b/mine"), replace=True),
        lambda: session.copy_file(P("/top"), P("/a/b/mine"), replace=True),
        lambda: session.remove_tree(P("/a")),
        lambda: session.set_times(P("/top"), 1, 1),
        lambda: session.truncate(P("/top"), 0),
    ):
        with pytest.raises((NotFound, PermissionDenied)):
            attempt()
    assert get(admin, "/a/secret") == b"2"
    assert ls(admin, "/") == ["a", "top", "z"]


def test_a_prefix_that_is_not_there_is_not_made_up() -> None:
    """A prefix without a directory behind it is not listed and not found."""
    session = Workspace(table({"/": "full"}), path_prefixes=(P("/missing/x"),))

    assert ls(session, "/") == []
    with pytest.raises(NotFound):
        session.stat(P("/missing"))


def test_a_deep_mount_makes_its_way_visible() -> None:
    """A mount at /a/b shows /a in the root and b in /a, though no backend has /a."""
    shared = MemoryFilesystem()
    session = Workspace(table({"/": "full", "/a/b": "full"}, {"/": MemoryFilesystem(), "/a/b": shared}))
    put(session, "/f", b"1")
    put(session, "/a/b/g", b"2")

    assert ls(session, "/") == ["a", "f"]
    assert ls(session, "/a") == ["b"]
    assert session.stat(P("/a")).kind is Kind.DIRECTORY
    assert [entry.name for entry in shared.scan(ROOT)] == ["g"]
    assert session.place(P("/a/b/g")) == ("tree:/a/b", P("/g"))


def test_without_a_home_there_is_still_a_root() -> None:
    """A user who only has shared folders gets a root that shows them and takes nothing."""
    session = Workspace(table({"/team": "full"}, {"/team": MemoryFilesystem()}))

    assert ls(session, "/") == ["team"]
    assert session.stat(ROOT).is_directory
    assert session.space(ROOT).total == 0
    with pytest.raises(PermissionDenied):
        put(session, "/f", b"")
    with pytest.raises(PermissionDenied):
        session.mkdir(P("/d"))
    with pytest.raises(NotFound):
        session.stat(P("/nothing"))
    with pytest.raises(NotFound):
        session.space(P("/nothing"))


def test_mounts_and_ways_to_them_stay() -> None:
    """A mount point, and what is above one, is neither renamed, removed, replaced nor written as a file."""
    home = MemoryFilesystem()
    session = Workspace(table({"/": "full", "/a/b": "full"}, {"/": home, "/a/b": MemoryFilesystem()}))
    home.mkdir(P("/a"))
    home.mkdir(P("/d"))
    put(session, "/f", b"1")

    for path in ("/", "/a", "/a/b"):
        for attempt in (
            lambda path=path: session.rename(P(path), P("/x"), replace=True),
            lambda path=path: session.rename(P("/d"), P(path), replace=True),
            lambda path=path: session.rmdir(P(path)),
            lambda path=path: session.remove_tree(P(path)),
        ):
            with pytest.raises(PermissionDenied):
                attempt()
        for attempt in (lambda path=path: session.remove(P(path)), lambda path=path: put(session, path, b"")):
            with pytest.raises(IsADirectory):
                attempt()
        with pytest.raises(AlreadyExists):
            session.mkdir(P(path))
        with pytest.raises(IsADirectory):
            session.open_reader(P(path))


def test_a_rename_between_mounts_is_refused() -> None:
    """Moving to another mount is CrossesMounts, and the file stays."""
    session = Workspace(table({"/": "full", "/team": "full"}, {"/": MemoryFilesystem(), "/team": MemoryFilesystem()}))
    put(session, "/f", b"1")

    with pytest.raises(CrossesMounts):
        session.rename(P("/f"), P("/team/f"), replace=True)
    assert get(session, "/f") == b"1"


def test_a_mount_covers_what_is_below_it() -> None:
    """A mount hides the home's own directory of that name."""
    home, shared = MemoryFilesystem(), MemoryFilesystem()
    home.mkdir(P("/team"))
    with home.open_writer(P("/team/hidden"), WriteMode.REPLACE) as writer:
        writer.commit()
    session = Workspace(table({"/": "full", "/team": "full"}, {"/": home, "/team": shared}))

    assert ls(session, "/") == ["team"]
    assert ls(session, "/team") == []


def test_a_mount_without_rights_is_not_shown() -> None:
    """A mount where every right is denied is as if it were not there."""
    session = Workspace(
        table({"/": "full", "/team": "full -full"}, {"/": MemoryFilesystem(), "/team": MemoryFilesystem()})
    )

    assert ls(session, "/") == []
    with pytest.raises(NotFound):
        session.stat(P("/team"))


def test_a_denied_subdirectory_is_not_shown_and_not_reached() -> None:
    """Below a directory without rights nothing is listed, read or removed, also not with the tree around it."""
    home = MemoryFilesystem()
    admin = Workspace(table({"/": "full"}, {"/": home}))
    admin.mkdir(P("/a"))
    admin.mkdir(P("/a/secret"))
    put(admin, "/a/secret/f", b"1")
    session = Workspace(table({"/": "full", "/a/secret": "none"}, {"/": home}))

    assert ls(session, "/a") == []
    for attempt in (
        lambda: session.stat(P("/a/secret/f")),
        lambda: session.remove_tree(P("/a")),
        lambda: session.rename(P("/a"), P("/b"), replace=False),
        lambda: session.rename(P("/a/secret"), P("/b"), replace=False),
    ):
        with pytest.raises((NotFound, PermissionDenied)):
            attempt()
    assert get(admin, "/a/secret/f") == b"1"


def test_a_deeper_rule_opens_a_way_through_a_closed_directory() -> None:
    """With rights only at /a/b, the session finds its way there and sees nothing else."""
    home = MemoryFilesystem()
    admin = Workspace(table({"/": "full"}, {"/": home}))
    for path in ("/a", "/a/b", "/a/c"):
        admin.mkdir(P(path))
    put(admin, "/a/f", b"")
    session = Workspace(table({"/": "none", "/a/b": "full"}, {"/": home}))

    assert ls(session, "/") == ["a"]
    assert ls(session, "/a") == ["b"]
    assert session.stat(P("/a")).is_directory
    assert not session.exists(P("/a/f"))


def test_a_move_must_not_widen_rights() -> None:
    """Moving a file to where the session may do more needs what copying and deleting would need."""
    home = MemoryFilesystem()
    admin = Workspace(table({"/": "full"}, {"/": home}))
    for path in ("/closed", "/open"):
        admin.mkdir(P(path))
    put(admin, "/closed/f", b"secret")
    session = Workspace(table({"/": "full", "/closed": "list rename create"}, {"/": home}))

    with pytest.raises(PermissionDenied):
        session.rename(P("/closed/f"), P("/open/f"), replace=False)
    session.rename(P("/closed/f"), P("/closed/g"), replace=False)
    assert get(admin, "/closed/g") == b"secret"


def test_scanning_a_file_or_nothing() -> None:
    """A listing of a file is NotADirectory, of nothing NotFound, at the call itself."""
    admin, reader = _site("full")

    with pytest.raises(NotADirectory):
        admin.scan(P("/f"))
    with pytest.raises(NotFound):
        reader.scan(P("/missing"))
    _, drop = _site("upload-only")
    with pytest.raises(NotADirectory):
        drop.scan(P("/f"))


def test_links_are_off_unless_the_site_allows_them() -> None:
    """Symbolic and hard links are Unsupported by default, and with a backend that has none."""
    for session in (
        Workspace(table({"/": "full"})),
        Workspace(table({"/": "full"}), allow_symlinks=True, allow_hard_links=True),
    ):
        put(session, "/f", b"")
        for attempt in (
            lambda session=session: session.symlink("f", P("/l")),
            lambda session=session: session.read_link(P("/f")),
            lambda session=session: session.hard_link(P("/f"), P("/l")),
        ):
            with pytest.raises(Unsupported):
                attempt()


class _Broken(MemoryFilesystem):
    """A backend that is down."""

    def stat(self, path):
        raise StorageUnavailable("down")


def test_a_mount_that_is_down_does_not_hide_the_others() -> None:
    """The listing above a failing mount still comes, with the mount in it; using it says unavailable."""
    session = Workspace(table({"/": "full", "/team": "full"}, {"/": MemoryFilesystem(), "/team": _Broken()}))

    assert ls(session, "/") == ["team"]
    with pytest.raises(StorageUnavailable):
        session.stat(P("/team/f"))


def test_presets_by_name_work_in_a_session() -> None:
    """Each preset gives a session exactly its rights."""
    for name, rights in PRESETS.items():
        session = Workspace(table({"/": name}))

        assert {right for right in Right if session.may(P("/f"), right)} == rights
