"""A session that has nothing to do costs nothing, whatever its client did before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.ftps import connection
from server.ftps.loop import SessionLoop
from tests.support.ftps_site import FtpsSite, serving_ftps
from tests.support.raw_ftp import RawFtp, cut_off, reset
from tests.support.waiting import eventually

MOMENT_S = 0.5


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> list[SessionLoop]:
    """Every event loop that the worker makes."""
    made: list[SessionLoop] = []

    class Counted(SessionLoop):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(connection, "SessionLoop", Counted)
    return made


@pytest.fixture
def site(tmp_path: Path, loops: list[SessionLoop]) -> Iterator[FtpsSite]:
    with serving_ftps(tmp_path) as site:
        yield site


def turns_in_a_moment(loops: list[SessionLoop]) -> int:
    """Let the time of a moment pass and count the turns of all loops in it."""
    before = sum(loop.waits for loop in loops)
    threading.Event().wait(MOMENT_S)
    return sum(loop.waits for loop in loops) - before


def test_idle_sessions_sleep(site: FtpsSite, loops: list[SessionLoop]) -> None:
    """Greeted, in the handshake, signed in, with an idle port, and with an idle data connection: no turn, no CPU."""
    with (
        RawFtp(site),
        RawFtp(site, implicit=True),
        RawFtp(site).login() as one,
        RawFtp(site).login() as two,
        RawFtp(site).login() as three,
    ):
        one.passive()
        sock = two.connect()
        data = three.start_upload("STOR /a")
        data.sendall(b"x" * 1000)
        eventually(lambda: three.ask("SIZE /a") == "213 1000", what="the bytes to arrive")
        cpu = time.process_time()

        assert turns_in_a_moment(loops) <= 2
        assert time.process_time() - cpu < MOMENT_S / 2
        sock.close()
        data.close()


def leave_by_reset(client: RawFtp) -> None:
    client.vanish()


def leave_without_goodbye(client: RawFtp) -> None:
    cut_off(client.sock)


def leave_in_an_upload(client: RawFtp) -> None:
    data = client.start_upload("STOR /a")
    data.sendall(b"x" * 100_000)
    reset(data)
    client.vanish()


def leave_in_a_download(client: RawFtp) -> None:
    sock = client.connect()
    client.ask("RETR /big")
    client.data_tls(sock).recv(100)
    client.vanish()


def leave_in_a_data_handshake(client: RawFtp) -> None:
    client.passive_socket = client.connect()  # type: ignore[attr-defined]
    client.ask("STOR /a")
    reset(client.passive_socket)  # type: ignore[attr-defined]
    client.vanish()


@pytest.mark.parametrize(
    "leave", [leave_by_reset, leave_without_goodbye, leave_in_an_upload, leave_in_a_download, leave_in_a_data_handshake]
)
def test_clients_that_vanish_leave_no_load(
    site: FtpsSite, loops: list[SessionLoop], leave: Callable[[RawFtp], None]
) -> None:
    """After abrupt ends no thread, no loop and no CPU time is left behind (pyftpdlib's issues 613 and 683)."""
    site.put("/big", b"y" * 10_000_000)
    for _ in range(10):
        leave(RawFtp(site).login())
    eventually(
        lambda: not [t for t in threading.enumerate() if t.name.startswith("ftps-127")], what="the threads to end"
    )
    cpu = time.process_time()

    assert turns_in_a_moment(loops) == 0
    assert time.process_time() - cpu < MOMENT_S / 2
    site.no_clients()
    assert site.names() == ["big"]


def test_a_client_that_lost_only_its_data_connection_costs_nothing(site: FtpsSite, loops: list[SessionLoop]) -> None:
    """A data connection that is closed before any command uses it is dropped without a spin."""
    with RawFtp(site).login() as client:
        for end in (reset, cut_off):
            end(client.connect())
            assert client.ask("NOOP").startswith("200 ")

        assert turns_in_a_moment(loops) <= 2


@pytest.mark.system
def test_lftp_drives_no_busy_loop(site: FtpsSite, loops: list[SessionLoop]) -> None:
    """Where pyftpdlib turned thousands of times in a short lftp session, turns go with work done."""
    source = site.folder / "source"
    source.write_bytes(b"z" * 2_000_000)
    done = site.lftp(f"put {source} -o a; get a -o {site.folder}/back; ls; cls; rm a")

    assert done.returncode == 0, done.stderr
    assert sum(loop.waits for loop in loops) < 600
