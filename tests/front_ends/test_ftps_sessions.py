"""Signing in, being cut off, draining, and being slow without harm to others."""

from __future__ import annotations

import ftplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from auth_backends.api import PUBLIC_REFUSAL, PUBLIC_UNAVAILABLE, ApiKeyToken, Password
from server.ftps import commands_login
from tests.support.ftps_site import NAME, PASSWORD, FtpsSite, serving_ftps
from tests.support.raw_ftp import RawFtp, read_to_the_end, send_without_end
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _short_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_login, "FAILURE_DELAY_S", 0.2)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FtpsSite]:
    with serving_ftps(tmp_path) as site:
        yield site


# Signing in


def test_a_refusal_says_the_same_for_every_cause(site: FtpsSite) -> None:
    """USER is always 331, and a wrong password and an unknown name get the same 530."""
    with RawFtp(site).secure() as client:
        replies = []
        for name in ("ada", "nobody"):
            assert client.ask(f"USER {name}") == "331 Send the password."
            replies.append(client.ask("PASS wrong"))

        assert replies == [f"530 {PUBLIC_REFUSAL}"] * 2


def test_three_failures_end_the_connection(site: FtpsSite) -> None:
    """The third 530 is the last word."""
    with RawFtp(site).secure() as client:
        for _ in range(3):
            client.ask("USER ada")
            assert client.ask("PASS wrong").startswith("530 ")

        assert client.closed()
        assert len(site.sign_in.tried) == 3


def test_guesses_cannot_be_pipelined(site: FtpsSite) -> None:
    """A hundred passwords in one segment: each waits for the one before, and three are tried."""
    with RawFtp(site).secure() as client:
        start = time.monotonic()
        client.send(*["USER ada", "PASS wrong"] * 100)
        replies = [client.reply()[:3] for _ in range(6)]

        assert replies == ["331", "530"] * 3
        assert time.monotonic() - start >= 3 * 0.2
        assert client.closed()
        assert len(site.sign_in.tried) == 3


def test_nobody_proves_to_be_one_and_becomes_another(site: FtpsSite) -> None:
    """USER behind PASS, and USER once signed in, change nothing: the session is ada's."""
    with RawFtp(site).secure() as client:
        client.send("USER ada", f"PASS {PASSWORD}", "USER bob", "PWD")
        assert [client.reply()[:3] for _ in range(4)] == ["331", "230", "530", "257"]
        assert client.ask("PASS battery staple").startswith("503 ")
        assert client.ask("REIN").startswith("500 ")

        assert [session.principal.user.name for session in site.sign_in.sessions] == ["ada"]
        assert "Logged in as: ada" in client.ask("STAT")


def test_a_password_needs_a_fresh_name(site: FtpsSite) -> None:
    """After a refusal, PASS alone is 503: the name does not stay."""
    with RawFtp(site).secure() as client:
        client.ask("USER ada")
        client.ask("PASS wrong")

        assert client.ask(f"PASS {PASSWORD}").startswith("503 ")


def test_the_broker_gets_the_credential_as_sent(site: FtpsSite) -> None:
    """Spaces and letters of any script in a password; a text that is an API key is a token, also under @api."""
    with RawFtp(site).secure() as client:
        client.ask("USER zoë")
        client.ask("PASS  pässword with  spaces ")
        client.ask("USER @api")
        client.ask("PASS qm_0123_secret_sum")
        first, second = site.sign_in.tried

        assert isinstance(first, Password)
        assert (first.username, first.secret.reveal()) == ("zoë", " pässword with  spaces ")
        assert isinstance(second, ApiKeyToken)
        assert (second.username, second.token.reveal()) == ("@api", "qm_0123_secret_sum")
        assert site.sign_in.peers == ["127.0.0.1"] * 2


def test_cannot_tell_is_a_temporary_error(site: FtpsSite) -> None:
    """421 and the connection ends: the client is to come back, and nothing counts against it."""
    site.sign_in.down = True
    with RawFtp(site).secure() as client:
        client.ask("USER ada")

        assert client.ask(f"PASS {PASSWORD}") == f"421 {PUBLIC_UNAVAILABLE}"
        assert client.closed()


def test_a_broker_that_fails_lets_nobody_in(site: FtpsSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception where there should be an answer ends the connection, not the worker."""

    def fail(*_: object) -> None:
        raise RuntimeError

    with RawFtp(site).secure() as client:
        client.ask("USER ada")
        with monkeypatch.context() as patch:
            patch.setattr(site.sign_in, "try_in", fail)
            client.send(f"PASS {PASSWORD}")
            assert client.closed()

    with site.ftp() as other:
        assert other.pwd() == "/"


def test_a_slow_sign_in_holds_up_nobody_else(site: FtpsSite) -> None:
    """While ada's directory thinks, bob signs in and moves a file."""
    site.sign_in.hold = threading.Event()
    with RawFtp(site).secure() as ada:
        ada.ask("USER ada")
        ada.send(f"PASS {PASSWORD}")
        site.sign_in.arrived.acquire(timeout=20)
        with RawFtp(site).login("bob", "battery staple") as bob:
            assert bob.upload("STOR /a", b"data").startswith("226 ")
        site.sign_in.hold.set()

        assert ada.reply().startswith("230 ")


def test_who_never_signs_in_is_disconnected(tmp_path: Path) -> None:
    """The time to sign in is not reset by commands, nor by silence in the handshake."""
    with (
        serving_ftps(tmp_path, login_timeout_s=0.5) as site,
        RawFtp(site) as client,
        RawFtp(site, implicit=True) as late,
        socket.create_connection(("127.0.0.1", site.implicit_port), timeout=20) as silent,
    ):
        while (reply := client.ask("NOOP")).startswith("200 "):
            pass

        assert reply == "" or reply.startswith("421 ")
        assert silent.recv(10) == b""
        assert late.closed()


def test_an_idle_session_is_told_goodbye(tmp_path: Path) -> None:
    """421 after the idle time, and the session ends."""
    with serving_ftps(tmp_path, idle_timeout_s=0.5) as site, RawFtp(site).login() as client:
        assert client.reply().startswith("421 ")
        assert client.closed()
        site.no_clients()


# Limits


def test_more_connections_than_allowed_are_told_421(tmp_path: Path) -> None:
    """Per address and in all; a place is free again when a client leaves."""
    with serving_ftps(tmp_path, max_connections_per_address=2) as site, RawFtp(site) as first, RawFtp(site):
        with RawFtp(site, greet=False) as third:
            assert third.reply().startswith("421 ")
            assert third.closed()
        first.sock.close()
        eventually(lambda: self_greets(site), what="a free place")


def self_greets(site: FtpsSite) -> bool:
    """Whether a new client is greeted."""
    with RawFtp(site, greet=False) as client:
        return client.reply().startswith("220 ")


# Being cut off


@pytest.mark.parametrize("command", ["STOR", "RETR", "idle"])
def test_a_revoked_session_is_cut_at_once(site: FtpsSite, command: str) -> None:
    """In the middle of a transfer and at rest: both connections go within a second, and nothing is committed."""
    site.put("/big", b"y" * 30_000_000)
    with RawFtp(site).login() as client:
        data: ssl.SSLSocket | None = None
        if command == "STOR":
            data = client.start_upload("STOR /a")
            data.sendall(b"x" * 300_000)
        elif command == "RETR":
            sock = client.connect()
            client.ask("RETR /big")
            data = client.data_tls(sock)
            data.recv(1000)
        start = time.monotonic()
        site.sign_in.sessions[0].revoke("disabled")

        assert client.closed()
        if data is not None:
            with pytest.raises((OSError, ssl.SSLError)):  # never a clean end
                (send_without_end if command == "STOR" else read_to_the_end)(data)
        assert time.monotonic() - start < 2.0  # the front end's share; it takes some milliseconds on an idle machine
        assert site.names() == ["big"]


def test_a_cut_while_the_sign_in_is_still_running_is_not_lost(site: FtpsSite) -> None:
    """The session is cut before the front end has it: the client is dropped all the same."""
    try_in = site.sign_in.try_in

    def revoked_at_once(*arguments: object) -> object:
        session = try_in(*arguments)  # type: ignore[arg-type]
        session.revoke("disabled")  # type: ignore[union-attr]
        return session

    site.sign_in.try_in = revoked_at_once  # type: ignore[method-assign, assignment]
    with RawFtp(site).secure() as client:
        client.ask("USER ada")
        client.send(f"PASS {PASSWORD}", "PWD")

        assert client.closed()


def test_a_session_ends_with_its_connection(site: FtpsSite) -> None:
    """QUIT, EOF and reset each end the session in the registry."""
    for leave in ("quit", "close", "vanish"):
        client = RawFtp(site).login()
        if leave == "quit":
            assert client.ask("QUIT").startswith("221 ")
            assert client.closed()
        elif leave == "close":
            client.sock.close()
        else:
            client.vanish()
        site.no_clients()

    assert [session.ended for session in site.sign_in.sessions] == ["closed"] * 3


def test_quit_lets_the_transfer_end_first(site: FtpsSite) -> None:
    """RFC 959: the result of a running transfer still comes after QUIT."""
    with RawFtp(site).login() as client:
        data = client.start_upload("STOR /a")
        data.sendall(b"x" * 1000)
        assert client.ask("QUIT").startswith("221 ")
        data.unwrap()

        assert client.reply().startswith("226 ")
        assert client.closed()
        assert site.get("/a") == b"x" * 1000


# Draining


def test_draining_lets_transfers_end_and_sends_others_away(site: FtpsSite) -> None:
    """SIGTERM: idle clients get 421, new ones no connection, and a running upload completes."""
    with RawFtp(site).login() as busy, RawFtp(site).login("bob", "battery staple") as idle:
        data = busy.start_upload("STOR /a")
        data.sendall(b"x" * 1000)
        site.drain(20)
        assert idle.reply().startswith("421 ")
        assert idle.closed()
        with pytest.raises((ConnectionRefusedError, ConnectionResetError)):
            socket.create_connection(("127.0.0.1", site.port), timeout=20).recv(1)
        data.sendall(b"y" * 1000)
        data.unwrap()

        assert busy.reply().startswith("226 ")
        assert busy.reply().startswith("421 ")
        site.join()
        assert site.get("/a") == b"x" * 1000 + b"y" * 1000


def test_draining_aborts_what_outlives_the_grace(site: FtpsSite) -> None:
    """After the grace the rest is cut, uncommitted, and run returns."""
    with RawFtp(site).login() as client:
        data = client.start_upload("STOR /a")
        data.sendall(b"x" * 1000)
        site.drain(0.1)
        site.join()

        assert client.closed()
        assert site.names() == []
        data.close()


def test_many_clients_at_once(site: FtpsSite) -> None:
    """Twenty threads of ftplib sign in, move a file and leave; nothing is mixed up."""
    failures: list[BaseException] = []

    def visit(number: int) -> None:
        try:
            with site.ftp() as client:
                content = str(number).encode() * 50_000
                with client.transfercmd(f"STOR /{number}") as data:
                    data.sendall(content)
                    data.unwrap()  # type: ignore[attr-defined]  # an SSLSocket
                client.voidresp()
                assert site.get(f"/{number}") == content
                client.quit()
        except (AssertionError, OSError, ftplib.Error) as error:
            failures.append(error)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    assert NAME in {session.principal.user.name for session in site.sign_in.sessions}
