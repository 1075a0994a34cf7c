"""SFTP v3 packet by packet over a paramiko channel, for what no client does of itself."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import paramiko

INIT, VERSION, OPEN, CLOSE, READ, WRITE = 1, 2, 3, 4, 5, 6
OPENDIR, READDIR, REMOVE, REALPATH, STAT, EXTENDED = 11, 12, 13, 16, 17, 200
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY = 101, 102, 103, 104, 105, 201
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, UNSUPPORTED = 0, 1, 2, 3, 4, 5, 8
F_READ, F_WRITE, F_APPEND, F_CREAT, F_TRUNC, F_EXCL = 1, 2, 4, 8, 16, 32
NO_ATTRS: Final = b"\0\0\0\0"


def string(data: bytes) -> bytes:
    """An SSH string."""
    return struct.pack(">I", len(data)) + data


class RawSftp:
    """One SFTP channel; every request gets the next id."""

    def __init__(self, transport: paramiko.Transport, version: int = 3) -> None:
        self.channel = transport.open_session()
        self.channel.settimeout(30)
        self.channel.invoke_subsystem("sftp")
        self._next = 0
        self.packet(INIT, struct.pack(">I", version))
        kind, self.version = self.receive()
        assert kind == VERSION

    def packet(self, kind: int, body: bytes) -> None:
        self.channel.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def send(self, kind: int, body: bytes) -> int:
        """Send a request without waiting; its id."""
        self._next += 1
        self.packet(kind, struct.pack(">I", self._next) + body)
        return self._next

    def receive(self) -> tuple[int, bytes]:
        """The next packet, of any kind."""
        (length,) = struct.unpack(">I", self._exactly(4))
        packet = self._exactly(length)
        return packet[0], packet[1:]

    def ask(self, kind: int, body: bytes) -> tuple[int, bytes]:
        """Send a request and give its answer without the id."""
        request = self.send(kind, body)
        answer, rest = self.receive()
        assert struct.unpack(">I", rest[:4])[0] == request
        return answer, rest[4:]

    def status(self, kind: int, body: bytes) -> int:
        """Send a request that is answered by a status; its code."""
        answer, rest = self.ask(kind, body)
        assert answer == STATUS, (answer, rest)
        return int(struct.unpack(">I", rest[:4])[0])

    def open(self, path: bytes, flags: int) -> bytes:
        """Open a file; its handle as an SSH string."""
        answer, rest = self.ask(OPEN, string(path) + struct.pack(">I", flags) + NO_ATTRS)
        assert answer == HANDLE, (answer, rest)
        return rest

    def write(self, handle: bytes, offset: int, data: bytes) -> int:
        return self.status(WRITE, handle + struct.pack(">Q", offset) + string(data))

    def read(self, handle: bytes, offset: int, size: int) -> bytes:
        answer, rest = self.ask(READ, handle + struct.pack(">QI", offset, size))
        return rest[4:] if answer == DATA else b""

    def close(self, handle: bytes) -> int:
        return self.status(CLOSE, handle)

    def message(self, kind: int, body: bytes) -> str:
        """Send a request that fails; the sentence that the client gets."""
        answer, rest = self.ask(kind, body)
        assert answer == STATUS
        (length,) = struct.unpack(">I", rest[4:8])
        return rest[8 : 8 + length].decode()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.channel.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


@contextmanager
def raw_sftp(transport: paramiko.Transport, name: str, password: str) -> Iterator[RawSftp]:
    """Sign in and open a channel."""
    transport.auth_password(name, password, fallback=False)
    yield RawSftp(transport)
