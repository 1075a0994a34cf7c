"""One client: its thread, its event loop, and the way in for other threads."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from OpenSSL import SSL

from auth_backends.api import Credential, FrontEnd, Refused, TryLater
from config.settings import FtpsSettings
from server.ftps.errors import trace_of
from server.ftps.handler import ControlChannel
from server.ftps.loop import SessionLoop, Waker
from server.ftps.tls import TlsContexts
from server.sessions import Session
from server.sign_in import SignIn

log = structlog.get_logger(__name__)

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s; what the kernel has not sent yet is dropped


@dataclass(frozen=True, slots=True)
class Site:
    """What all connections of a worker share."""

    settings: FtpsSettings
    contexts: TlsContexts
    sign_in: SignIn


class Connection:
    """One control connection with its data connection and its session.

    pyftpdlib and all blocking calls run in ``_serve``'s thread only. ``cut`` and ``drain`` may be
    called from any thread.
    """

    def __init__(
        self, sock: socket.socket, peer: str, site: Site, *, implicit: bool, gone: Callable[[Connection], None]
    ) -> None:
        self.peer = peer
        self.implicit = implicit
        self.settings = site.settings
        self.context: SSL.Context = site.contexts.for_connection()
        self.loop: SessionLoop | None = None
        self.session: Session | None = None
        self._site = site
        self._sock = sock
        self._gone = gone
        self._waker = Waker()
        self._lock = threading.Lock()
        self._wires: set[socket.socket] = set()
        self._cut: str | None = None
        self._drain = False
        self._thread = threading.Thread(target=self._serve, name=f"ftps-{peer}", daemon=True)

    def start(self) -> None:
        """Serve the client in a new thread; ``RuntimeError`` if there can be none."""
        self._thread.start()

    def discard(self) -> None:
        """Release a connection that was never started."""
        self._waker.close()
        self._sock.close()

    # --- from any thread

    def cut(self, reason: str) -> None:
        """Drop control and data connection at once, without committing; returns at once."""
        with self._lock:
            if self._cut is not None:
                return
            self._cut = reason
            for wire in self._wires:
                with contextlib.suppress(OSError):  # not connected any more
                    wire.shutdown(socket.SHUT_RDWR)
        self._waker.wake()

    def drain(self) -> None:
        """Let the running transfer end, then say goodbye; returns at once."""
        self._drain = True
        self._waker.wake()

    # --- from the connection's thread

    def track(self, wire: socket.socket) -> None:
        """Let ``cut`` reach a socket; one that comes too late is shut at once."""
        with self._lock:
            self._wires.add(wire)
            if self._cut is not None:
                with contextlib.suppress(OSError):
                    wire.shutdown(socket.SHUT_RDWR)

    def untrack(self, wire: socket.socket) -> None:
        """Forget a socket that is about to be closed, so that ``cut`` never meets a reused descriptor."""
        with self._lock:
            self._wires.discard(wire)
            if self._cut is not None:
                with contextlib.suppress(OSError):
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def try_in(self, credential: Credential) -> Session | Refused | TryLater:
        """Sign in; blocks only this client."""
        answer = self._site.sign_in.try_in(FrontEnd.FTPS, credential, self.peer, self.cut)
        if not isinstance(answer, (Refused, TryLater)):
            self.session = answer
        return answer

    def _serve(self) -> None:
        loop = self.loop = SessionLoop()
        try:
            self._waker.attach(loop)
            channel = ControlChannel(self._sock, self, loop)
            if channel.connected:
                channel.begin()
            self._run(loop, channel)
        except Exception as error:  # noqa: BLE001 - the last to hear of it; the connection ends
            log.error("ftps.connection_failed", peer=self.peer, trace=trace_of(error))  # noqa: TRY400 - see trace_of
        finally:
            self._end(loop)

    def _run(self, loop: SessionLoop, channel: ControlChannel) -> None:
        draining = False
        while True:
            wait_s = loop.sched.poll()
            if channel.gone:
                return
            if self._cut is not None:
                channel.close()
                return
            if self._drain and not draining:
                draining = True
                channel.drain()
                continue
            loop.poll(wait_s)

    def _end(self, loop: SessionLoop) -> None:
        try:
            loop.close()
            self._waker.close()
            self._sock.close()
            if self.session is not None:
                self.session.end(self._cut or "closed")
        except Exception as error:  # noqa: BLE001 - the last to hear of it; nothing is left to end
            log.error("ftps.connection_end_failed", peer=self.peer, trace=trace_of(error))  # noqa: TRY400 - see trace_of
        finally:
            self._gone(self)
