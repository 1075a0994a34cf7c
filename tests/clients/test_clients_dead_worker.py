"""Workers killed by SIGKILL in the middle of uploads: no half file, no temp after the sweep, service goes on."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from storage.files.path import TEMP_PREFIX
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal
from tests.support.server import QuaymasterServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

PASSWORD = "right horse battery"
TOTAL = 256 << 20


def temps(home: Path) -> list[Path]:
    """Uploads in flight on the disk."""
    return list(home.rglob(TEMP_PREFIX + "*"))


@pytest.mark.parametrize("driver_type", DRIVERS, ids=lambda driver: driver.front_end)
def test_a_dead_worker_publishes_nothing(driver_type: type[Driver], tmp_path: Path) -> None:
    """With the role's workers killed in mid-upload, the old file stays and the server serves again."""
    role = {"webdav": "http"}.get(driver_type.front_end, driver_type.front_end)
    with QuaymasterServer(workers=2, environment={"QUAYMASTER_FILES__STALE_UPLOAD_S": "0.001"}) as server:
        user = server.add_user("unlucky", password=PASSWORD)
        home = server.home_of("unlucky")
        with driver_type(server.driver_ports, Credential(user.name, PASSWORD)) as session:
            session.write("/file", b"old bytes")
        failures: list[BaseException] = []

        def send() -> None:
            try:
                with driver_type(server.driver_ports, Credential(user.name, PASSWORD)) as session:
                    session.write("/file", bytes(TOTAL))
            except Exception as error:  # noqa: BLE001 - any failure will do
                failures.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        eventually(lambda: any(temp.stat().st_size > 0 for temp in temps(home)), what="the upload to be under way")
        for pid in server.worker_pids(role):
            os.kill(pid, signal.SIGKILL)
        sender.join(60)

        assert failures, "the client was told that a dead worker's upload succeeded"
        assert (home / "file").read_bytes() == b"old bytes"
        eventually(lambda: _serves(driver_type, server), what="the workers to come back", within_s=30)
        server.restart()  # a start sweeps; so does the jobs role, later
        eventually(lambda: not temps(home), what="the sweep", within_s=30)
        assert psutil.pid_exists(server.pid)


def _serves(driver_type: type[Driver], server: QuaymasterServer) -> bool:
    try:
        with driver_type(server.driver_ports, Credential("unlucky", PASSWORD)) as session:
            return session.read("/file") == b"old bytes"
    except (Refusal, OSError, EOFError):
        return False
