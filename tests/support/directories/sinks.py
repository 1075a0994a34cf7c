"""Places on loopback that a client should not get anywhere with: a trap for referrals, and a black hole."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Self

_STOP_DEADLINE_S = 10.0
_CHUNK = 1 << 16
_FILLERS = 16


class Listener:
    """A server on a free port of 127.0.0.1 with a thread for each connection; ``serve`` is for subclasses.

    ``received`` has what each connection has sent so far, in the order in which they came, and ``connections`` is
    their number. ``stop`` ends every connection and every thread.
    """

    ip = host = "127.0.0.1"

    def __init__(self) -> None:
        self._recorded: list[bytearray] = []
        self._open: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._listener = socket.create_server((self.ip, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name=type(self).__name__, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        with self._lock:
            return len(self._recorded)

    @property
    def received(self) -> list[bytes]:
        """What each connection has sent, decrypted where it spoke TLS."""
        with self._lock:
            return [bytes(record) for record in self._recorded]

    def stop(self) -> None:
        """Refuse new connections, break the present ones, and wait for the threads to end."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(_STOP_DEADLINE_S)
        with self._lock:
            for each in self._open.values():
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join(_STOP_DEADLINE_S)

    def serve(self, connection: socket.socket, record: bytearray, number: int) -> None:
        """Talk on one connection, the ``number``-th from 0, adding to ``record`` what came; OSError ends it."""
        raise NotImplementedError

    def replace(self, number: int, connection: socket.socket) -> None:
        """Say that a connection goes on under another socket object, as under TLS; ``stop`` ends that one."""
        with self._lock:
            self._open[number] = connection
        if self.stopping.is_set():
            raise OSError

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            record = bytearray()
            with self._lock:
                arguments = (connection, record, len(self._recorded))
                self._recorded.append(record)
                self._open[arguments[2]] = connection
                thread = threading.Thread(target=self._run, args=arguments, name=type(self).__name__, daemon=True)
                self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket, record: bytearray, number: int) -> None:
        with contextlib.suppress(OSError):
            self.serve(connection, record, number)
        with self._lock:
            self._open.pop(number).close()


class Trap(Listener):
    """Where a rogue referral points to: it reads and records what it gets and says nothing.

    A client that does not follow referrals leaves ``connections`` at 0.
    """

    @property
    def url(self) -> str:
        """The LDAP URL of the trap."""
        return f"ldap://{self.ip}:{self.port}/dc=trap,dc=test"

    def serve(self, connection: socket.socket, record: bytearray, number: int) -> None:
        """Read to the end."""
        while chunk := connection.recv(_CHUNK):
            record += chunk


class Blackhole:
    """An address whose SYNs are never answered: a connection to ``host``:``port`` neither succeeds nor fails.

    Its listening socket never accepts, and its queue is full: Linux then drops SYNs.
    """

    ip = host = "127.0.0.1"

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind((self.ip, 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers: list[socket.socket] = []
        while self._accepts():
            assert len(self._fillers) < _FILLERS, "the queue of a listening socket is never full here"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Give the address back; what waits for it is refused."""
        for each in (self._listener, *self._fillers):
            each.close()

    def _accepts(self) -> bool:
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex((self.ip, self.port))
        self._fillers.append(filler)
        _, is_connected, _ = select.select([], [filler], [], 0.1)
        return bool(is_connected)
