"""What a source's people and groups look like here: read in bulk, for a sync that compares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from storage.database.engine import Database
from storage.database.records import GroupIdentity, Identity, Owner, Role, Status, User
from storage.database.rows import user_of
from storage.database.tables import aliases, group_identities, groups, identities, memberships, reserved_names, users

PAGE = 1000
CHUNK = 500  # databases limit the parameters of one statement


@dataclass(frozen=True, slots=True)
class LinkedUser:
    """A user with the link to a provider, the aliases, and the groups that ``owner`` holds the user in."""

    user: User
    identity: Identity
    aliases: frozenset[str]
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class LinkedGroup:
    """A group that is linked to a provider, with its name here."""

    identity: GroupIdentity
    name: str


class Sources:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def people(self, provider: str, owner: Owner, external_ids: Sequence[str]) -> dict[str, LinkedUser]:
        """Give those of these people who are linked, by external id; at most about a thousand ids at a time."""
        chosen = identities.c.external_id.in_(external_ids)
        return {person.identity.external_id: person for person in self._linked(provider, owner, chosen, None)}

    def everybody(self, provider: str, owner: Owner) -> Iterator[list[LinkedUser]]:
        """Give all linked people in pages, ordered by external id; memory holds one page."""
        after = ""
        while page := self._linked(provider, owner, identities.c.external_id > after, PAGE):
            yield page
            after = page[-1].identity.external_id

    def holders(self, names: Sequence[str]) -> dict[str, str]:
        """Give the id of whoever has or had each of these names or aliases, for those that are somebody's."""
        found: dict[str, str] = {}
        for chunk in (names[start : start + CHUNK] for start in range(0, len(names), CHUNK)):
            reserved = and_(reserved_names.c.kind == "name", reserved_names.c.name.in_(chunk))
            queries = (
                select(reserved_names.c.name, reserved_names.c.user_id).where(reserved),
                select(aliases.c.alias, aliases.c.user_id).where(aliases.c.alias.in_(chunk)),
                select(users.c.name, users.c.id).where(users.c.name.in_(chunk)),
            )
            with self._database.read() as connection:
                for query in queries:
                    found.update((name, user_id) for name, user_id in connection.execute(query))
        return found

    def count_active(self, provider: str, owner: Owner, now: float) -> int:
        """Give the number of users that this source manages at this provider and who may come in now."""
        query = select(func.count()).select_from(users)
        alive = or_(users.c.expires_at.is_(None), users.c.expires_at > now)
        mine = (users.c.provider == provider, users.c.managed_by == owner.value, alive)
        with self._database.read() as connection:
            return connection.execute(query.where(*mine, users.c.status == Status.ACTIVE.value)).scalar_one()

    def groups(self, provider: str) -> list[LinkedGroup]:
        """Give the linked groups ordered by name."""
        query = select(group_identities, groups.c.name).join(groups, groups.c.id == group_identities.c.group_id)
        with self._database.read() as connection:
            rows = connection.execute(query.where(group_identities.c.provider == provider).order_by(groups.c.name))
            return [
                LinkedGroup(GroupIdentity(row.group_id, row.provider, row.external_id, row.hint), row.name)
                for row in rows
            ]

    def _linked(self, provider: str, owner: Owner, chosen: ColumnElement[bool], limit: int | None) -> list[LinkedUser]:
        query = (
            select(users, *(column.label(f"link_{column.name}") for column in identities.c))
            .join(identities, identities.c.user_id == users.c.id)
            .where(identities.c.provider == provider, chosen)
            .order_by(identities.c.external_id)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            ids = [row.id for row in rows]
            held = _sets(
                connection.execute(
                    select(memberships.c.user_id, memberships.c.group_id).where(
                        and_(memberships.c.user_id.in_(ids), memberships.c.owner == owner.value)
                    )
                )
            )
            called = _sets(
                connection.execute(
                    select(aliases.c.user_id, aliases.c.alias).where(
                        aliases.c.user_id.in_(ids), aliases.c.owner == owner.value
                    )
                )
            )
        return [
            LinkedUser(
                user_of(row),
                _identity(row),
                frozenset(called.get(row.id, ())),
                frozenset(held.get(row.id, ())),
            )
            for row in rows
        ]


def _identity(row: Row[Any]) -> Identity:
    return Identity(
        user_id=row.id,
        provider=row.link_provider,
        external_id=row.link_external_id,
        linked_at=row.link_linked_at,
        hint=row.link_hint,
        active=row.link_active,
        role=Role(row.link_role) if row.link_role else None,
        role_overruled=row.link_role_overruled,
        expires_at=row.link_expires_at,
    )


def _sets(pairs: Iterable[Sequence[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for key, value in pairs:
        found[key].add(value)
    return found
