"""Addresses of servers, with a limit on the time that DNS may take.

``getaddrinfo`` cannot be given a timeout, so it runs in a daemon thread, one for each name at a time. A known address
serves when DNS fails or is late: TLS proves who answers there.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from ipaddress import ip_address

from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import NameUnresolved
from auth_backends.ldap.transport import SocketAddress

FRESH_S = 30.0
MAX_ADDRESSES = 4

Lookup = Callable[[str, int], Sequence[SocketAddress]]


def look_up(host: str, port: int) -> Sequence[SocketAddress]:
    """Ask the system for a host's addresses. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(place[0]), port) for family, _, _, _, place in found][:MAX_ADDRESSES]


class Resolver:
    """Thread-safe. ``monotonic`` is a clock."""

    def __init__(self, lookup: Lookup = look_up, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], tuple[float, Sequence[SocketAddress]]] = {}
        self._asked: dict[tuple[str, int], Future[Sequence[SocketAddress]]] = {}

    def addresses(self, host: str, port: int, deadline: Deadline) -> Sequence[SocketAddress]:
        """Give the addresses of a host in the order in which to try them. Raises NameUnresolved."""
        if (literal := _literal(host, port)) is not None:
            return literal
        with self._lock:
            known = self._known.get((host, port))
        if known is not None and self._monotonic() - known[0] < FRESH_S:
            return known[1]
        try:
            return self._ask(host, port).result(timeout=deadline.left())
        except (OSError, UnicodeError, FutureTimeout) as error:
            if known is not None:
                return known[1]
            why = "DNS does not answer in time" if isinstance(error, TimeoutError) else f"DNS has no address for {host}"
            raise NameUnresolved(why, f"{host}:{port}") from None

    def _ask(self, host: str, port: int) -> Future[Sequence[SocketAddress]]:
        with self._lock:
            asked = self._asked.get((host, port))
            if asked is None:
                asked = self._asked[host, port] = Future()
                threading.Thread(target=self._answer, args=(asked, host, port), name="dns", daemon=True).start()
        return asked

    def _answer(self, asked: Future[Sequence[SocketAddress]], host: str, port: int) -> None:
        try:
            found = self._lookup(host, port)
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait
            with self._lock:
                del self._asked[host, port]
            asked.set_exception(error)
            return
        with self._lock:
            self._known[host, port] = (self._monotonic(), found)
            del self._asked[host, port]
        asked.set_result(found)


def _literal(host: str, port: int) -> Sequence[SocketAddress] | None:
    try:
        version = ip_address(host).version
    except ValueError:
        return None
    return [(socket.AF_INET6 if version == 6 else socket.AF_INET, host, port)]  # noqa: PLR2004 - IPv6
