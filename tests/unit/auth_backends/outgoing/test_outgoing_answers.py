"""What the guarded fetcher brings back, and that an answer has an end. Servers are real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from auth_backends.outgoing import Fetcher, FetchFailed
from tests.support.outgoing_servers import RawServer, answering
from tests.support.waiting import eventually


def test_a_document_comes_back_with_its_headers(serve: Callable[..., RawServer]) -> None:
    """Body, status and headers by their lower-case names; the request says what it accepts and who asks."""
    server = serve(answering(b'{"a": 1}'))

    fetched = Fetcher(allow_private_hosts=True).get(server.url, max_bytes=100, accept="application/xml")

    assert (fetched.status, fetched.body, fetched.headers["x-one"], fetched.url) == (
        200,
        b'{"a": 1}',
        "Two",
        server.url,
    )
    request = server.requests[0].lower()
    assert request.startswith(b"get /document http/1.1")
    for line in (b"accept: application/xml", b"accept-encoding: identity", b"user-agent: quaymaster"):
        assert line in request


def test_a_form_is_posted_and_an_error_is_an_answer(serve: Callable[..., RawServer]) -> None:
    """A token endpoint says why it refuses with status 400; that body is given to the caller."""
    server = serve(answering(b'{"error":"invalid_grant"}', status="400 Bad Request"))

    fetched = Fetcher(allow_private_hosts=True).post_form(
        server.url, {"code": "a&b=c"}, headers={"authorization": "Basic eA=="}, max_bytes=1000
    )

    assert (fetched.status, fetched.body) == (400, b'{"error":"invalid_grant"}')
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"code=a%26b%3Dc"
    assert b"authorization: basic ea==" in head.lower()
    assert b"content-type: application/x-www-form-urlencoded" in head.lower()


def test_a_document_is_posted_as_json(serve: Callable[..., RawServer]) -> None:
    """JSON goes out as JSON, with its content type."""
    server = serve(answering())

    Fetcher(allow_private_hosts=True).post_json(server.url, {"a": [True]}, headers=None, max_bytes=1000)

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert json.loads(body) == {"a": [True]}
    assert b"content-type: application/json" in head.lower()


def test_a_document_must_come_with_status_200(serve: Callable[..., RawServer]) -> None:
    """A page that says "not found" is no document."""
    server = serve(answering(b"{}", status="404 Not Found"))

    with pytest.raises(FetchFailed, match="answered 404"):
        Fetcher(allow_private_hosts=True).get(server.url, max_bytes=100)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(serve: Callable[..., RawServer], status: str) -> None:
    """Not for a document and not for a form: the second server hears nothing."""
    target = serve(answering())
    server = serve(answering(status=status, headers=f"Location: {target.url}\r\n"))
    fetcher = Fetcher(allow_private_hosts=True)

    with pytest.raises(FetchFailed, match="redirects are not followed"):
        fetcher.get(server.url, max_bytes=100)
    with pytest.raises(FetchFailed, match="redirects are not followed"):
        fetcher.post_form(server.url, {}, max_bytes=100)

    assert (len(server.requests), target.connections) == (2, 0)


def test_an_answer_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(serve: Callable[..., RawServer]) -> None:
    """The limit is on the bytes of the body."""
    server = serve(answering(b"x" * 1000))
    fetcher = Fetcher(allow_private_hosts=True)

    assert len(fetcher.get(server.url, max_bytes=1000).body) == 1000
    with pytest.raises(FetchFailed, match="more than 999 bytes"):
        fetcher.get(server.url, max_bytes=999)


def test_an_endless_answer_is_broken_off(serve: Callable[..., RawServer]) -> None:
    """A chunked answer without an end is read up to the limit only."""
    sent: list[int] = []
    gone = threading.Event()

    def endless(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent.append(4096)
        finally:
            gone.set()

    server = serve(endless)

    with pytest.raises(FetchFailed, match="more than 100000 bytes"):
        Fetcher(allow_private_hosts=True, timeout_s=30).get(server.url, max_bytes=100_000)

    assert gone.wait(10), "the connection was left open"


def test_a_compressed_answer_is_refused(serve: Callable[..., RawServer]) -> None:
    """A few bytes could become very many; nobody asked for compression."""
    server = serve(answering(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"))

    with pytest.raises(FetchFailed, match="compressed"):
        Fetcher(allow_private_hosts=True).get(server.url, max_bytes=100)


def test_whoever_speaks_no_http_is_told_so(serve: Callable[..., RawServer]) -> None:
    """An SSH server behind the address is a sentence for the admin."""
    server = serve(lambda connection, _: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"))

    with pytest.raises(FetchFailed, match="does not speak HTTP"):
        Fetcher(allow_private_hosts=True).get(server.url, max_bytes=10)


def test_a_closed_port_is_a_sentence() -> None:
    """Connection refused names the host."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(FetchFailed, match=r"no connection to 127\.0\.0\.1"):
        Fetcher(allow_private_hosts=True).get(f"http://127.0.0.1:{port}/", max_bytes=10)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_threads_share_a_fetcher_and_nothing_stays_open(serve: Callable[..., RawServer]) -> None:
    """Twenty threads get their answers, and afterwards no descriptor is left."""
    server = serve(answering(b"yes"))
    fetcher = Fetcher(allow_private_hosts=True)
    fetcher.get(server.url, max_bytes=10)
    before = open_descriptors()
    bodies: list[bytes] = []

    threads = [
        threading.Thread(target=lambda: bodies.append(fetcher.get(server.url, max_bytes=10).body)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert bodies == [b"yes"] * 20
    eventually(lambda: open_descriptors() <= before, what="the server to close its side in its own time")
