"""Failed sign-ins, counted for all workers together."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, insert, select

from storage.database.engine import Database
from storage.database.tables import throttle_failures

_COUNT = (
    select(func.count())
    .select_from(throttle_failures)
    .where(throttle_failures.c.key == bindparam("key"), throttle_failures.c.at >= bindparam("since"))
)
_COUNTS = (
    select(throttle_failures.c.key, func.count().label("failures"))
    .where(
        throttle_failures.c.key.in_(bindparam("keys", expanding=True)),
        throttle_failures.c.at >= bindparam("since"),
    )
    .group_by(throttle_failures.c.key)
)


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

    def clear(self, key: str) -> None:
        """Forget the failures under this key."""
        with self._database.write() as connection:
            connection.execute(delete(throttle_failures).where(throttle_failures.c.key == key))

    def prune(self, before: float) -> int:
        """Forget failures older than ``before``; their number is returned."""
        with self._database.write() as connection:
            return connection.execute(delete(throttle_failures).where(throttle_failures.c.at < before)).rowcount
