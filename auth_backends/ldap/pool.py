"""Connections of the service account that stay open between questions.

No user's password ever comes near them: after a bind as somebody, a shared connection would be that somebody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from auth_backends.ldap.connection import LdapConnection
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.dialer import Dialer
from auth_backends.ldap.errors import AnswerMissing, SearchRefused
from auth_backends.ldap.hosts import Address

IDLE_S = 60.0  # firewalls and directories forget idle connections after minutes
AGE_S = 600.0  # after which changes of DNS and certificates are noticed

T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    connection: LdapConnection
    opened_at: float
    idle_since: float


class Pool:
    """Keeps up to ``size`` idle connections. Thread-safe; ``monotonic`` is a clock."""

    def __init__(self, dialer: Dialer, size: int, monotonic: Callable[[], float]) -> None:
        self._dialer = dialer
        self._size = size
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._idle: deque[tuple[Address, _Kept]] = deque()
        self._closed = False

    def ask(self, address: Address, question: Callable[[LdapConnection], T], deadline: Deadline) -> T:
        """Ask one server something on a connection that nobody else uses meanwhile. Raises DirectoryUnreachable.

        ``question`` may be asked a second time: a kept connection may have been ended by the server meanwhile.
        """
        kept = self._take(address)
        if kept is not None:
            try:
                return self._asked(address, kept, question, deadline.share(2))
            except AnswerMissing:
                if deadline.left() <= 0:
                    raise
        now = self._monotonic()
        fresh = _Kept(self._dialer.open_as_service(address, deadline), now, now)
        return self._asked(address, fresh, question, deadline)

    def close(self) -> None:
        """Close the idle ones; those in use are closed when they come back."""
        with self._lock:
            self._closed = True
            idle = [kept for _, kept in self._idle]
            self._idle.clear()
        for kept in idle:
            kept.connection.close()

    def _asked(self, address: Address, kept: _Kept, question: Callable[[LdapConnection], T], deadline: Deadline) -> T:
        kept.connection.deadline = deadline
        try:
            answer = question(kept.connection)
        except SearchRefused:  # a whole answer: the connection is as good as before
            self._give_back(address, kept)
            raise
        except BaseException:
            kept.connection.close()
            raise
        self._give_back(address, kept)
        return answer

    def _take(self, address: Address) -> _Kept | None:
        now = self._monotonic()
        while (kept := self._popped(address)) is not None:
            if now - kept.idle_since < IDLE_S and now - kept.opened_at < AGE_S and kept.connection.is_idle():
                return kept
            kept.connection.close()
        return None

    def _popped(self, address: Address) -> _Kept | None:
        """Take the one that was used last: the others grow old and go."""
        with self._lock:
            for place in range(len(self._idle) - 1, -1, -1):
                if self._idle[place][0] == address:
                    kept = self._idle[place][1]
                    del self._idle[place]
                    return kept
        return None

    def _give_back(self, address: Address, kept: _Kept) -> None:
        kept.idle_since = now = self._monotonic()
        spare = []
        with self._lock:
            if self._closed:
                spare.append(kept)
            else:
                self._idle.append((address, kept))
            while len(self._idle) > self._size or (self._idle and now - self._idle[0][1].idle_since >= IDLE_S):
                spare.append(self._idle.popleft()[1])
        for each in spare:
            each.connection.close()
