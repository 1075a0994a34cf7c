"""An HTTPS client that sends what it is told, byte by byte, and reads one answer."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; ``complete`` says whether its whole body came."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool = True


class RawHttps:
    """One TLS connection to the loopback; the certificate is held against ``certificate``."""

    def __init__(self, port: int, certificate: Path) -> None:
        context = ssl.create_default_context(cafile=str(certificate))
        plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self._held = b""

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send a request with a Content-Length and read its answer."""
        self.begin(method, path, {"Content-Length": str(len(body)), **(headers or {})})
        self.send(body)
        return self.answer(head=method == "HEAD")

    def begin(self, method: str, path: str, headers: dict[str, str]) -> None:
        """Send only the head of a request."""
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: localhost",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def answer(self, *, head: bool = False) -> Answer:
        """Read one answer, also one that breaks off; 1xx answers are answers of their own."""
        while b"\r\n\r\n" not in self._held:
            if not self._more():
                return Answer(0, {}, self._held, complete=False)
        top, _, self._held = self._held.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split()[1])
        if head or status in {100, 204, 304}:
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            body, complete = self._chunks()
        else:
            body, complete = self._exactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body, complete)

    def ended(self, within_s: float = TIMEOUT_S) -> bool:
        """Whether the server ends the connection within the time (whatever it sends before)."""
        self.socket.settimeout(within_s)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def vanish(self) -> None:
        """End the TCP connection without a TLS goodbye, as a client that was killed."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.socket.close()

    def _exactly(self, size: int) -> tuple[bytes, bool]:
        while len(self._held) < size and self._more():
            pass
        body, self._held = self._held[:size], self._held[size:]
        return body, len(body) == size

    def _chunks(self) -> tuple[bytes, bool]:
        body = b""
        while True:
            while b"\r\n" not in self._held:
                if not self._more():
                    return body, False
            size, _, self._held = self._held.partition(b"\r\n")
            piece, complete = self._exactly(int(size, 16) + 2)
            body += piece[:-2]
            if not complete or int(size, 16) == 0:
                return body, complete

    def _more(self) -> bool:
        try:
            piece = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return False
        self._held += piece
        return bool(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
