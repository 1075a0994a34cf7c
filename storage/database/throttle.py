"""Failed sign-ins, counted for all workers together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import bindparam, delete, func, insert, select, text

from storage.database.engine import AdvisoryLock, Database
from storage.database.tables import throttle_failures

_COUNT = (
    select(func.count())
    .select_from(throttle_failures)
    .where(throttle_failures.c.key == bindparam("key"), throttle_failures.c.at >= bindparam("since"))
)
_GIVE_BACK = delete(throttle_failures).where(throttle_failures.c.id == bindparam("taken"))
_ALONE = text("SELECT pg_advisory_xact_lock(:space, hashtext(:key))")
_COUNTS = (
    select(throttle_failures.c.key, func.count().label("failures"))
    .where(
        throttle_failures.c.key.in_(bindparam("keys", expanding=True)),
        throttle_failures.c.at >= bindparam("since"),
    )
    .group_by(throttle_failures.c.key)
)


@dataclass(frozen=True, slots=True)
class Bound:
    """At most ``limit`` failures under a key since a time."""

    key: str
    since: float
    limit: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A place was taken; ``id`` gives it back."""

    id: int
    failures: int = 0
    """Those that the authority may remember."""


class Full(Enum):
    """No place: the failures alone fill the limit, or they do together with attempts that are being checked."""

    BY_FAILURES = "failures"
    BY_PENDING = "pending"


class ThrottleTable:
    """One row per failure; ``key`` is text such as ``user:<id>`` or ``net:10.0.0.0/24``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def failures(self, key: str, since: float) -> int:
        """Give the number of failures under this key at or after ``since``."""
        with self._database.read() as connection:
            return connection.execute(_COUNT, {"key": key, "since": since}).scalar_one()

    def counts(self, keys: Sequence[str], since: float) -> dict[str, int]:
        """Give the failures at or after ``since`` of those of these keys that have any: one look-up for all."""
        with self._database.read() as connection:
            rows = connection.execute(_COUNTS, {"keys": list(keys), "since": since})
            return {row.key: row.failures for row in rows}

    def add(self, key: str, at: float) -> None:
        """Count one failure."""
        with self._database.write() as connection:
            connection.execute(insert(throttle_failures), {"key": key, "at": at})

    def take(self, pending_key: str, bounds: Sequence[Bound], *, at: float, pending_since: float) -> Taken | Full:
        """Take a place, in one transaction over all workers and nodes, if every bound has one.

        The failures under a bound's key and the places taken at or after ``pending_since`` fill it.
        """
        with self._database.write() as connection:
            if not self._database.is_sqlite:  # there every write transaction is alone
                connection.execute(_ALONE, {"space": AdvisoryLock.THROTTLE, "key": pending_key})
            # In this order: a place that becomes a failure meanwhile is counted twice, and never not at all.
            pending = connection.execute(_COUNT, {"key": pending_key, "since": pending_since}).scalar_one()
            failures = [
                connection.execute(_COUNT, {"key": bound.key, "since": bound.since}).scalar_one() for bound in bounds
            ]
            if any(count >= bound.limit for count, bound in zip(failures, bounds, strict=True)):
                return Full.BY_FAILURES
            if any(count + pending >= bound.limit for count, bound in zip(failures, bounds, strict=True)):
                return Full.BY_PENDING
            taken = connection.execute(insert(throttle_failures), {"key": pending_key, "at": at})
            number = int(taken.inserted_primary_key[0])  # type: ignore[index]  # an insert of one row has one
            return Taken(number, failures[0])

    def give_back(self, taken: Taken, failed: Sequence[str] = (), cleared: Sequence[str] = (), at: float = 0.0) -> None:
        """Give a place back; in the same transaction count a failure under some keys, and forget those of others."""
        with self._database.write() as connection:
            connection.execute(_GIVE_BACK, {"taken": taken.id})
            if failed:
                connection.execute(insert(throttle_failures), [{"key": key, "at": at} for key in failed])
            if cleared:
                connection.execute(delete(throttle_failures).where(throttle_failures.c.key.in_(cleared)))

    def clear(self, key: str) -> None:
        """Forget the failures under this key."""
        with self._database.write() as connection:
            connection.execute(delete(throttle_failures).where(throttle_failures.c.key == key))

    def prune(self, before: float) -> int:
        """Forget failures older than ``before``; their number is returned."""
        with self._database.write() as connection:
            return connection.execute(delete(throttle_failures).where(throttle_failures.c.at < before)).rowcount
