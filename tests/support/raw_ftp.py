"""An FTP client that does what it is told, also what no client should do."""

from __future__ import annotations

import socket
import ssl
import struct
from types import TracebackType
from typing import Self

from tests.support.ftps_site import NAME, PASSWORD, FtpsSite

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class RawFtp:
    """One control connection; replies are read one at a time and compared by the tests."""

    def __init__(self, site: FtpsSite, *, implicit: bool = False, greet: bool = True) -> None:
        self.site = site
        self.context = site.context()
        self.sock: socket.socket = socket.create_connection(
            ("127.0.0.1", site.implicit_port if implicit else site.port), timeout=20
        )
        self.buffer = b""
        if implicit:
            self.wrap()
        if greet:
            assert self.reply().startswith("220 ")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    # --- the control connection

    def wrap(self) -> None:
        """Do the TLS handshake."""
        self.sock = self.context.wrap_socket(self.sock, server_hostname="localhost")

    def send(self, *lines: str | bytes) -> None:
        """Send lines in one segment."""
        self.sock.sendall(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines))

    def reply(self) -> str:
        """Read one reply, all its lines; ``""`` if the server has closed."""
        text = line = self._line()
        while line[3:4] == "-" or (line and not line[:3].isdigit()) or line.startswith(" "):
            line = self._line()
            text += "\n" + line
        return text

    def _line(self) -> str:
        while b"\r\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                data = b""
            if not data:
                return ""
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode()

    def ask(self, line: str | bytes) -> str:
        """Send one command and read its reply."""
        self.send(line)
        return self.reply()

    def closed(self) -> bool:
        """Whether the server has closed the connection, after reading what it still sent."""
        while self.reply():
            pass
        return True

    def secure(self) -> Self:
        """AUTH TLS."""
        assert self.ask("AUTH TLS").startswith("234 ")
        self.wrap()
        return self

    def login(self, name: str = NAME, password: str = PASSWORD) -> Self:
        """Sign in and protect the data connection; TLS is on after it."""
        if not isinstance(self.sock, ssl.SSLSocket):
            self.secure()
        assert self.ask(f"USER {name}").startswith("331 ")
        assert self.ask(f"PASS {password}").startswith("230 ")
        assert self.ask("PBSZ 0").startswith("200 ")
        assert self.ask("PROT P").startswith("200 ")
        return self

    def vanish(self) -> None:
        """Reset the connection."""
        reset(self.sock)

    # --- data connections

    def passive(self) -> int:
        """Ask for a passive port."""
        reply = self.ask("EPSV")
        assert reply.startswith("229 "), reply
        return int(reply.split("|")[3])

    def connect(self, port: int | None = None) -> socket.socket:
        """Connect to a passive port; TLS comes later."""
        return socket.create_connection(("127.0.0.1", self.passive() if port is None else port), timeout=20)

    def data_tls(self, sock: socket.socket) -> ssl.SSLSocket:
        """Do the TLS handshake of a data connection, resuming the control connection's session."""
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        return self.context.wrap_socket(sock, server_hostname="localhost", session=session, suppress_ragged_eofs=False)

    def start_upload(self, command: str) -> ssl.SSLSocket:
        """Open a data connection for ``command`` (STOR, APPE, STOU) and give it, ready to send."""
        sock = self.connect()
        reply = self.ask(command)
        assert reply[:4] in {"150 ", "125 "}, reply
        return self.data_tls(sock)

    def upload(self, command: str, data: bytes) -> str:
        """Send ``data`` properly and give the final reply."""
        data_sock = self.start_upload(command)
        data_sock.sendall(data)
        data_sock.unwrap().close()
        return self.reply()

    def download(self, command: str) -> tuple[bytes, str]:
        """Fetch a file or listing and give it with the final reply."""
        sock = self.connect()
        reply = self.ask(command)
        assert reply[:4] in {"150 ", "125 "}, reply
        data_sock = self.data_tls(sock)
        data = b""
        while block := data_sock.recv(65536):
            data += block
        data_sock.close()
        return data, self.reply()


def read_to_the_end(sock: socket.socket) -> None:
    """Read until TLS says goodbye; raises if the connection ends without."""
    while sock.recv(1 << 20):
        pass


def send_without_end(sock: socket.socket) -> None:
    """Send until that fails."""
    while True:
        sock.sendall(b"x" * 65536)


def reset(sock: socket.socket) -> None:
    """Close with RST: what is under way is lost, and TLS says no goodbye."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()


def cut_off(sock: socket.socket) -> None:
    """Close with FIN and without TLS close_notify."""
    sock.shutdown(socket.SHUT_RDWR)
    sock.close()
