"""One worker process as the supervisor holds it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from server.runtime.channel import CHUNK, Lines, Message, encode
from server.runtime.roles import Role


def start_python(module: str, arguments: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start this interpreter afresh on one of our modules, with these descriptors and no others.

    By exec and not by fork: a process that has threads or an event loop cannot be forked safely.
    ``-P`` keeps a folder called ``server`` in the working directory from being taken for ours.
    """
    command = [sys.executable, "-P", "-m", module, *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=descriptors)  # noqa: S603 - our own interpreter


class WorkerProcess:
    """A started worker: its channel, its end, and whether it is ready."""

    def __init__(self, role: Role, number: int, listening: Sequence[socket.socket]) -> None:
        self.role = role
        self.number = number
        self.name = f"{role}-{number}-{secrets.token_hex(4)}"
        self.started_at = time.monotonic()
        self.ready_at: float | None = None
        self.began = False
        self.killed = False
        self._listening = [one.fileno() for one in listening]
        self._lines = Lines()
        self.channel, theirs = socket.socketpair()
        try:
            arguments = (role.value, str(theirs.fileno()))
            self._popen = start_python("server.runtime.worker", arguments, (theirs.fileno(), *self._listening))
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()
        self.channel.setblocking(False)
        try:
            self.pidfd = os.pidfd_open(self._popen.pid)
        except BaseException:
            self._popen.kill()
            self._popen.wait()
            self.channel.close()
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def begin(self, settings_json: str, previous: str | None) -> None:
        """Give the settings and let it serve."""
        self.began = True
        self._send({"settings": settings_json, "worker": self.name, "previous": previous, "sockets": self._listening})

    def drain(self, grace_s: float) -> None:
        """Tell it to end; one that has not begun ends at once."""
        if not self.began:
            self.kill()
        self._send({"command": "drain", "grace_s": grace_s})

    def kill(self) -> None:
        """End it hard. It is not reaped yet, so its id is still its own."""
        self.killed = True
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def read(self) -> list[Message] | None:
        """Give what it said; None once its end of the channel is closed. Raises ValueError for nonsense."""
        try:
            data = self.channel.recv(CHUNK)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        return list(self._lines.feed(data)) if data else None

    def reap(self) -> int:
        """Collect its exit status (negative: the signal that ended it) and close what belonged to it."""
        status = self._popen.wait()
        os.close(self.pidfd)
        self.channel.close()
        return status

    def _send(self, message: Message) -> None:
        try:
            self.channel.sendall(encode(message))
        except OSError:
            return  # it is ending: its pidfd says so
