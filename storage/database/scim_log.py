"""The provisioning log: every request of every SCIM client, redacted, kept for 90 days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from storage.database.engine import AdvisoryLock, Database
from storage.database.names import shown
from storage.database.scim_tables import scim_requests

MAX_TAIL = 100_000
MAX_BODY = 16_384


@dataclass(frozen=True, slots=True)
class ScimRequestRow:
    """One request: ``request`` and ``response`` are redacted bodies; ``changed`` says what came of it.

    ``subject`` is the user's or group's name, where there is one; ``duration_ms`` counts from the whole body.
    """

    at: float
    provider: str
    token_id: str
    peer: str
    user_agent: str
    method: str
    path: str
    status: int
    duration_ms: float
    subject: str = ""
    changed: Mapping[str, object] = field(default_factory=dict)
    request: str = ""
    response: str = ""
    id: int = 0


class ScimLog:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rows: Sequence[ScimRequestRow]) -> None:
        """Write requests, in their order, in one transaction."""
        if rows:
            with self._database.write() as connection:
                insert_requests(connection, rows)

    def tail(
        self,
        provider: str | None = None,
        *,
        after_id: int = 0,
        limit: int = 100,
        least_status: int = 0,
        subject: str | None = None,
        since: float = 0.0,
        writes_only: bool = False,
    ) -> list[ScimRequestRow]:
        """Give requests in the order of their ids: the newest ``limit``, or the first after ``after_id``.

        No request with a smaller id than these can appear later, so that who goes on from the last id misses none.
        """
        query = select(scim_requests).limit(max(1, min(limit, MAX_TAIL)))
        if provider is not None:
            query = query.where(scim_requests.c.provider == provider)
        if least_status:
            query = query.where(scim_requests.c.status >= least_status)
        if subject is not None:
            query = query.where(scim_requests.c.subject == subject)
        if since:
            query = query.where(scim_requests.c.at >= since)
        if writes_only:
            query = query.where(scim_requests.c.method != "GET")
        order = scim_requests.c.id if after_id else scim_requests.c.id.desc()
        if after_id:
            query = query.where(scim_requests.c.id > after_id)
        query = query.order_by(order)
        settled = self._database.settled(scim_requests.c.id, AdvisoryLock.SCIM_LOG)
        with self._database.read() as connection:
            found = [_request_of(row) for row in connection.execute(query.where(scim_requests.c.id <= settled))]
        return found if after_id else found[::-1]

    def last_at(self, provider: str) -> float | None:
        """Give when a provider's client was last heard, or None."""
        query = select(func.max(scim_requests.c.id)).where(scim_requests.c.provider == provider)
        with self._database.read() as connection:
            newest = connection.execute(query).scalar_one_or_none()
            if newest is None:
                return None
            row = connection.execute(select(scim_requests.c.at).where(scim_requests.c.id == newest)).one_or_none()
        return None if row is None else float(row.at)

    def prune(self, before: float) -> int:
        """Forget requests before a time."""
        with self._database.write() as connection:
            return connection.execute(delete(scim_requests).where(scim_requests.c.at < before)).rowcount


def insert_requests(connection: Connection, rows: Sequence[ScimRequestRow]) -> None:
    """Write requests inside the caller's transaction."""
    if connection.dialect.name == "postgresql":  # see Database.settled
        connection.execute(select(func.pg_advisory_xact_lock_shared(int(AdvisoryLock.SCIM_LOG))))
    values = [
        {
            "at": row.at,
            "provider": row.provider,
            "token_id": row.token_id,
            "peer": shown(row.peer),
            "user_agent": shown(row.user_agent),
            "method": shown(row.method, 16),
            "path": shown(row.path, 2048),
            "status": row.status,
            "duration_ms": row.duration_ms,
            "subject": shown(row.subject),
            "changed": dict(row.changed),
            "request": shown(row.request, MAX_BODY),
            "response": shown(row.response, MAX_BODY),
        }
        for row in rows
    ]
    connection.execute(insert(scim_requests), values)


def _request_of(row: Row[Any]) -> ScimRequestRow:
    return ScimRequestRow(
        id=row.id,
        at=row.at,
        provider=row.provider,
        token_id=row.token_id,
        peer=row.peer,
        user_agent=row.user_agent,
        method=row.method,
        path=row.path,
        status=row.status,
        duration_ms=row.duration_ms,
        subject=row.subject,
        changed=dict(row.changed),
        request=row.request,
        response=row.response,
    )
