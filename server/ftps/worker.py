"""The FTPS worker process: accepts on both ports and gives every client a thread."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Sequence

import structlog

from server.ftps.connection import Connection, Site
from server.ftps.limits import Admission, Admissions, ConnectionLimits
from server.ftps.tls import TlsContexts
from server.services import Control, Services

log = structlog.get_logger(__name__)

ACCEPT_PAUSE_S = 0.2  # when descriptors or threads have run out
LAST_GOODBYE_S = 5.0  # how long cut connections may take to unwind

REFUSALS = {
    Admission.FULL: b"421 Too many connections; try again later.\r\n",
    Admission.ADDRESS_FULL: b"421 Too many connections from your address.\r\n",
}


def run(services: Services, sockets: Sequence[socket.socket], control: Control) -> None:
    """Serve until drained: explicit TLS on ``sockets[0]``, implicit TLS on ``sockets[1]``."""
    logging.getLogger("pyftpdlib").setLevel(logging.WARNING)  # below that it formats a line for every event
    settings = services.settings.ftps
    contexts = TlsContexts(
        services.keys.tls_certificate, services.keys.tls_key, per_connection=settings.require_session_reuse
    )
    site = Site(settings, contexts, services.sign_in)
    limits = ConnectionLimits(settings.max_connections, settings.max_connections_per_address)
    listener = Listener(site, limits, explicit=sockets[0], implicit=sockets[1])
    control.on_drain(listener.drain)
    control.ready()
    listener.serve()


class Listener:
    """Accepts clients and knows those that are connected."""

    def __init__(
        self, site: Site, limits: ConnectionLimits, *, explicit: socket.socket, implicit: socket.socket
    ) -> None:
        self._site = site
        self._admissions = Admissions(limits)
        self._ports = ((explicit, False), (implicit, True))
        self._connections: set[Connection] = set()
        self._changed = threading.Condition()
        self._grace_s: float | None = None
        self._wake_near, self._wake_far = socket.socketpair()
        self._wake_near.setblocking(False)
        self._wake_far.setblocking(False)

    def serve(self) -> None:
        """Accept until ``drain``, then let transfers end within its grace, cut the rest, and return."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_near, selectors.EVENT_READ, None)
            for port, implicit in self._ports:
                port.setblocking(False)
                selector.register(port, selectors.EVENT_READ, implicit)
            while self._grace_s is None:
                for key, _ in selector.select():
                    if key.data is not None and self._grace_s is None:
                        self._accept(key.fileobj, implicit=key.data)  # type: ignore[arg-type]  # a listening socket
        for port, _ in self._ports:
            port.close()
        self._see_off(self._grace_s)
        self._wake_near.close()
        self._wake_far.close()

    def drain(self, grace_s: float) -> None:
        """Stop accepting; thread-safe, returns at once."""
        self._grace_s = grace_s
        with contextlib.suppress(OSError):
            self._wake_far.send(b"!")

    @property
    def connections(self) -> frozenset[Connection]:
        """Clients that are connected now."""
        with self._changed:
            return frozenset(self._connections)

    def _accept(self, port: socket.socket, *, implicit: bool) -> None:
        try:
            sock, address = port.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("ftps.accept_failed", error=repr(error))
            time.sleep(ACCEPT_PAUSE_S)  # out of descriptors: the port stays readable, so do not spin
            return
        peer = str(address[0])
        admission = self._admissions.enter(peer)
        if admission is not Admission.ADMITTED:
            log.info("ftps.refused", peer=peer, why=admission.name.lower())
            with contextlib.suppress(OSError), sock:
                sock.setblocking(False)
                if not implicit:
                    sock.send(REFUSALS[admission])
            return
        self._start(sock, peer, implicit=implicit)

    def _start(self, sock: socket.socket, peer: str, *, implicit: bool) -> None:
        try:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection = Connection(sock, peer, self._site, implicit=implicit, gone=self._forget)
        except OSError as error:
            log.warning("ftps.start_failed", error=repr(error))
            sock.close()
            self._admissions.leave(peer)
            return
        with self._changed:
            self._connections.add(connection)
        try:
            connection.start()
        except RuntimeError as error:  # no more threads
            log.warning("ftps.start_failed", error=repr(error))
            connection.discard()
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self._admissions.leave(connection.peer)
        with self._changed:
            self._connections.discard(connection)
            self._changed.notify_all()

    def _see_off(self, grace_s: float) -> None:
        for connection in self.connections:
            connection.drain()
        if not self._wait_until_empty(grace_s):
            for connection in self.connections:
                connection.cut("drained")
            if not self._wait_until_empty(LAST_GOODBYE_S):
                log.warning("ftps.connections_left", count=len(self.connections))

    def _wait_until_empty(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._connections, timeout=timeout_s)
