"""A disk that fills up: the upload fails in the client's eyes, nothing half is published, the server goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database.changes import CreateFolder, PutGrant
from storage.files.path import TEMP_PREFIX
from storage.files.permissions import PRESETS
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal, RefusalKind
from tests.support.server import QuaymasterServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

PASSWORD = "right horse battery"
DISK_BYTES = 4 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 4 MiB."""
    point = tmp_path / "disk"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", "--lazy", str(point)], check=True)


@pytest.mark.parametrize("driver_type", DRIVERS, ids=lambda driver: driver.front_end)
def test_a_full_disk_never_publishes_half_a_file(
    driver_type: type[Driver], server: QuaymasterServer, small_disk: Path
) -> None:
    """An upload larger than the disk is refused, the old file stays, and what fits afterwards is stored."""
    user = server.add_user(f"full-{driver_type.front_end}", password=PASSWORD)
    folder = server.store.apply(CreateFolder(user.name, "local", {"root": str(small_disk)}, None), actor="test")
    rights = frozenset(str(right) for right in PRESETS["full"])
    grant = PutGrant("/disk", rights, frozenset(), user_id=user.id, folder_id=folder.subject_id)
    server.store.apply(grant, actor="test")
    whole = os.urandom(1 << 20)

    with driver_type(server.driver_ports, Credential(user.name, PASSWORD)) as session:
        session.write("/disk/old", b"old bytes")
        for name in ("/disk/old", "/disk/new"):
            with pytest.raises((Refusal, OSError)) as caught:
                session.write(name, os.urandom(2 * DISK_BYTES))
            if isinstance(caught.value, Refusal):
                assert caught.value.kind in {RefusalKind.NO_SPACE, RefusalKind.FAILED}

    eventually(lambda: not list(small_disk.glob(TEMP_PREFIX + "*")), what="the failed uploads to be cleaned up")
    with driver_type(server.driver_ports, Credential(user.name, PASSWORD)) as session:
        assert session.names("/disk") == {"old"}
        assert session.read("/disk/old") == b"old bytes"
        session.write("/disk/fits", whole)
        assert session.read("/disk/fits") == whole
