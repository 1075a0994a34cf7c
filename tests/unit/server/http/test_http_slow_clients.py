"""Clients that take their time with what comes before a request's body."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop

from config.settings import Settings
from server.http import listener
from server.http.listener import Listener, Receive, Scope, Send, Tls
from server.runtime.keys import ensure_keys
from tests.support.raw_http import RawHttps


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request at once."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, Path]]:
    files = ensure_keys(Settings(data=folder))
    inherited = socket.create_server(("127.0.0.1", 0))
    served = Listener(hello, inherited, Tls(files.tls_certificate, files.tls_key))
    started = threading.Event()

    async def main() -> None:
        served.start()
        started.set()
        await served.ended()

    thread = threading.Thread(target=lambda: uvloop.run(main()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield inherited.getsockname()[1], files.tls_certificate
    finally:
        served.stop()
        thread.join(10)
        inherited.close()
    assert not thread.is_alive()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_a_head_that_does_not_come_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """Nothing, a part of a head, nothing more after an answer: no connection is held for ever."""
    monkeypatch.setattr(listener, "HEADER_TIMEOUT_MS", 1000)
    with serving(tmp_path) as (port, certificate), RawHttps(port, certificate) as client:
        client.send(sent)

        assert client.ended(10)


@pytest.mark.system  # not of the inner loop: the HTTP server's own ten seconds cannot be shortened
def test_a_handshake_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    """A bare TCP connection holds no place either."""
    with serving(tmp_path) as (port, _), socket.create_connection(("127.0.0.1", port), 20) as client:
        assert client.recv(1) == b""


def test_a_head_without_measure_is_refused(tmp_path: Path) -> None:
    """The end, or 431, long before it fills the memory."""
    with serving(tmp_path) as (port, certificate), RawHttps(port, certificate) as client:
        with contextlib.suppress(OSError):  # the server may end the connection while this is sent
            client.begin("GET", "/", {"X-Long": "x" * 1024 * 1024})

        assert client.answer().status in {0, 431}
