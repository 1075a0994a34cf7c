"""The guarded fetcher's seconds have an end, whoever takes its time. Servers are real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from auth_backends.outgoing import Fetcher, FetchFailed
from tests.support.outgoing_servers import PUBLIC, Answer, RawServer, answering, at, server_context


def drip_body(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    _drip(connection, b"x")


def drip_headers(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    _drip(connection, b"X-A: b\r\n")


def silent(connection: socket.socket, _: bytes) -> None:
    connection.recv(1)  # until the client goes


def _drip(connection: socket.socket, piece: bytes) -> None:
    while True:
        connection.sendall(piece)
        time.sleep(0.05)  # the pace of the one who drips


@pytest.mark.parametrize("answer", [drip_body, drip_headers, silent])
def test_the_deadline_is_for_the_whole_request(serve: Callable[..., RawServer], answer: Answer) -> None:
    """A server that sends a byte now and then holds nobody longer than one that is silent."""
    server = serve(answer)
    began = time.monotonic()

    with pytest.raises(FetchFailed, match=r"did not answer within 0\.5 s"):
        Fetcher(allow_private_hosts=True, timeout_s=0.5).get(server.url, max_bytes=1_000_000)

    assert 0.4 < time.monotonic() - began < 5


def test_a_silent_handshake_ends_too(certificates: dict[str, Path]) -> None:
    """Whoever takes the connection and never speaks TLS is waited for until the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        fetcher = Fetcher(allow_private_hosts=True, timeout_s=0.5, ca_file=certificates["ours"])

        with pytest.raises(FetchFailed, match=r"did not answer within 0\.5 s"):
            fetcher.get(f"https://127.0.0.1:{port}/", max_bytes=10)


@pytest.fixture
def deaf() -> Iterator[Callable[[int], None]]:
    """Makes 127.0.0.2 swallow connections to a port: its queue is full, so that the system answers nobody any more."""
    sockets: list[socket.socket] = []

    def make(port: int) -> None:
        sockets.append(socket.create_server(("127.0.0.2", port), backlog=0))
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
            sockets.append(waiting)

    yield make
    for one in sockets:
        one.close()


@pytest.mark.long
def test_an_address_that_swallows_connections_leaves_time_for_the_next(
    serve: Callable[..., RawServer], certificates: dict[str, Path], deaf: Callable[[int], None]
) -> None:
    """Each address has its share of the time; if no other is left, the deadline holds."""
    server = serve(answering(b"yes"), server_context(certificates["ours"]))
    deaf(server.port)
    url = f"https://idp.example:{server.port}/"

    def fetcher(timeout_s: float, *addresses: str) -> Fetcher:
        lookup = at(*addresses)
        ours = certificates["ours"]
        return Fetcher(allow_private_hosts=True, ca_file=ours, lookup=lookup, timeout_s=timeout_s)

    began = time.monotonic()
    assert fetcher(4, "127.0.0.2", "127.0.0.1").get(url, max_bytes=10).body == b"yes"
    with pytest.raises(FetchFailed, match=r"did not answer within 0\.5 s"):
        fetcher(0.5, "127.0.0.2").get(url, max_bytes=10)
    assert 2 < time.monotonic() - began < 6


def test_slow_dns_ends_too() -> None:
    """The system's look-up knows no timeout; ours does."""
    stop = threading.Event()

    def slow(_host: str, _port: int) -> Sequence[str]:
        stop.wait(30)
        return (PUBLIC,)

    try:
        with pytest.raises(FetchFailed, match=r"did not answer within 0\.3 s"):
            Fetcher(timeout_s=0.3, lookup=slow).get("https://idp.example/", max_bytes=10)
    finally:
        stop.set()
