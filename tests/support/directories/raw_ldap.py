"""A directory client that sends what it is told to, for what a well-behaved one refuses to send."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Self

from tests.support.directories import ldap_wire as wire

PASSWORD_POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"
_CHUNK = 1 << 16


class RawLdap:
    """A connection to a directory server; with ``ca_file`` over LDAPS, where ``name`` must be the server's."""

    def __init__(
        self, ip: str, port: int, *, ca_file: Path | None = None, name: str = "localhost", timeout_s: float = 15.0
    ) -> None:
        self.socket = socket.create_connection((ip, port), timeout_s)
        if ca_file is not None:
            self._encrypt(ca_file, name)
        self._unread = bytearray()
        self._sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def bind(self, dn: str, password: str | bytes, controls: wire.Controls | None = None) -> tuple[int, str]:
        """Send a simple bind, an empty password as any other, and give the result code and its text."""
        code, diagnostic, _ = self.bind_with_controls(dn, password, controls)
        return code, diagnostic

    def bind_with_controls(
        self, dn: str, password: str | bytes, controls: wire.Controls | None = None
    ) -> tuple[int, str, dict[str, bytes]]:
        """Send a simple bind, and give the result code, its text, and the controls that came with it."""
        self.send(wire.encoded(wire.BIND, wire.integer(3), wire.text(dn), wire.text(password, 0x80)), controls)
        answer = self.receive()
        (_, code), _, (_, diagnostic), *_ = wire.parts(answer.body)
        return code[0], diagnostic.decode(), dict(answer.controls)

    def start_tls(self, ca_file: Path, name: str = "localhost") -> int:
        """Ask for StartTLS, do it when the answer is success, and give the result code."""
        self.send(wire.encoded(wire.EXTENDED, wire.text(wire.STARTTLS, 0x80)))
        code = wire.parts(self.receive().body)[0][1][0]
        if code == 0:
            self._encrypt(ca_file, name)
        return code

    def send(self, operation: bytes, controls: wire.Controls | None = None) -> None:
        """Send an operation under the next message number."""
        self._sent += 1
        self.socket.sendall(wire.message(self._sent, operation, controls))

    def receive(self) -> wire.Request:
        """Give the next message that the server sends; ConnectionError when there will be none."""
        while True:
            try:
                return wire.request(self._unread)
            except wire.Incomplete:
                chunk = self.socket.recv(_CHUNK)
                if not chunk:
                    raise ConnectionError(f"ended after {bytes(self._unread)!r}") from None
                self._unread += chunk

    def _encrypt(self, ca_file: Path, name: str) -> None:
        context = ssl.create_default_context(cafile=ca_file)
        self.socket = context.wrap_socket(self.socket, server_hostname=name)
