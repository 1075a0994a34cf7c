"""The event loop of one session: pyftpdlib's, without its bookkeeping of interest."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from pyftpdlib.ioloop import IOLoop


class SessionLoop(IOLoop):  # type: ignore[misc]  # pyftpdlib has no types
    """An epoll loop that asks each channel, before every wait, what it wants to hear of.

    pyftpdlib 2.2 remembers the wanted events in two places that come apart (``initiate_send``
    changes one of them only), and then spins on a channel that is writable and has nothing to
    write; lftp drives it there. With the two or three channels of one session, asking is cheap.
    """

    def __init__(self) -> None:
        super().__init__()
        self._interest: dict[int, int] = {}
        self.waits = 0  # turns of the loop; tests watch it to prove that an idle session sleeps

    def register(self, fd: int, instance: Any, events: int) -> None:
        """Start to watch a channel."""
        super().register(fd, instance, events)
        self._interest[fd] = events

    def unregister(self, fd: int) -> None:
        """Stop watching a channel."""
        self._interest.pop(fd, None)
        super().unregister(fd)

    def modify(self, fd: int, events: int) -> None:
        """Do nothing: see the class."""

    def poll(self, timeout: float | None) -> None:
        """Wait for events, at most ``timeout`` seconds, and handle them."""
        for fd, channel in list(self.socket_map.items()):
            wanted = (self.READ if channel.readable() else 0) | (self.WRITE if channel.writable() else 0)
            if fd in self._interest and wanted != self._interest[fd]:
                self._poller.modify(fd, wanted)
                self._interest[fd] = wanted
        self.waits += 1
        super().poll(timeout)


class Waker:
    """Lets another thread end the loop's wait; what it wants is looked up by the loop's owner."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._fileno = self._near.fileno()  # the name that pyftpdlib's loop looks for

    def attach(self, loop: SessionLoop) -> None:
        """Let ``loop`` wake up when ``wake`` is called."""
        loop.register(self._fileno, self, loop.READ)

    def wake(self) -> None:
        """End the loop's present or next wait. Thread-safe; harmless after ``close``."""
        with contextlib.suppress(OSError):  # full: it wakes up anyway; closed: nobody waits
            self._far.send(b"!")

    def readable(self) -> bool:
        """Always: that is its purpose."""
        return True

    def writable(self) -> bool:
        """Never."""
        return False

    def handle_read_event(self) -> None:
        """Swallow the wake-ups."""
        with contextlib.suppress(BlockingIOError):
            while self._near.recv(4096):
                pass

    handle_close = handle_read_event  # only if the far end was closed, and then the owner is ending

    def handle_error(self) -> None:
        """Nothing here can fail that the owner would not see."""

    def close(self) -> None:
        """Release both ends."""
        self._near.close()
        self._far.close()
