"""Leases: which process may do a job that only one may do."""

from __future__ import annotations

import time

from sqlalchemy import ColumnElement, Double, cast, delete, func, literal, or_
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from storage.database.engine import Database
from storage.database.tables import leases


class Leases:
    """Named leases with an end; whoever stops renewing loses it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew the lease for so many seconds; False when another holder has it.

        One statement decides, by the database's clock, so that nodes whose clocks differ agree.
        """
        insert = sqlite_insert if self._database.is_sqlite else postgresql_insert
        now = self._now()
        row = insert(leases).values(name=name, holder=holder, until=now + seconds)
        free = or_(leases.c.holder == holder, leases.c.until <= now)
        take = row.on_conflict_do_update(
            index_elements=[leases.c.name],
            set_={"holder": row.excluded.holder, "until": row.excluded.until},
            where=free,
        )
        with self._database.write() as connection:
            return connection.execute(take).rowcount == 1

    def release(self, name: str, holder: str) -> None:
        """Give the lease back, if this holder has it."""
        with self._database.write() as connection:
            connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))

    def _now(self) -> ColumnElement[float]:
        if self._database.is_sqlite:  # one machine, one clock
            return literal(time.time(), Double)
        return cast(func.extract("epoch", func.clock_timestamp()), Double)
