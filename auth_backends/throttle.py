"""Brute-force limits, per user and per network, shared by all workers through the store.

Only failures are written. A sign-in that meets no earlier failure costs one indexed look-up, a
second one if a password is verified, and no write. The user's counter guards what can be guessed,
passwords, and only passwords count in it: an attacker who knows a name can't lock that user's keys
out. The network's counter guards everything.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from typing import Protocol

from auth_backends.api import Address, AttemptLimit, Clock, Reason
from auth_backends.scope import plain_address
from config.settings import AuthSettings
from storage.database.records import User
from storage.database.throttle import Bound, Full, Taken

PRUNE_EVERY = 256  # failures written by this process
KEPT_S = 86_400.0  # a directory may count failures for longer than the site does
TURN_WAIT_S = 10.0
PLACE_WAIT_S = 0.8  # with a directory's 5 s, an answer comes within 6
PLACE_STEP_S = 0.02
PENDING_S = 60.0  # a place that a crashed worker took is free again after this long
_IPV4_BITS = 24
_IPV6_BITS = 64


class FailureTable(Protocol):
    """What is needed of ``Store.throttle``. Times are Unix seconds."""

    def counts(self, keys: Sequence[str], since: float) -> dict[str, int]:
        """Count the failures after a time of each key that has any."""

    def add(self, key: str, at: float) -> None:
        """Write one failure."""

    def take(self, pending_key: str, bounds: Sequence[Bound], *, at: float, pending_since: float) -> Taken | Full:
        """Take a place that failures and other taken places fill."""

    def give_back(self, taken: Taken, failed: Sequence[str] = (), cleared: Sequence[str] = (), at: float = 0.0) -> None:
        """Give a place back, count a failure under some keys and forget those of others."""

    def clear(self, key: str) -> None:
        """Forget the failures of a key."""

    def prune(self, before: float) -> int:
        """Forget the failures of all keys before a time, and give how many."""


class TurnTimeout(Exception):
    """Other sign-ins of the same user did not end in time: cannot tell."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the counters said: the reason to refuse, if any, and the user's failures in the window."""

    refusal: Reason | None
    user_failures: int


class Throttle:
    """Counts failures in a sliding window. Thread-safe; raises StoreError when it cannot tell."""

    def __init__(self, table: FailureTable, settings: AuthSettings, clock: Clock) -> None:
        self._table = table
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._turns: dict[str, _Turn] = {}
        self._written = 0

    def standing(self, name: str | None, peer: Address) -> Standing:
        """Say whether an attempt may be checked; ``name`` None asks for the network alone."""
        since = self._clock() - self._settings.failure_window_s
        network, user = network_key(peer), None if name is None else user_key(name)
        counts = self._table.counts([key for key in (network, user) if key is not None], since)
        failures = 0 if user is None else counts.get(user, 0)
        if counts.get(network, 0) >= self._settings.max_failures_per_network:
            return Standing(Reason.THROTTLED_NETWORK, failures)
        if failures >= self._settings.max_failures_per_user:
            return Standing(Reason.THROTTLED_USER, failures)
        return Standing(None, failures)

    def failed(self, name: str | None, peer: Address) -> None:
        """Count one failure against the network and, if a name is given, against the user, known or not."""
        now = self._clock()
        if name is not None:
            self._table.add(user_key(name), now)
        self._table.add(network_key(peer), now)
        with self._lock:
            self._written += 1
            prune = self._written % PRUNE_EVERY == 0
        if prune:
            self._table.prune(now - max(self._settings.failure_window_s, KEPT_S))

    def succeeded(self, name: str) -> None:
        """Forget the user's failures. The network's stay: one good account must not whitewash an attack."""
        self._table.clear(user_key(name))

    def take_place(self, user: User, limit: AttemptLimit | None) -> Taken | Reason:
        """Take a place for one password before its authority is asked, or give the reason to refuse.

        Over all workers and nodes, passwords that the authority refused and those that are being
        checked never exceed its limit, so that it is never brought to lock the account; nor the
        site's own. Waits a moment for passwords that are being checked. Raises TurnTimeout.
        """
        pause = threading.Event()
        for _ in range(int(PLACE_WAIT_S / PLACE_STEP_S)):
            now = self._clock()
            taken = self._table.take(
                f"try:{user.id}", self._bounds(user, limit, now), at=now, pending_since=now - PENDING_S
            )
            match taken:
                case Taken():
                    return taken
                case Full.BY_FAILURES:
                    return Reason.THROTTLED_USER
                case Full.BY_PENDING:
                    pause.wait(PLACE_STEP_S)
        raise TurnTimeout("other sign-ins of this user take too long")

    def leave_place(self, taken: Taken, user: User, peer: Address, outcome: bool | None) -> None:  # noqa: FBT001 - three answers
        """Give a place back: with a failure (False), a success (True), which the authority forgets by, or neither.

        All in one transaction, so that no other password takes the place meanwhile.
        """
        failed = () if outcome is not False else (_authority_key(user), user_key(user.name), network_key(peer))
        cleared = (_authority_key(user),) if outcome and taken.failures else ()
        self._table.give_back(taken, failed, cleared, self._clock())

    def authority_refuses(self, user: User, limit: AttemptLimit | None) -> bool:
        """Whether the limit of the user's authority is reached, so that no password is sent there now."""
        bound, *_ = self._bounds(user, limit, self._clock())
        return self._table.counts([bound.key], bound.since).get(bound.key, 0) >= bound.limit

    def _bounds(self, user: User, limit: AttemptLimit | None, now: float) -> list[Bound]:
        """Give the authority's bound, by what it refused itself, and the site's, by whatever was refused here."""
        site = self._settings
        authority = limit or AttemptLimit(site.max_failures_per_user, site.failure_window_s)
        return [
            Bound(_authority_key(user), now - authority.window_s, authority.max_failures),
            Bound(user_key(user.name), now - site.failure_window_s, site.max_failures_per_user),
        ]

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Hold the one turn that a user's password checks have in this process; ask ``standing`` again inside.

        Attempts sent in parallel would else all pass ``standing`` before the first failure is
        counted. With it, a burst overshoots the limit by at most one check per worker process.
        Raises TurnTimeout.
        """
        with self._lock:
            turn = self._turns.setdefault(name, _Turn())
            turn.users += 1
        try:
            if not turn.lock.acquire(timeout=TURN_WAIT_S):
                raise TurnTimeout("other sign-ins of this user take too long")
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            with self._lock:
                turn.users -= 1
                if turn.users == 0:
                    del self._turns[name]


class _Turn:
    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0


def user_key(name: str) -> str:
    """Name a user's counter. The name is hashed: people type passwords into the name field."""
    return "user:" + hashlib.sha256(name.encode()).hexdigest()[:32]


def _authority_key(user: User) -> str:
    """Name the counter of what the user's authority refused; not by name, which a directory may change."""
    return f"authority:{user.id}"


def network_key(peer: Address) -> str:
    """Name a network's counter: /24 for IPv4 (also when mapped into IPv6), /64 for IPv6."""
    address = plain_address(peer)
    bits = _IPV4_BITS if isinstance(address, IPv4Address) else _IPV6_BITS
    return f"net:{ip_network((address.packed, bits), strict=False)}"
