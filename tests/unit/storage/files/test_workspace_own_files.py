"""Workspace: what a session made itself in a drop box, and what only looks like it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.files.api import WriteMode
from storage.files.errors import AlreadyExists, PermissionDenied
from storage.files.local import LocalFilesystem
from storage.files.workspace import Workspace
from tests.support.trees import P, put, table


def _drop_box(home: LocalFilesystem) -> Workspace:
    return Workspace(table({"/": "upload-only"}, {"/": home}))


def _reused(folder: Path, name: str, inode: int) -> bool:
    return (folder / name).stat().st_ino == inode


def test_a_file_of_somebody_else_on_a_reused_inode_is_not_own(tmp_path: Path) -> None:
    """The folder's owner takes a file away, another user sends one of the same name: its bytes stay unread."""
    home = LocalFilesystem(tmp_path)
    ada, bob = _drop_box(home), _drop_box(home)
    for attempt in range(50):
        name = f"report-{attempt}"
        put(ada, f"/{name}", b"from ada")
        inode = (tmp_path / name).stat().st_ino
        (tmp_path / name).unlink()
        put(bob, f"/{name}", b"from bob", WriteMode.CREATE)
        if _reused(tmp_path, name, inode):
            break
    else:
        pytest.skip("this file system does not give an inode's number to the next file")

    with pytest.raises(PermissionDenied):
        ada.stat(P(f"/{name}"))
    with pytest.raises(PermissionDenied):
        ada.open_writer(P(f"/{name}"), WriteMode.IN_PLACE)
    with pytest.raises(PermissionDenied):
        ada.rename(P(f"/{name}"), P("/taken"), replace=False)
    with pytest.raises(PermissionDenied):
        ada.set_times(P(f"/{name}"), 10**18, None)
    assert (tmp_path / name).read_bytes() == b"from bob"


def test_what_the_session_does_to_its_own_file_leaves_it_its_own(tmp_path: Path) -> None:
    """Times, size, name, bytes in place: after each of them the session may still go on with its file."""
    session = _drop_box(LocalFilesystem(tmp_path))
    put(session, "/a", b"12345")
    session.set_times(P("/a"), 10**18, None)
    session.truncate(P("/a"), 4)
    session.rename(P("/a"), P("/b"), replace=False)
    with session.open_writer(P("/b"), WriteMode.IN_PLACE) as upload:
        upload.write_at(0, b"x")
        upload.commit()
    session.mkdir(P("/d"))
    session.rename(P("/b"), P("/d/c"), replace=False)
    session.rename(P("/d"), P("/e"), replace=False)
    put(session, "/e/c", b"again")

    assert session.stat(P("/e/c")).size == 5
    assert (tmp_path / "e" / "c").read_bytes() == b"again"


def test_an_own_file_that_somebody_else_changed_is_own_no_more(tmp_path: Path) -> None:
    """A file that was changed in place behind the session's back is the one who changed it's."""
    session = _drop_box(LocalFilesystem(tmp_path))
    put(session, "/a", b"12345")
    (tmp_path / "a").write_bytes(b"other")
    os.utime(tmp_path / "a", ns=(1, 1))

    with pytest.raises((PermissionDenied, AlreadyExists)):
        session.open_writer(P("/a"), WriteMode.REPLACE)
