"""A thousand hostile paths on every front end: nothing outside the user's root is read or touched."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from paramiko.sftp import CMD_OPEN, CMD_STAT
from paramiko.sftp_attr import SFTPAttributes

from tests.support.drivers import DRIVERS, Credential, Driver, Refusal
from tests.support.drivers.ftps import FtpsDriver
from tests.support.drivers.sftp import SftpDriver
from tests.support.hostile_paths import hostile_paths
from tests.support.server import QuaymasterServer

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

PASSWORD = "right horse battery"
SECRET = b"nobody else may read this"
Probe = Callable[[str], bytes]


@pytest.fixture
def outside(server: QuaymasterServer, tmp_path: Path) -> list[Path]:
    """Secrets that a leak would show: in another user's home and elsewhere on the disk."""
    server.add_user("victim", password=PASSWORD)
    home = server.home_of("victim")
    home.mkdir(exist_ok=True, mode=0o700)
    files = [home / "secret.txt", tmp_path / "secret.txt"]
    for file in files:
        file.write_bytes(SECRET)
    return files


def fingerprint(folders: list[Path]) -> str:
    """One digest over all names and contents below the folders."""
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            found.update(str(path).encode())
            if path.is_file():
                found.update(path.read_bytes())
    return found.hexdigest()


@contextlib.contextmanager
def sftp_probe(server: QuaymasterServer, user: str) -> Iterator[Probe]:
    """Read by raw OPEN requests, and write by OPEN with CREAT|TRUNC."""
    with SftpDriver(server.driver_ports, Credential(user, PASSWORD)) as driver:

        def probe(path: str) -> bytes:
            raw = path.encode("utf-8", "surrogateescape")
            with contextlib.suppress(OSError):
                driver.client._request(CMD_STAT, raw)
            with contextlib.suppress(OSError):
                _, answer = driver.client._request(CMD_OPEN, raw, 0x1A, SFTPAttributes())  # WRITE|CREAT|TRUNC
                paramiko.SFTPFile(driver.client, answer.get_binary(), "w").close()
            try:
                _, answer = driver.client._request(CMD_OPEN, raw, 0x01, SFTPAttributes())
            except OSError:
                return b""
            with paramiko.SFTPFile(driver.client, answer.get_binary(), "r") as file:
                return file.read()

        yield probe


@contextlib.contextmanager
def ftps_probe(server: QuaymasterServer, user: str) -> Iterator[Probe]:
    """Read by RETR, and write by STOR; a path that ftplib itself refuses to send counts as refused."""
    with FtpsDriver(server.driver_ports, Credential(user, PASSWORD)) as driver:

        def probe(path: str) -> bytes:
            with contextlib.suppress(Refusal, ValueError):
                driver.write(path, b"overwritten")
            try:
                return driver.read(path)
            except (Refusal, ValueError):
                return b""

        yield probe


@contextlib.contextmanager
def webdav_probe(server: QuaymasterServer, user: str) -> Iterator[Probe]:
    """Read by GET and write by PUT with the path in the request line as it is, unquoted where that is possible."""
    context = ssl.create_default_context(cafile=str(server.certificate))
    token = b64encode(f"{user}:{PASSWORD}".encode()).decode()

    def send(method: str, path: str, body: bytes | None) -> bytes:
        connection = http.client.HTTPSConnection("localhost", server.http_port, context=context, timeout=30)
        connection._validate_path = str  # type: ignore[attr-defined,method-assign]  # lets anything pass: hostile on purpose
        raw = path.encode("utf-8", "surrogateescape")
        target = "/dav/" + "".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02x}" for byte in raw)
        try:
            connection.request(method, target, body=body, headers={"Authorization": f"Basic {token}"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            return b""
        finally:
            connection.close()
        return content if answer.status < 300 else b""

    def probe(path: str) -> bytes:
        send("PUT", path, b"overwritten")
        return send("GET", path, None)

    yield probe


PROBES = {"sftp": sftp_probe, "ftps": ftps_probe, "webdav": webdav_probe}


@pytest.mark.parametrize("front_end", PROBES)
def test_a_thousand_hostile_paths_touch_nothing_outside(
    front_end: str, server: QuaymasterServer, outside: list[Path], tmp_path: Path
) -> None:
    """Plain, encoded, absolute, over-long and control-character paths neither read nor change what is outside."""
    user = f"hostile-{front_end}"
    server.add_user(user, password=PASSWORD)
    watched = [outside[0].parent, tmp_path]
    before = fingerprint(watched)

    with PROBES[front_end](server, user) as probe:
        answers = [probe(path) for path in hostile_paths([str(file) for file in outside], seed=front_end)]

    assert not [answer for answer in answers if SECRET in answer]
    assert before == fingerprint(watched)
    with DRIVERS[list(PROBES).index(front_end)](server.driver_ports, Credential(user, PASSWORD)) as driver:
        driver.write("/still-serving", b"yes")
        assert driver.read("/still-serving") == b"yes"


@pytest.mark.parametrize("driver_type", DRIVERS, ids=lambda driver: driver.front_end)
def test_a_link_swapped_in_mid_air_leads_nowhere(
    driver_type: type[Driver], server: QuaymasterServer, outside: list[Path], tmp_path: Path
) -> None:
    """While a thread swaps a directory for a link to outside, no read shows and no write lands outside."""
    user = f"swap-{driver_type.front_end}"
    server.add_user(user, password=PASSWORD)
    home = server.home_of(user)
    home.mkdir(exist_ok=True, mode=0o700)
    real, link, place = home / "real", home / "link", home / "place"
    real.mkdir()
    (real / "secret.txt").write_bytes(b"my own")
    link.symlink_to(tmp_path)
    real.rename(place)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            os.rename(place, real)  # noqa: PTH104 - plain system calls, as fast as can be
            os.rename(link, place)  # noqa: PTH104
            os.rename(place, link)  # noqa: PTH104
            os.rename(real, place)  # noqa: PTH104

    swapper = threading.Thread(target=swap)
    before = fingerprint([tmp_path])
    seen: set[bytes] = set()
    with driver_type(server.driver_ports, Credential(user, PASSWORD)) as driver:
        swapper.start()
        try:
            for number in range(300):
                with contextlib.suppress(Refusal):
                    seen.add(driver.read("/place/secret.txt"))
                with contextlib.suppress(Refusal):
                    driver.write(f"/place/new-{number % 5}", b"mine")
        finally:
            done.set()
            swapper.join()

    assert seen <= {b"my own"}
    assert before == fingerprint([tmp_path])
