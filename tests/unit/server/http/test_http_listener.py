"""What we rely on of the HTTP server (granian 2.8.7), shown on the loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop

from config.settings import Settings
from server.http.listener import CutConnection, Listener, Message, Receive, Scope, Send, Tls, UnusableKey
from server.runtime.keys import ensure_keys
from tests.support.raw_http import RawHttps
from tests.support.waiting import eventually


class Probe:
    """An application that notes what it gets and does what the path says."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.scopes: list[Scope] = []
        self.release = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        match scope["path"]:
            case "/refuse":
                await answer(send, 409)
            case "/cut":
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
                await send({"type": "http.response.body", "body": b"part", "more_body": True})
                raise CutConnection
            case "/slow":
                await asyncio.get_running_loop().run_in_executor(None, self.release.wait, 20)
                await answer(send, 200)
            case "/watch":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await self._read(receive)
                await self._read(receive)
            case _:
                await self._read(receive)
                await answer(send, 200)

    async def _read(self, receive: Receive) -> None:
        while True:
            message = await receive()
            self.messages.append(message)
            if message["type"] != "http.request" or not message["more_body"]:
                return

    @property
    def kinds(self) -> list[str]:
        """Types of the messages so far."""
        return [message["type"] for message in self.messages]


async def answer(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Running:
    """The listener in a thread of its own."""

    def __init__(self, probe: Probe, tls: Tls) -> None:
        self.probe = probe
        self.tls = tls
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.listener = Listener(probe, self.socket, tls)
        self.started = threading.Event()
        self.thread = threading.Thread(target=lambda: uvloop.run(self._main()), daemon=True)

    async def _main(self) -> None:
        self.listener.start()
        self.started.set()
        await self.listener.ended()

    def connect(self) -> RawHttps:
        return RawHttps(self.port, self.tls.certificate)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    files = ensure_keys(Settings(data=tmp_path_factory.mktemp("keys")))
    return Tls(files.tls_certificate, files.tls_key)


@contextmanager
def listening(tls: Tls) -> Iterator[Running]:
    running = Running(Probe(), tls)
    running.thread.start()
    assert running.started.wait(10)
    try:
        yield running
    finally:
        running.probe.release.set()
        running.listener.stop()
        running.thread.join(10)
        running.socket.close()
    assert not running.thread.is_alive()


@pytest.mark.parametrize(
    "request_text",
    [
        b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nshort",
        b"PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        b"PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n9\r\nabc",
        b"PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nZZ\r\n",
    ],
)
@pytest.mark.parametrize("politely", [True, False])
def test_a_client_that_vanishes_in_its_body_is_a_disconnect(tls: Tls, request_text: bytes, *, politely: bool) -> None:
    """Never the end of the body: the rule that uploads stand on."""
    with listening(tls) as running:
        client = running.connect()
        client.send(request_text)
        eventually(lambda: running.probe.messages, what="the first piece")
        (client.socket.close if politely else client.vanish)()

        eventually(lambda: "http.disconnect" in running.probe.kinds, what="the disconnect")
        assert all(message["more_body"] for message in running.probe.messages[:-1])


def test_a_client_that_leaves_while_it_is_served_is_noticed(tls: Tls) -> None:
    """What is sent to nobody raises nothing; receive tells."""
    with listening(tls) as running:
        client = running.connect()
        client.begin("GET", "/watch", {})
        eventually(lambda: running.probe.messages, what="the empty body")
        client.vanish()

        eventually(lambda: "http.disconnect" in running.probe.kinds, what="the disconnect")


def test_a_refusal_comes_instead_of_100_continue(tls: Tls) -> None:
    """The body is asked for only when the application reads it."""
    with listening(tls) as running:
        expecting = {"Expect": "100-continue", "Content-Length": "5"}
        with running.connect() as client:
            client.begin("PUT", "/refuse", expecting)
            assert client.answer().status == 409
        with running.connect() as client:
            client.begin("PUT", "/x", expecting)
            assert client.answer().status == 100
            client.send(b"12345")
            assert client.answer().status == 200


def test_a_request_with_both_lengths_cannot_smuggle_another(tls: Tls) -> None:
    """The server reads it as chunked and closes (RFC 9112 6.1); what follows is never a request."""
    with listening(tls) as running, running.connect() as client:
        client.send(
            b"PUT /first HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        assert client.ended(10)
        assert [scope["path"] for scope in running.probe.scopes] == ["/first"]


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nContent-Length: 5",
        b"Content-Length: -1",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: chunked, gzip",
    ],
)
def test_doubtful_framing_is_refused(tls: Tls, head: bytes) -> None:
    """400, and the application never sees it."""
    with listening(tls) as running, running.connect() as client:
        client.send(b"PUT /x HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n\r\nabcde")
        assert client.answer().status == 400
        assert running.probe.scopes == []


def test_a_cut_breaks_the_answer(tls: Tls) -> None:
    """The client can tell that it does not have the whole."""
    with listening(tls) as running, running.connect() as client:
        client.begin("GET", "/cut", {})
        got = client.answer()

        assert (got.status, got.body, got.complete) == (200, b"part", False)


def test_the_raw_path_comes_undecoded(tls: Tls) -> None:
    """So that it is decoded once, and by us."""
    with listening(tls) as running, running.connect() as client:
        client.ask("GET", "/a%2fb/%2e%2e/c?query")

        assert running.probe.scopes[0]["raw_path"] == b"/a%2fb/%2e%2e/c"


def test_stopping_lets_requests_end_and_takes_no_new_ones(tls: Tls) -> None:
    """From another thread; idle connections are closed."""
    with listening(tls) as running:
        idle, busy = running.connect(), running.connect()
        idle.ask("GET", "/x")
        busy.begin("GET", "/slow", {})
        eventually(lambda: len(running.probe.scopes) == 2, what="the slow request")
        running.listener.stop()

        assert idle.ended(10)
        assert running.thread.is_alive()
        running.probe.release.set()
        assert busy.answer().status == 200
        running.thread.join(10)
        assert not running.thread.is_alive()


def test_the_inherited_socket_stays_the_caller_s(tls: Tls) -> None:
    """After a stop it can serve again: the supervisor keeps it across workers."""
    with listening(tls) as running:
        running.listener.stop()
        running.thread.join(10)
        assert running.port == running.socket.getsockname()[1]


def test_tls_1_2_is_served(tls: Tls) -> None:
    """Older Windows clients have no 1.3; the server's own default would leave them out."""
    context = ssl.create_default_context(cafile=str(tls.certificate))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        listening(tls) as running,
        socket.create_connection(("127.0.0.1", running.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.version() == "TLSv1.2"


def test_plain_http_gets_nothing(tls: Tls) -> None:
    """Not even an error page: no password can be sent that way."""
    with listening(tls) as running, socket.create_connection(("127.0.0.1", running.port)) as plain:
        plain.settimeout(10)
        plain.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

        assert b"HTTP" not in plain.recv(1000)
        assert running.probe.scopes == []


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"])
def test_a_key_in_another_form_is_refused_with_the_remedy(tls: Tls, tmp_path: Path, kind: str) -> None:
    """Before anything listens, instead of a panic in the HTTP server."""
    key = tmp_path / "old.key"
    key.write_text(f"-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n")
    with socket.create_server(("127.0.0.1", 0)) as listening_socket:
        listener = Listener(Probe(), listening_socket, Tls(tls.certificate, key))

        async def main() -> None:
            listener.start()

        with pytest.raises(UnusableKey, match="openssl pkcs8"):
            asyncio.run(main())
