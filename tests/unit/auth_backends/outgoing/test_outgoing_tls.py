"""Which certificates the guarded fetcher accepts. Servers are real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from auth_backends.outgoing import Fetcher, FetchFailed
from tests.support.outgoing_servers import RawServer, answering, at, server_context


def test_a_certificate_of_an_unknown_authority_is_refused(
    serve: Callable[..., RawServer], certificates: dict[str, Path]
) -> None:
    """With the system's authorities and with those of another file; the request is never sent."""
    server = serve(answering(), server_context(certificates["ours"]))

    for ca_file in (None, certificates["others"]):
        with pytest.raises(FetchFailed, match=r"the certificate of 127\.0\.0\.1 is not accepted"):
            Fetcher(allow_private_hosts=True, ca_file=ca_file).get(server.url, max_bytes=10)

    assert server.requests == []


@pytest.mark.parametrize(
    ("certificate", "host"),
    [("ours", "other.example"), ("ours", "common.example"), ("nameless", "common.example")],
)
def test_a_certificate_for_another_name_is_refused(
    serve: Callable[..., RawServer], certificates: dict[str, Path], certificate: str, host: str
) -> None:
    """The common name is no name (RFC 9525), not even where there is no other."""
    server = serve(answering(), server_context(certificates[certificate]))
    fetcher = Fetcher(allow_private_hosts=True, ca_file=certificates[certificate], lookup=at("127.0.0.1"))

    with pytest.raises(FetchFailed, match="is not accepted"):
        fetcher.get(f"https://{host}:{server.port}/", max_bytes=10)

    assert server.requests == []


def test_a_server_that_speaks_no_tls_is_a_sentence(
    serve: Callable[..., RawServer], certificates: dict[str, Path]
) -> None:
    """TLS to a port that speaks plain text."""

    def plain(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                plain(connection)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(FetchFailed, match=r"TLS with 127\.0\.0\.1 failed"):
            Fetcher(allow_private_hosts=True, ca_file=certificates["ours"]).get(
                f"https://127.0.0.1:{port}/", max_bytes=9
            )
        thread.join(10)


def test_a_ca_file_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    """Before any request, with the file's name."""
    (tmp_path / "empty.pem").write_text("nothing")

    with pytest.raises(FetchFailed, match=r"empty\.pem holds no certificate"):
        Fetcher(ca_file=tmp_path / "empty.pem")
    with pytest.raises(FetchFailed, match=r"absent\.pem cannot be read"):
        Fetcher(ca_file=tmp_path / "absent.pem")
