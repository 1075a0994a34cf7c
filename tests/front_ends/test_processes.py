"""The processes: crashes, draining, reloading, and what a start refuses."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.drivers import DRIVERS, Credential, Driver
from tests.support.server import READY, QuaymasterServer
from tests.support.slow_uploads import CHUNK, SLOW_UPLOADS, SlowUpload, bytes_in_flight
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

PASSWORD = "right horse battery"
SLOW_S = 60.0  # starting processes takes its time on a busy machine
ADA = Credential("ada", PASSWORD)
ROLES = {"sftp": "sftp", "ftps": "ftps", "webdav": "http"}


@pytest.fixture
def server() -> Iterator[QuaymasterServer]:
    """A server of this test's own, with two workers a front end and one user."""
    with QuaymasterServer(workers=2) as running:
        running.add_user("ada", password=PASSWORD)
        yield running


def port_of(server: QuaymasterServer, front_end: str) -> int:
    return {"sftp": server.sftp_port, "ftps": server.ftps_port, "webdav": server.http_port}[front_end]


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        try:
            probe.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False


def shown_certificate(port: int) -> bytes:
    """Give the certificate that a new connection is shown; empty if it was dropped in the hand-over."""
    try:
        return _handshake(port)
    except OSError:
        return b""


def _handshake(port: int) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        shown = wrapped.getpeercert(binary_form=True)
    assert shown is not None
    return shown


# Crashes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.front_end)
def test_a_crashed_worker_comes_back_while_the_other_serves(driver: type[Driver], server: QuaymasterServer) -> None:
    """From the moment of the crash every new connection is served, and soon there are two workers again."""
    role = ROLES[driver.front_end]
    victim, survivor = sorted(server.worker_pids(role))
    os.kill(victim, signal.SIGKILL)
    for number in range(10):
        with driver(server.driver_ports, ADA) as session:
            session.write(f"/{number}", b"served")
    eventually(lambda: len(server.worker_pids(role)) == 2, what="the worker to come back", within_s=SLOW_S)
    pids = server.worker_pids(role)

    assert survivor in pids
    assert victim not in pids
    assert sorted(path.name for path in server.home_of("ada").iterdir()) == [str(number) for number in range(10)]


def test_the_sessions_of_a_crashed_worker_are_closed(server: QuaymasterServer) -> None:
    """Its successor ends the rows that nobody else could end."""
    with DRIVERS[0](server.driver_ports, ADA) as session:
        session.names("/")
        (row,) = server.store.sessions.live()
        for pid in server.worker_pids("sftp"):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not server.store.sessions.live(), what="the row to be closed", within_s=SLOW_S)
    closed = server.store.sessions.by_id(row.id)

    assert closed is not None
    assert closed.end_reason == "worker_lost"


def test_workers_do_not_outlive_the_supervisor(server: QuaymasterServer) -> None:
    """A supervisor that is killed takes its workers with it; the ports are free for the next start."""
    workers = [pid for role in ("sftp", "ftps", "http", "jobs") for pid in server.worker_pids(role)]
    with SLOW_UPLOADS[0](server.driver_ports, ADA, "file", 10) as upload:
        upload.send()
        eventually(lambda: bytes_in_flight(server.home_of("ada")) > 0, what="the upload to arrive")
        os.kill(server.pid, signal.SIGKILL)
        eventually(
            lambda: not any(psutil.pid_exists(pid) for pid in workers), what="the workers to end", within_s=SLOW_S
        )
    server.stop()
    left = list(server.home_of("ada").iterdir())
    server.start()

    assert len(workers) == 7
    assert left == []
    with DRIVERS[0](server.driver_ports, ADA) as session:
        assert session.names("/") == set()


# Draining -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SLOW_UPLOADS, ids=lambda kind: kind.front_end)
def test_sigterm_lets_a_running_transfer_finish(kind: type[SlowUpload]) -> None:
    """New connections are refused at once, the upload goes on and is published, and the server ends well."""
    with QuaymasterServer(workers=2, drain_s=30) as server:
        server.add_user("ada", password=PASSWORD)
        home = server.home_of("ada")
        with kind(server.driver_ports, ADA, "file", 3) as upload:
            upload.send()
            eventually(lambda: bytes_in_flight(home) > 0, what="the upload to arrive")
            server.signal(signal.SIGTERM)
            eventually(
                lambda: refuses(port_of(server, kind.front_end)), what="new connections to be refused", within_s=SLOW_S
            )
            upload.send()
            upload.send()
            finished = upload.finish()
        status = server.stop()

        assert finished
        assert status == 0
        assert (home / "file").read_bytes() == 3 * CHUNK


@pytest.mark.parametrize("kind", SLOW_UPLOADS, ids=lambda kind: kind.front_end)
def test_a_transfer_that_outlasts_the_grace_is_aborted(kind: type[SlowUpload]) -> None:
    """After the grace the server ends; the upload is neither published nor left behind."""
    with QuaymasterServer(drain_s=1) as server:
        server.add_user("ada", password=PASSWORD)
        home = server.home_of("ada")
        with kind(server.driver_ports, ADA, "file", 3) as upload:
            upload.send()
            eventually(lambda: bytes_in_flight(home) > 0, what="the upload to arrive")
            status = server.stop()

        assert status == 0
        assert list(home.iterdir()) == []
        assert "ended_hard" not in server.log
        assert "worker.killed" not in server.log


# Reloading ----------------------------------------------------------------------------------------


def test_sighup_brings_a_new_certificate_and_keeps_running_sessions(server: QuaymasterServer) -> None:
    """New connections see the new certificate; a session and an upload from before go on to their end."""
    ports = (server.implicit_port, server.http_port)
    before = [shown_certificate(port) for port in ports]
    workers = server.worker_pids("sftp")
    with DRIVERS[0](server.driver_ports, ADA) as session, SLOW_UPLOADS[0](server.driver_ports, ADA, "up", 2) as upload:
        upload.send()
        new = _another_certificate(server)
        server.signal(signal.SIGHUP)
        eventually(
            lambda: all(shown_certificate(port) == new for port in ports), what="the new certificate", within_s=SLOW_S
        )
        eventually(
            lambda: len(set(server.worker_pids("sftp")) - set(workers)) == 2, what="the new generation", within_s=SLOW_S
        )
        session.write("/old-session", b"still here")
        upload.send()
        finished = upload.finish()
    eventually(
        lambda: not set(server.worker_pids("sftp")) & set(workers), what="the old generation to end", within_s=SLOW_S
    )

    assert len(set(before)) == 1
    assert before[0] != new
    assert finished
    assert (server.home_of("ada") / "old-session").read_bytes() == b"still here"


def _another_certificate(server: QuaymasterServer) -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from server.runtime.keys import self_signed, write_atomically

    key = ec.generate_private_key(ec.SECP256R1())
    certificate = self_signed(key, hostname="another")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_atomically(server.certificate.with_name("tls.key"), pem)
    write_atomically(server.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate.public_bytes(serialization.Encoding.DER)


def test_a_reload_with_a_broken_certificate_keeps_serving(server: QuaymasterServer) -> None:
    """The new generation cannot start; the present one goes on."""
    workers = set(server.worker_pids("http"))
    good = server.certificate.read_bytes()
    server.certificate.write_bytes(b"no certificate")
    server.signal(signal.SIGHUP)
    eventually(lambda: server.log.count("worker.lost") >= 4, what="the new generation to fail", within_s=SLOW_S)
    server.certificate.write_bytes(good)

    assert set(server.worker_pids("http")) == workers
    with next(driver for driver in DRIVERS if driver.front_end == "webdav")(server.driver_ports, ADA) as session:
        assert session.names("/") == set()
    server.log_file.write_text("")  # its tracebacks are what this test wanted


# Starting -----------------------------------------------------------------------------------------


def test_a_second_start_keeps_everything() -> None:
    """Users, secrets, keys and the certificate stay; the secrets are not printed again."""
    with QuaymasterServer(demo=True) as server:
        first = "\n".join(server.output)
        password = next(line.split()[-1] for line in server.output if "password:" in line)
        kept = {path: path.read_bytes() for path in (server.data / "keys").iterdir()}
        server.output.clear()
        server.restart()
        second = "\n".join(server.output)
        with DRIVERS[0](server.driver_ports, Credential("ada", password)) as session:
            names = session.names("/")

        assert "API key: qm_" in first
        assert "API key: qm_" not in second
        assert password not in second
        assert kept == {path: path.read_bytes() for path in (server.data / "keys").iterdir()}
        assert names == set()


def test_two_servers_on_one_data_folder_are_refused(server: QuaymasterServer) -> None:
    """The second says who has the folder and what to do, and the first goes on."""
    second = server.cli("serve")

    assert second.returncode == 1
    assert f"process {server.pid}" in second.stderr
    assert "QUAYMASTER_DATA" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_in_use_is_explained(server: QuaymasterServer, tmp_path: Path) -> None:
    """A server with another folder but the same port says which setting to change."""
    server.environment["QUAYMASTER_DATA"] = str(tmp_path)
    second = server.cli("serve")

    assert second.returncode == 1
    assert f"SFTP cannot listen on 127.0.0.1 port {server.sftp_port}" in second.stderr
    assert "QUAYMASTER_SFTP__PORT" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_wrong_setting_is_explained(server: QuaymasterServer) -> None:
    """Exit code 2, and the key is named."""
    server.environment["QUAYMASTER_DRAIN_S"] = "soon"
    second = server.cli("serve")

    assert second.returncode == 2
    assert "QUAYMASTER_DRAIN_S" in second.stderr
    assert "Traceback" not in second.stderr


def test_an_empty_server_says_how_to_make_the_first_admin(tmp_path: Path) -> None:
    """Without --demo and without users it is printed on every start, and the server is up."""
    empty = QuaymasterServer(config=_configuration(tmp_path))
    with empty:
        text = "\n".join(empty.output)
        environ = Path(f"/proc/{empty.worker_pids('sftp')[0]}/cmdline").read_bytes()

    assert "quaymaster user add" in text
    assert READY in text
    assert b"sqlite" not in environ


def _configuration(folder: Path) -> Path:
    file = folder / "quaymaster.toml"
    file.write_text('[log]\nformat = "json"\n')
    return file
