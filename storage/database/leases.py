"""Leases: which process may do a job that only one may do."""

from __future__ import annotations

import time

from sqlalchemy import delete, text

from storage.database.engine import Database
from storage.database.tables import leases

# One statement decides. On PostgreSQL by the database's clock, so that nodes whose clocks differ agree;
# SQLite is one machine with one clock.
_TAKE = """
    INSERT INTO leases (name, holder, until) VALUES (:name, :holder, {now} + :seconds)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE leases.holder = excluded.holder OR leases.until <= {now}
"""
_TAKE_POSTGRES = text(_TAKE.format(now="extract(epoch FROM clock_timestamp())"))
_TAKE_SQLITE = text(_TAKE.format(now=":now"))


class Leases:
    """Named leases with an end; whoever stops renewing loses it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew the lease for so many seconds from now; False when another holder has it."""
        values: dict[str, object] = {"name": name, "holder": holder, "seconds": seconds}
        statement = _TAKE_POSTGRES
        if self._database.is_sqlite:
            statement = _TAKE_SQLITE
            values["now"] = time.time()
        with self._database.write() as connection:
            return connection.execute(statement, values).rowcount == 1

    def release(self, name: str, holder: str) -> None:
        """Give the lease back, if this holder has it."""
        with self._database.write() as connection:
            connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
