"""What a strict site gets: on stable storage before success is reported, in the one order that survives a crash."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from config.settings import Durability, Settings
from server.workspaces import Workspaces
from storage.database.store import Store
from storage.files import local_writer
from storage.files.api import WriteMode
from storage.files.local import LocalFilesystem
from tests.support.trees import P


class Calls:
    """What was put on stable storage, and the publishing, in their order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self._fsync, self._rename = os.fsync, os.rename
        self._no_replace = local_writer.rename_no_replace
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "rename", self.rename)
        monkeypatch.setattr(local_writer, "rename_no_replace", self.no_replace)

    def fsync(self, fd: int) -> None:
        self.made.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        self._fsync(fd)

    def rename(self, *args: object, **kwargs: object) -> None:
        self.made.append("rename")
        self._rename(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came

    def no_replace(self, *args: object) -> None:
        self.made.append("rename")
        self._no_replace(*args)  # type: ignore[arg-type]  # passed on as it came


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


@pytest.mark.parametrize("mode", [WriteMode.CREATE, WriteMode.REPLACE, WriteMode.RESUME])
def test_bytes_are_stable_before_their_name_and_the_name_before_success(
    tmp_path: Path, calls: Calls, mode: WriteMode
) -> None:
    """A power cut leaves the old file or the whole new one, and never a file that was reported and is gone."""
    with LocalFilesystem(tmp_path, durable=True).open_writer(P("/a"), mode) as writer:
        writer.write_at(0, b"new")
        writer.commit()

    assert calls.made == ["file", "rename", "directory"]


def test_in_place_writes_are_stable_at_their_end(tmp_path: Path, calls: Calls) -> None:
    """The live file has its name already; its bytes are synced."""
    with LocalFilesystem(tmp_path, durable=True).open_writer(P("/a"), WriteMode.IN_PLACE) as writer:
        writer.write_at(0, b"new")
        writer.commit()

    assert calls.made == ["file"]


def test_changed_names_are_stable(tmp_path: Path, calls: Calls) -> None:
    """Making, moving and removing sync the directories that they change; a move between two syncs both."""
    filesystem = LocalFilesystem(tmp_path, durable=True)
    synced = []
    for verb in (
        lambda: filesystem.mkdir(P("/d")),
        lambda: filesystem.mkdir(P("/e")),
        lambda: filesystem.rename(P("/d"), P("/e/d"), replace=False),
        lambda: filesystem.rmdir(P("/e/d")),
    ):
        calls.made.clear()
        verb()
        synced.append(calls.made.count("directory"))
    (tmp_path / "f").touch()
    calls.made.clear()
    filesystem.remove(P("/f"))

    assert [*synced, calls.made.count("directory")] == [1, 1, 2, 1, 1]


def test_a_fast_site_waits_for_no_disk_unless_the_client_asks(tmp_path: Path, calls: Calls) -> None:
    """Without strict durability a commit syncs nothing; ``sync`` (fsync@openssh.com) is done in any case."""
    with LocalFilesystem(tmp_path).open_writer(P("/a"), WriteMode.REPLACE) as writer:
        writer.write_at(0, b"new")
        before = list(calls.made)
        writer.sync()
        writer.commit()

    assert before == []
    assert calls.made == ["file", "rename"]


@pytest.mark.parametrize("durability", list(Durability))
def test_the_setting_reaches_the_homes(
    sqlite_store: Store, tmp_path: Path, calls: Calls, durability: Durability
) -> None:
    """``files.durability`` decides for the filesystems that sessions get."""
    settings = Settings.model_validate({"data": tmp_path, "files": {"durability": durability}})
    home = Workspaces(sqlite_store, settings)._filesystem("local", {"root": str(tmp_path)})
    with home.open_writer(P("/a"), WriteMode.REPLACE) as writer:
        writer.commit()

    assert ("file" in calls.made) is (durability is Durability.STRICT)
