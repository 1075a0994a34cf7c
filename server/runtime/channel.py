"""The line between the supervisor and one worker: JSON lines over a socket pair."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

MAX_LINE = 1 << 20
CHUNK = 65536

Message = dict[str, object]


def encode(message: Message) -> bytes:
    """Give one message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Lines:
    """Cuts what arrives into messages; what is no JSON object raises ValueError."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """Give the messages that ``data`` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise ValueError("a line on the worker's channel is too long")
        for line in lines:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise ValueError("a line on the worker's channel is no object")  # noqa: TRY004 - bad data, not a bug
            yield message


class Channel:
    """The worker's end, blocking."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._socket.setblocking(True)
        self._lines = Lines()
        self._ready: list[Message] = []

    def send(self, message: Message) -> None:
        """Tell the supervisor; if it is gone, there is nobody to tell."""
        try:
            self._socket.sendall(encode(message))
        except OSError:
            return

    def receive(self) -> Message | None:
        """Wait for the next message; None when the supervisor is gone."""
        while not self._ready:
            try:
                data = self._socket.recv(CHUNK)
            except OSError:
                return None
            if not data:
                return None
            self._ready.extend(self._lines.feed(data))
        return self._ready.pop(0)
