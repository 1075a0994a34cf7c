"""A client that dies in the middle of an upload leaves nothing of it under the final name."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from storage.files.path import TEMP_PREFIX
from tests.support.killed_uploads import PROTOCOLS, Fate, killer, upload
from tests.support.server import QuaymasterServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

KILLS = 50  # for each of the four ways to upload: 200 in all
TOTAL = 400_000


def temps(home: Path) -> list[str]:
    """Names of uploads in flight on the disk."""
    return [path.name for path in home.rglob(TEMP_PREFIX + "*")]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_killed_client_publishes_nothing(protocol: str, server: QuaymasterServer) -> None:
    """At 50 random bytes of the file: a new name stays absent, an old file keeps its bytes, no temp stays."""
    chance = random.Random(f"killed {protocol}")
    server.add_user("killed", password="right horse")
    home = server.home_of("killed")
    old, new = home / f"{protocol}-old.bin", home / f"{protocol}-new.bin"
    home.mkdir(exist_ok=True, mode=0o700)
    old.write_bytes(b"what was there before")
    port = {"sftp": server.sftp_port, "ftps": server.ftps_port}.get(protocol, server.http_port)
    context = killer()

    for number in range(KILLS):
        target = old if number % 2 else new
        limit = chance.randrange(1, TOTAL)
        login = ("killed", "right horse")
        fate = Fate(protocol, port, login, server.certificate, f"/{target.name}", limit, TOTAL)
        client = context.Process(target=upload, args=(fate,))
        client.start()
        client.join(60)
        assert client.exitcode == -signal.SIGKILL, server.log[-4000:]

    eventually(lambda: not temps(home), what="all uploads in flight to be cleaned up")
    assert not new.exists()
    assert old.read_bytes() == b"what was there before"
