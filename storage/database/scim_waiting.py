"""What waits for an admin: ends that the circuit breaker held, and people whose name is somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, insert, select, update

from storage.database.engine import AdvisoryLock, Database
from storage.database.names import shown
from storage.database.scim_tables import scim_conflicts, scim_holds
from storage.database.tables import users

MAX_REASON = 1000
_THESE = and_(
    scim_conflicts.c.provider == bindparam("provider"), scim_conflicts.c.key.in_(bindparam("keys", expanding=True))
)
_CONTESTED = select(scim_conflicts.c.key).where(_THESE)  # built once: every create asks


@dataclass(frozen=True, slots=True)
class HeldEnd:
    """A client wants this user out (``action`` disable or delete); first asked at ``since``, last at ``asked_at``."""

    provider: str
    user_id: str
    user_name: str
    action: str
    reason: str
    since: float
    asked_at: float


@dataclass(frozen=True, slots=True)
class ScimConflict:
    """A client speaks of a person whose name or id belongs to another user, ``holder_id``; nothing was merged.

    ``held_as`` says what it is to the holder: ``name``, ``alias``, ``reserved`` (a former name) or ``link``.
    """

    provider: str
    external_id: str
    user_name: str
    holder_id: str
    reason: str
    document: Mapping[str, Any] = field(default_factory=dict)
    since: float = 0.0
    asked_at: float = 0.0
    held_as: str = ""


class ScimWaiting:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Ends -------------------------------------------------------------------------------------------

    def hold(self, provider: str, user_id: str, action: str, reason: str, now: float) -> bool:
        """Remember what a client asked for and the circuit breaker held; whether this is new."""
        same = and_(scim_holds.c.provider == provider, scim_holds.c.user_id == user_id)
        values = {"action": action, "reason": shown(reason, MAX_REASON), "asked_at": now}
        with self._database.write(lock=AdvisoryLock.CHANGES) as connection:
            if connection.execute(update(scim_holds).where(same).values(**values)).rowcount:
                return False
            row = {"provider": provider, "user_id": user_id, "since": now, **values}
            connection.execute(insert(scim_holds), row)
        return True

    def held(self, provider: str | None = None) -> list[HeldEnd]:
        """Give the ends that wait, ordered by provider and the users' names."""
        query = select(scim_holds, users.c.name).join(users, users.c.id == scim_holds.c.user_id)
        query = query.order_by(scim_holds.c.provider, users.c.name)
        if provider is not None:
            query = query.where(scim_holds.c.provider == provider)
        with self._database.read() as connection:
            return [
                HeldEnd(row.provider, row.user_id, row.name, row.action, row.reason, row.since, row.asked_at)
                for row in connection.execute(query)
            ]

    # Conflicts --------------------------------------------------------------------------------------

    def contest(self, conflict: ScimConflict) -> None:
        """Remember that a client speaks of somebody who cannot be made; seen again, the newest words count."""
        key = conflict.external_id or conflict.user_name
        same = and_(scim_conflicts.c.provider == conflict.provider, scim_conflicts.c.key == key)
        values = {
            "external_id": conflict.external_id,
            "user_name": shown(conflict.user_name),
            "holder_id": conflict.holder_id,
            "held_as": conflict.held_as,
            "reason": shown(conflict.reason, MAX_REASON),
            "document": dict(conflict.document),
            "asked_at": conflict.asked_at,
        }
        with self._database.write(lock=AdvisoryLock.CHANGES) as connection:
            if not connection.execute(update(scim_conflicts).where(same).values(**values)).rowcount:
                row = {"provider": conflict.provider, "key": key, "since": conflict.asked_at, **values}
                connection.execute(insert(scim_conflicts), row)

    def settle(self, provider: str, external_id: str, user_name: str) -> None:
        """Forget a conflict that is none any more."""
        given = {"provider": provider, "keys": [key for key in (external_id, user_name) if key]}
        with self._database.read() as connection:
            if connection.execute(_CONTESTED, given).first() is None:
                return
        with self._database.write() as connection:
            connection.execute(delete(scim_conflicts).where(_THESE), given)

    def prune(self, before: float) -> int:
        """Forget conflicts of which no client has spoken since a time."""
        with self._database.write() as connection:
            return connection.execute(delete(scim_conflicts).where(scim_conflicts.c.asked_at < before)).rowcount

    def conflicts(self, provider: str | None = None) -> list[ScimConflict]:
        """Give the conflicts, ordered by provider and userName."""
        query = select(scim_conflicts).order_by(scim_conflicts.c.provider, scim_conflicts.c.user_name)
        if provider is not None:
            query = query.where(scim_conflicts.c.provider == provider)
        with self._database.read() as connection:
            return [_conflict_of(row) for row in connection.execute(query)]

    def conflicts_with(self, provider: str, holder_id: str) -> list[ScimConflict]:
        """Give the people of a provider who would be this user, were the name free."""
        query = select(scim_conflicts).where(
            scim_conflicts.c.provider == provider, scim_conflicts.c.holder_id == holder_id
        )
        with self._database.read() as connection:
            return [_conflict_of(row) for row in connection.execute(query.order_by(scim_conflicts.c.key))]


def _conflict_of(row: Row[Any]) -> ScimConflict:
    return ScimConflict(
        provider=row.provider,
        external_id=row.external_id,
        user_name=row.user_name,
        holder_id=row.holder_id,
        reason=row.reason,
        document=dict(row.document),
        since=row.since,
        asked_at=row.asked_at,
        held_as=row.held_as,
    )
