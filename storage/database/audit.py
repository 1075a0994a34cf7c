"""The audit trail: what happened, in an order that a reader can follow without gaps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, insert, select

from storage.database.engine import AdvisoryLock, Database
from storage.database.names import shown
from storage.database.records import AuditEvent
from storage.database.rows import audit_event_of
from storage.database.tables import audit_events

MAX_TAIL = 10_000


class AuditTrail:
    """Append and read; there is no way to change or remove an event here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(  # noqa: PLR0917 - the columns in their order; callers name the later ones
        self,
        kind: str,
        actor: str,
        subject: str,
        outcome: str,
        reason: str,
        front_end: str = "",
        peer: str = "",
        session_id: str = "",
        detail: Mapping[str, object] | None = None,
        at: float | None = None,
    ) -> None:
        """Write one event; ``at`` defaults to now. Control characters in a client's text are replaced."""
        values = {
            "at": time.time() if at is None else at,
            "kind": kind,
            "actor": actor,
            "subject": subject,
            "outcome": outcome,
            "reason": reason,
            "front_end": front_end,
            "peer": peer,
            "session_id": session_id,
            "detail": detail,
        }
        with self._database.write() as connection:
            insert_event(connection, values)

    def tail(
        self, *, after_id: int = 0, limit: int = 100, subject: str | None = None, kind: str | None = None
    ) -> list[AuditEvent]:
        """Give events in the order of their ids.

        With ``after_id`` 0, the newest ``limit`` events; else the first ``limit`` after that id, and
        no event with a smaller id can appear later, so that a reader who goes on from the last id
        misses none.
        """
        query = select(audit_events).limit(max(1, min(limit, MAX_TAIL)))
        if subject is not None:
            query = query.where(audit_events.c.subject == subject)
        if kind is not None:
            query = query.where(audit_events.c.kind == kind)
        if after_id:
            query = query.where(audit_events.c.id > after_id).order_by(audit_events.c.id)
        else:
            query = query.order_by(audit_events.c.id.desc())
        settled = self._database.settled(audit_events.c.id, AdvisoryLock.AUDIT)
        with self._database.read() as connection:  # without the lock: nobody's sign-in waits for a reader
            events = [audit_event_of(row) for row in connection.execute(query.where(audit_events.c.id <= settled))]
        return events if after_id else events[::-1]


def insert_event(connection: Connection, values: Mapping[str, object]) -> None:
    """Write one event inside the caller's transaction."""
    insert_events(connection, [values])


def insert_events(connection: Connection, events: Sequence[Mapping[str, object]]) -> None:
    """Write events in their order inside the caller's transaction."""
    if not events:
        return
    if connection.dialect.name == "postgresql":  # see Database.settled
        connection.execute(select(func.pg_advisory_xact_lock_shared(int(AdvisoryLock.AUDIT))))
    connection.execute(insert(audit_events), [_row(values) for values in events])


def _row(values: Mapping[str, object]) -> dict[str, object]:
    clean = {name: shown(value) if isinstance(value, str) else value for name, value in values.items()}
    detail = values["detail"]
    clean["detail"] = None if detail is None else _clean(detail)
    return clean


def _clean(value: object) -> object:
    """Make a detail fit for JSON in both databases: texts as :func:`shown`, other objects as text."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {shown(str(name)): _clean(item) for name, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
        case set() | frozenset():
            return sorted(shown(str(item)) for item in value)
        case _:
            return shown(str(value), 1024)
