"""Users who moved to an identity provider, those who try one, and what to know of the others before they move."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, or_, select

from storage.database.engine import Database
from storage.database.migration_changes import UNDO_S
from storage.database.scim_tables import migration_pilots, migrations, scim_users, tombstones
from storage.database.tables import api_keys, identities, sessions, ssh_keys, users

PASSWORD = "password"  # noqa: S105 - how sessions name the factor
CHUNK = 500  # databases limit the parameters of one statement


@dataclass(frozen=True, slots=True)
class Migration:
    """One user's move. ``batch`` names those who moved together; times are Unix seconds."""

    id: int
    at: float
    actor: str
    user_id: str
    user_name: str
    from_provider: str
    to_provider: str
    external_id: str
    batch: str
    undone_at: float | None = None
    undone_by: str | None = None

    @property
    def undo_until(self) -> float:
        """The time after which it stands."""
        return self.at + UNDO_S


@dataclass(frozen=True, slots=True)
class Pilot:
    """A user who tries an identity provider; the way to sign in is the old one still."""

    user_id: str
    user_name: str
    provider: str
    marked_by: str
    marked_at: float


@dataclass(frozen=True, slots=True)
class LiveKeys:
    """A user's keys that work now. ``apikeys`` has for each the protocols that it is good for; empty means any."""

    ssh: int = 0
    apikeys: tuple[frozenset[str], ...] = ()


class Migrations:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # The journal ------------------------------------------------------------------------------------

    def journal(self, *, limit: int | None = None) -> list[Migration]:
        """Give the moves, newest first, also those that were undone."""
        return self._journal(select(migrations).order_by(migrations.c.id.desc()).limit(limit))

    def by_id(self, migration_id: int) -> Migration | None:
        """Give one move, or None."""
        return next(iter(self._journal(select(migrations).where(migrations.c.id == migration_id))), None)

    def last_batch(self) -> list[Migration]:
        """Give what is left of the newest batch that was not undone, newest first; none if there is none."""
        standing = select(migrations).where(migrations.c.undone_at.is_(None)).order_by(migrations.c.id.desc())
        newest = next(iter(self._journal(standing.limit(1))), None)
        if newest is None:
            return []
        since = standing.where(migrations.c.at >= newest.at - UNDO_S) if newest.batch else standing.limit(1)
        return [one for one in self._journal(since) if one.batch == newest.batch]

    def _journal(self, query: Select[Any]) -> list[Migration]:
        with self._database.read() as connection:
            return [_migration_of(row) for row in connection.execute(query)]

    # Pilots -----------------------------------------------------------------------------------------

    def pilots(self, provider: str | None = None) -> list[Pilot]:
        """Give the marked users, ordered by name."""
        query = select(migration_pilots, users.c.name).join(users, users.c.id == migration_pilots.c.user_id)
        if provider is not None:
            query = query.where(migration_pilots.c.provider == provider)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(users.c.name))
            return [Pilot(row.user_id, row.name, row.provider, row.marked_by, row.marked_at) for row in rows]

    # What to know before ----------------------------------------------------------------------------

    def password_use(self, since: float, front_ends: Sequence[str]) -> dict[str, dict[str, float]]:
        """Give by user id who was in by password since then: the front ends, each with the last sign-in."""
        alive = or_(sessions.c.opened_at >= since, sessions.c.ended_at.is_(None), sessions.c.ended_at >= since)
        query = (
            select(sessions.c.user_id, sessions.c.front_end, func.max(sessions.c.opened_at).label("at"))
            .where(sessions.c.factor == PASSWORD, sessions.c.front_end.in_(front_ends), alive)
            .group_by(sessions.c.user_id, sessions.c.front_end)
        )
        found: dict[str, dict[str, float]] = defaultdict(dict)
        with self._database.read() as connection:
            for row in connection.execute(query):
                found[row.user_id][row.front_end] = row.at
        return dict(found)

    def live_keys(self, now: float) -> dict[str, LiveKeys]:
        """Give by user id the keys and API keys of those who have some that are neither revoked nor expired."""
        ssh = select(ssh_keys.c.user_id, func.count().label("number")).where(
            ssh_keys.c.revoked_at.is_(None), or_(ssh_keys.c.expires_at.is_(None), ssh_keys.c.expires_at > now)
        )
        api = select(api_keys.c.user_id, api_keys.c.protocols).where(
            api_keys.c.revoked_at.is_(None), or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now)
        )
        scopes: dict[str, list[frozenset[str]]] = defaultdict(list)
        with self._database.read() as connection:
            counts = {row.user_id: row.number for row in connection.execute(ssh.group_by(ssh_keys.c.user_id))}
            for row in connection.execute(api.order_by(api_keys.c.created_at, api_keys.c.id)):
                scopes[row.user_id].append(frozenset(row.protocols))
        return {
            user_id: LiveKeys(counts.get(user_id, 0), tuple(scopes.get(user_id, ())))
            for user_id in counts.keys() | scopes.keys()
        }

    def links(self, provider: str) -> dict[str, list[str]]:
        """Give the immutable ids at a provider by user id, of each user the newest first."""
        query = select(identities.c.user_id, identities.c.external_id).where(identities.c.provider == provider)
        found: dict[str, list[str]] = defaultdict(list)
        with self._database.read() as connection:
            newest_first = query.order_by(identities.c.linked_at.desc(), identities.c.external_id)
            for row in connection.execute(newest_first):
                found[row.user_id].append(row.external_id)
        return dict(found)

    def client_names(self, provider: str, names: Sequence[str]) -> dict[str, str]:
        """Give whom a SCIM client calls by each of these canonical names, also those whom it has deleted."""
        return self._by_key(scim_users.c.provider == provider, scim_users.c.user_name, scim_users.c.user_id, names)

    def graves(self, provider: str, external_ids: Sequence[str]) -> dict[str, str]:
        """Give the ids of deleted users who were these people at a provider, by the immutable id."""
        key, value = tombstones.c.external_id, tombstones.c.user_id
        return self._by_key(tombstones.c.provider == provider, key, value, external_ids)

    def _by_key(self, mine: Any, key: Any, value: Any, wanted: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for start in range(0, len(wanted), CHUNK):
                chosen = select(key, value).where(mine, key.in_(wanted[start : start + CHUNK]))
                found.update((row[0], row[1]) for row in connection.execute(chosen))
        return found


def _migration_of(row: Row[Any]) -> Migration:
    return Migration(
        id=row.id,
        at=row.at,
        actor=row.actor,
        user_id=row.user_id,
        user_name=row.user_name,
        from_provider=row.from_provider,
        to_provider=row.to_provider,
        external_id=row.external_id,
        batch=str(row.before.get("batch", "")),
        undone_at=row.undone_at,
        undone_by=row.undone_by,
    )
