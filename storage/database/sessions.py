"""The registry of sessions of all workers, as ``session list`` shows it."""

from __future__ import annotations

from dataclasses import asdict, replace

from sqlalchemy import delete, insert, select, update

from storage.database.engine import Database
from storage.database.names import shown, storable
from storage.database.records import SessionRow
from storage.database.rows import session_of
from storage.database.tables import sessions


class SessionTable:
    """Sessions that are or were open. A row is a report; what ends a session is its worker."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, row: SessionRow) -> None:
        """Register a session; Conflict when its id is taken."""
        clean = replace(row, peer=shown(row.peer), user_name=shown(row.user_name))
        with self._database.write() as connection:
            connection.execute(insert(sessions), asdict(clean))

    def end(self, session_id: str, reason: str, at: float) -> None:
        """Note that the session ended; the first reason stays."""
        mine = update(sessions).where(sessions.c.id == session_id, sessions.c.ended_at.is_(None))
        with self._database.write() as connection:
            connection.execute(mine.values(ended_at=at, end_reason=shown(reason)))

    def end_of_worker(self, worker: str, reason: str, at: float) -> int:
        """End every open session of a worker that is gone; their number is returned."""
        mine = update(sessions).where(sessions.c.worker == worker, sessions.c.ended_at.is_(None))
        with self._database.write() as connection:
            return connection.execute(mine.values(ended_at=at, end_reason=shown(reason))).rowcount

    def touch(self, worker: str, at: float) -> None:
        """Note that this worker and its open sessions are alive."""
        mine = update(sessions).where(sessions.c.worker == worker, sessions.c.ended_at.is_(None))
        with self._database.write() as connection:
            connection.execute(mine.values(seen_at=at))

    def prune(self, before: float) -> int:
        """Forget sessions that ended before this time; their number is returned."""
        with self._database.write() as connection:
            return connection.execute(delete(sessions).where(sessions.c.ended_at < before)).rowcount

    def live(self) -> list[SessionRow]:
        """Give the open sessions of all workers, the oldest first."""
        query = select(sessions).where(sessions.c.ended_at.is_(None)).order_by(sessions.c.opened_at, sessions.c.id)
        with self._database.read() as connection:
            return [session_of(row) for row in connection.execute(query)]

    def live_of(self, user_id: str) -> list[SessionRow]:
        """Give the open sessions of one user on all workers, the oldest first."""
        if not storable(user_id):
            return []
        mine = (sessions.c.user_id == user_id, sessions.c.ended_at.is_(None))
        query = select(sessions).where(*mine).order_by(sessions.c.opened_at, sessions.c.id)
        with self._database.read() as connection:
            return [session_of(row) for row in connection.execute(query)]

    def by_id(self, id: str) -> SessionRow | None:  # noqa: A002 - the column's name
        """Give the session of this id, open or ended, or None."""
        if not storable(id):
            return None
        with self._database.read() as connection:
            row = connection.execute(select(sessions).where(sessions.c.id == id)).one_or_none()
        return None if row is None else session_of(row)
