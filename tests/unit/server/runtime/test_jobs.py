"""The jobs role."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import DatabaseSettings, FilesSettings, Settings
from server.app import open_services
from server.runtime import jobs
from server.runtime.jobs import Jobs
from server.services import Services
from storage.database.changes import CreateUser
from storage.database.records import Method, SessionRow
from storage.files.path import TEMP_PREFIX

ROW = SessionRow(
    id="1" * 32,
    user_id="",
    user_name="ada",
    front_end="sftp",
    peer="10.0.0.1",
    factor="password",
    credential_id=None,
    epoch=0,
    worker="sftp-1-dead",
    opened_at=0.0,
    seen_at=0.0,
)


@pytest.fixture
def services(sqlite_url: str, tmp_path: Path) -> Iterator[Services]:
    settings = Settings(
        data=tmp_path / "data", database=DatabaseSettings(url=sqlite_url), files=FilesSettings(stale_upload_s=0.001)
    )
    settings.data.mkdir()
    with open_services(settings, worker="jobs-1") as opened:
        yield opened


def test_sessions_of_silent_workers_are_ended(services: Services) -> None:
    """A worker that was not seen for a minute is dead; one that was is not."""
    user_id = services.store.apply(CreateUser("ada", Method.LOCAL), actor="test").subject_id
    now = time.time()
    services.store.sessions.open(replace(ROW, user_id=user_id, opened_at=now - 100, seen_at=now - 61))
    alive = replace(ROW, id="2" * 32, user_id=user_id, worker="sftp-2", opened_at=now - 100, seen_at=now - 5)
    services.store.sessions.open(alive)
    Jobs(services).round()

    assert [row.id for row in services.store.sessions.live()] == ["2" * 32]


def test_what_a_dead_worker_left_is_swept(services: Services) -> None:
    """A temporary file that nobody drives goes; other files stay."""
    home = services.settings.homes / "ada"
    home.mkdir(parents=True)
    (home / f"{TEMP_PREFIX}0123").write_bytes(b"half")
    (home / "file").write_bytes(b"whole")
    threading.Event().wait(0.01)
    Jobs(services).round()

    assert [path.name for path in home.iterdir()] == ["file"]


def test_only_the_holder_of_the_lease_works(services: Services) -> None:
    """With two nodes on one database the second waits until the first lets go."""
    services.store.leases.take(jobs.LEASE, "another-node", 60.0)
    home = services.settings.homes / "ada"
    home.mkdir(parents=True)
    temp = home / f"{TEMP_PREFIX}0123"
    temp.write_bytes(b"half")
    mine = Jobs(services)
    mine.round()
    waited = temp.exists()
    services.store.leases.release(jobs.LEASE, "another-node")
    threading.Event().wait(0.01)
    mine.round()

    assert waited
    assert not temp.exists()


class Control:
    """Drains as soon as the role is ready."""

    def __init__(self) -> None:
        self.callback: Callable[[float], None] | None = None

    def on_drain(self, callback: Callable[[float], None]) -> None:
        self.callback = callback

    def ready(self) -> None:
        assert self.callback is not None
        self.callback(1.0)


def test_the_role_ends_when_drained_and_lets_go_of_the_lease(services: Services) -> None:
    """Another node may take over at once."""
    jobs.run(services, (), Control())

    assert services.store.leases.take(jobs.LEASE, "another-node", 60.0)


def test_a_disk_that_fails_during_the_sweep_does_not_end_the_role(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be walked is left out; those after it are swept, and the jobs go on."""

    class Broken:
        """A filesystem on a disk with read errors."""

        def sweep(self, _older_than_s: float) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    class Sound:
        """A filesystem with two abandoned uploads."""

        def sweep(self, _older_than_s: float) -> int:
            return 2

    monkeypatch.setattr(services.workspaces, "filesystems", lambda: iter((Broken(), Sound())))

    assert Jobs(services).sweep() == 2
