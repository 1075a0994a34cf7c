"""Workspace: copying files, removing trees, and links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.files import trees
from storage.files.api import Filesystem, WriteMode
from storage.files.errors import (
    AlreadyExists,
    CrossesMounts,
    DirectoryNotEmpty,
    InvalidPath,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    Unsupported,
)
from storage.files.local import LocalFilesystem
from storage.files.memory import MemoryFilesystem
from storage.files.quota import Quota
from storage.files.workspace import Workspace
from tests.support.trees import ROOT, P, get, ls, put, table


@pytest.fixture(params=["memory", "local"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Filesystem:
    return MemoryFilesystem() if request.param == "memory" else LocalFilesystem(tmp_path)


def test_copy_keeps_bytes_and_time(home: Filesystem) -> None:
    """A copy has the same bytes and modification time, and is published at once."""
    session = Workspace(table({"/": "full"}, {"/": home}))
    data = os.urandom(3_000_000)
    put(session, "/a", data)
    session.set_times(P("/a"), 10**18, None)
    put(session, "/b", b"old")

    with pytest.raises(AlreadyExists):
        session.copy_file(P("/a"), P("/b"), replace=False)
    assert session.copy_file(P("/a"), P("/b"), replace=True).size == len(data)
    assert get(session, "/b") == data
    assert session.stat(P("/b")).modified_ns == 10**18
    with pytest.raises(InvalidPath):
        session.copy_file(P("/a"), P("/a"), replace=True)


def test_copy_goes_between_mounts(tmp_path: Path) -> None:
    """A copy crosses mounts, of different backends too."""
    session = Workspace(table({"/": "full", "/m": "full"}, {"/": LocalFilesystem(tmp_path), "/m": MemoryFilesystem()}))
    put(session, "/a", b"123")
    session.copy_file(P("/a"), P("/m/a"), replace=False)
    session.copy_file(P("/m/a"), P("/b"), replace=False)

    assert get(session, "/m/a") == get(session, "/b") == b"123"


def test_copy_goes_on_where_the_kernel_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where copy_file_range fails half-way, the rest is copied block by block."""
    session = Workspace(table({"/": "full"}, {"/": LocalFilesystem(tmp_path)}))
    data = os.urandom(100_000)
    put(session, "/a", data)
    real = os.copy_file_range
    monkeypatch.setattr(trees, "KERNEL_BLOCK", 40_000)

    def stops(source: int, target: int, count: int, offset_src: int, offset_dst: int) -> int:
        if offset_src >= 80_000:
            raise OSError(18, "cross-device")
        return real(source, target, count, offset_src, offset_dst)

    monkeypatch.setattr(os, "copy_file_range", stops)
    session.copy_file(P("/a"), P("/b"), replace=False)

    assert get(session, "/b") == data


def test_remove_tree_takes_everything(home: Filesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree deeper and wider than a batch is removed whole, and a single file too."""
    monkeypatch.setattr(trees, "BATCH", 3)
    session = Workspace(table({"/": "full"}, {"/": home}))
    put(session, "/keep", b"1")
    path = "/t"
    for depth in range(12):
        session.mkdir(P(path))
        for number in range(7):
            put(session, f"{path}/f{number}", b"x")
            session.mkdir(P(f"{path}/d{number}"))
        path += f"/sub{depth}"
    session.remove_tree(P("/t"))

    assert ls(session, "/") == ["keep"]
    session.remove_tree(P("/keep"))
    assert ls(session, "/") == []
    with pytest.raises(NotFound):
        session.remove_tree(P("/t"))


def test_remove_tree_refuses_before_it_deletes(home: Filesystem) -> None:
    """If a right is missing anywhere below, nothing at all is removed."""
    admin = Workspace(table({"/": "full"}, {"/": home}))
    for path in ("/t", "/t/a", "/t/z"):
        admin.mkdir(P(path))
    put(admin, "/t/a/f", b"1")
    session = Workspace(table({"/": "full", "/t/z": "read-only"}, {"/": home}))

    with pytest.raises(PermissionDenied):
        session.remove_tree(P("/t"))
    assert get(admin, "/t/a/f") == b"1"


def test_remove_tree_does_not_follow_links(tmp_path: Path) -> None:
    """A link to a directory is removed as a link, at the top and below; what it leads to stays."""
    session = Workspace(table({"/": "full"}, {"/": LocalFilesystem(tmp_path)}))
    for path in ("/keep", "/t"):
        session.mkdir(P(path))
    put(session, "/keep/f", b"1")
    (tmp_path / "t/link").symlink_to("../keep")
    (tmp_path / "top").symlink_to("keep")
    session.remove_tree(P("/t"))
    session.remove_tree(P("/top"))

    assert ls(session, "/") == ["keep"]
    assert get(session, "/keep/f") == b"1"


def test_remove_tree_loses_nothing_that_is_not_shown(tmp_path: Path) -> None:
    """A FIFO or a name that is not UTF-8 keeps its directory: clients do not remove what they cannot see."""
    session = Workspace(table({"/": "full"}, {"/": LocalFilesystem(tmp_path)}))
    session.mkdir(P("/t"))
    put(session, "/t/f", b"1")
    os.mkfifo(tmp_path / "t/fifo")

    with pytest.raises(DirectoryNotEmpty):
        session.remove_tree(P("/t"))
    assert (tmp_path / "t/fifo").exists()


def _linking(tmp_path: Path, quota: Quota | None = None, rights: dict[str, str] | None = None) -> Workspace:
    mounts = {"/": LocalFilesystem(tmp_path), "/m": MemoryFilesystem()}
    return Workspace(table(rights or {"/": "full"}, mounts, quota), allow_symlinks=True, allow_hard_links=True)


def test_links_where_they_are_allowed(tmp_path: Path) -> None:
    """Symbolic links, relative and absolute in the client's tree, and hard links work inside one mount."""
    session = _linking(tmp_path)
    session.mkdir(P("/d"))
    put(session, "/d/f", b"1")
    session.symlink("f", P("/d/relative"))
    session.symlink("/d/f", P("/absolute"))
    session.hard_link(P("/d/f"), P("/hard"))

    assert get(session, "/d/relative") == get(session, "/absolute") == get(session, "/hard") == b"1"
    assert session.read_link(P("/absolute")) == "d/f"
    with pytest.raises(CrossesMounts):
        session.symlink("/m", P("/l"))
    with pytest.raises(Unsupported):
        session.symlink("x", P("/m/l"))
    with pytest.raises(Unsupported):
        session.read_link(P("/m/l"))
    with pytest.raises(NotFound):
        session.symlink("../../../etc/passwd", P("/d/l"))


def test_links_are_refused_where_rights_differ(tmp_path: Path) -> None:
    """In a mount with different rights at different places no links are made: they could be moved to widen them."""
    session = _linking(tmp_path, rights={"/": "full", "/d": "read-only"})
    put(session, "/f", b"1")
    (tmp_path / "d").mkdir()

    for attempt in (lambda: session.symlink("f", P("/l")), lambda: session.hard_link(P("/f"), P("/l"))):
        with pytest.raises(PermissionDenied):
            attempt()


def test_hard_links_count_for_each_name(tmp_path: Path) -> None:
    """A hard link is charged like a copy, and given back when it cannot be made or is removed."""
    quota = Quota(10, lambda: LocalFilesystem(tmp_path).usage(ROOT))
    session = _linking(tmp_path, quota)
    put(session, "/f", b"1234")
    session.hard_link(P("/f"), P("/g"))
    with pytest.raises(QuotaExceeded):
        session.hard_link(P("/f"), P("/h"))
    session.remove(P("/g"))
    put(session, "/g", b"")
    with pytest.raises(AlreadyExists):
        session.hard_link(P("/f"), P("/g"))

    assert quota.used == 4


def test_removing_a_link_frees_nothing(tmp_path: Path) -> None:
    """A link's target is not given back to the quota when the link goes."""
    quota = Quota(10, lambda: LocalFilesystem(tmp_path).usage(ROOT))
    session = _linking(tmp_path, quota)
    put(session, "/f", b"1234")
    session.symlink("f", P("/l"))
    put(session, "/l", b"123456")
    session.remove(P("/l"))

    assert quota.used == 6


def test_a_failed_truncate_is_not_charged(home: Filesystem) -> None:
    """Truncating what is no file gives its charge back."""
    quota = Quota(1000, lambda: home.usage(ROOT))
    session = Workspace(table({"/": "full"}, {"/": home}, quota))
    session.mkdir(P("/d"))
    with pytest.raises(Exception, match="/d"):
        session.truncate(P("/d"), 100)

    assert quota.used == 0


def test_open_modes_of_an_absent_file(home: Filesystem) -> None:
    """Every mode makes a file that is absent."""
    session = Workspace(table({"/": "full"}, {"/": home}))
    for mode in WriteMode:
        put(session, f"/{mode.name}", b"1", mode)

    assert len(ls(session, "/")) == len(WriteMode)
