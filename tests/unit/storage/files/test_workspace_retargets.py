"""Workspace: what an upload in flight replaces after it was renamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.files.api import Filesystem, WriteMode
from storage.files.errors import AlreadyExists, PermissionDenied
from storage.files.local import LocalFilesystem
from storage.files.memory import MemoryFilesystem
from storage.files.workspace import Workspace
from tests.support.trees import P, get, ls, put, table


@pytest.fixture(params=["memory", "local"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Filesystem:
    return MemoryFilesystem() if request.param == "memory" else LocalFilesystem(tmp_path)


def _session(home: Filesystem, rights: str = "full") -> Workspace:
    return Workspace(table({"/": rights}, {"/": home}))


def test_a_new_file_that_is_renamed_over_another_before_its_end_replaces_it(home: Filesystem) -> None:
    """An O_EXCL file renamed before its CLOSE, as sshfs may do it: the bytes must still arrive."""
    session = _session(home)
    put(session, "/target", b"old")
    with session.open_writer(P("/target.tmp"), WriteMode.CREATE) as upload:
        upload.write_at(0, b"new")
        session.rename(P("/target.tmp"), P("/target"), replace=True)
        upload.commit()

    assert get(session, "/target") == b"new"
    assert ls(session, "/") == ["target"]


def test_a_new_file_that_is_renamed_to_a_free_name_replaces_nobody(home: Filesystem) -> None:
    """A rename that may not replace keeps the promise until the end: what somebody else put there stays."""
    session = _session(home)
    with session.open_writer(P("/a"), WriteMode.CREATE) as upload:
        upload.write_at(0, b"mine")
        session.rename(P("/a"), P("/b"), replace=False)
        put(_session(home), "/b", b"theirs")
        with pytest.raises(AlreadyExists):
            upload.commit()

    assert get(session, "/b") == b"theirs"


def test_a_renamed_upload_gets_no_right_to_replace_where_it_goes(home: Filesystem) -> None:
    """Started where overwriting is allowed, moved to where it is not: a file that came there meanwhile stays."""
    home.mkdir(P("/in"))
    rights = {"/": "full", "/in": "list read create"}
    session = Workspace(table(rights, {"/": home}))
    with session.open_writer(P("/a"), WriteMode.REPLACE) as upload:
        upload.write_at(0, b"mine")
        session.rename(P("/a"), P("/in/a"), replace=True)
        put(_session(home), "/in/a", b"theirs")
        with pytest.raises((AlreadyExists, PermissionDenied)):
            upload.commit()

    assert get(session, "/in/a") == b"theirs"
