"""Reading what SCIM clients said of people and groups; each client sees its own provider's alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select

from storage.database.engine import Database
from storage.database.names import storable
from storage.database.records import Owner
from storage.database.scim_tables import STILL_THE_CLIENTS, scim_emails, scim_groups, scim_users, tombstones
from storage.database.tables import identities, memberships, users

CHUNK = 500  # databases limit the parameters of one statement
PAGE = 1000


@dataclass(frozen=True, slots=True)
class ScimUser:
    """What a client said of a person; times are Unix seconds. ``deleted`` users no client finds."""

    user_id: str
    provider: str
    document: dict[str, Any]
    version: int
    created_at: float
    modified_at: float
    deleted_at: float | None = None


@dataclass(frozen=True, slots=True)
class ScimGroup:
    """What a client said of a group; the document has its extensions, and its members are read apart."""

    group_id: str
    provider: str
    display_name: str
    external_id: str
    document: dict[str, Any]
    version: int
    created_at: float
    modified_at: float


_USERS = (
    select(scim_users)
    .join(users, STILL_THE_CLIENTS)
    .where(scim_users.c.provider == bindparam("provider"), scim_users.c.deleted_at.is_(None))
)
_USER_BY_ID = _USERS.where(scim_users.c.user_id == bindparam("user_id"))
_USER_BY_NAME = _USERS.where(scim_users.c.user_name == bindparam("user_name"))
_USER_BY_EXTERNAL_ID = _USERS.join(
    identities, (identities.c.user_id == scim_users.c.user_id) & (identities.c.provider == scim_users.c.provider)
).where(identities.c.provider == bindparam("provider"), identities.c.external_id == bindparam("external_id"))
_USERS_BY_EMAIL = (
    _USERS.join(scim_emails, scim_emails.c.user_id == scim_users.c.user_id)
    .where(scim_emails.c.provider == bindparam("provider"), scim_emails.c.email == bindparam("email"))
    .order_by(scim_users.c.sequence)
)
_USER_COUNT = (
    select(func.count())
    .select_from(scim_users)
    .join(users, STILL_THE_CLIENTS)
    .where(scim_users.c.provider == bindparam("provider"), scim_users.c.deleted_at.is_(None))
)
_USER_PAGE = _USERS.order_by(scim_users.c.sequence).limit(bindparam("limit")).offset(bindparam("offset"))
_USERS_AFTER = (
    _USERS.where(scim_users.c.sequence > bindparam("after")).order_by(scim_users.c.sequence).limit(bindparam("limit"))
)
_GROUPS = select(scim_groups).where(scim_groups.c.provider == bindparam("provider"))
_GROUP_BY_ID = _GROUPS.where(scim_groups.c.group_id == bindparam("group_id"))
_GROUP_BY_NAME = _GROUPS.where(scim_groups.c.display_key == bindparam("display_key"))
_GROUPS_BY_EXTERNAL_ID = _GROUPS.where(scim_groups.c.external_id == bindparam("external_id"))
_GROUP_COUNT = select(func.count()).select_from(scim_groups).where(scim_groups.c.provider == bindparam("provider"))
_GROUP_PAGE = _GROUPS.order_by(scim_groups.c.sequence).limit(bindparam("limit")).offset(bindparam("offset"))
_GROUPS_AFTER = (
    _GROUPS.where(scim_groups.c.sequence > bindparam("after"))
    .order_by(scim_groups.c.sequence)
    .limit(bindparam("limit"))
)
_GROUPS_OF = (
    select(memberships.c.user_id, scim_groups.c.group_id, scim_groups.c.display_name)
    .join(scim_groups, scim_groups.c.group_id == memberships.c.group_id)
    .where(
        memberships.c.user_id.in_(bindparam("ids", expanding=True)),
        memberships.c.owner == Owner.SCIM.value,
        scim_groups.c.provider == bindparam("provider"),
    )
    .order_by(scim_groups.c.sequence)
)
_MEMBERS = (
    select(scim_users.c.user_id, users.c.display_name, users.c.name)
    .join(memberships, memberships.c.user_id == scim_users.c.user_id)
    .join(users, STILL_THE_CLIENTS)
    .where(
        memberships.c.group_id == bindparam("group_id"),
        memberships.c.owner == Owner.SCIM.value,
        scim_users.c.deleted_at.is_(None),
    )
    .order_by(scim_users.c.sequence)
)
_IS_MEMBER = select(memberships.c.user_id).where(
    memberships.c.group_id == bindparam("group_id"),
    memberships.c.user_id == bindparam("user_id"),
    memberships.c.owner == Owner.SCIM.value,
)
_SOME_MEMBERS = (
    select(memberships.c.user_id)
    .where(
        memberships.c.group_id.in_(bindparam("ids", expanding=True)),
        memberships.c.owner == Owner.SCIM.value,
    )
    .limit(bindparam("limit"))
)
_MEMBER_COUNT = select(func.count()).select_from(_SOME_MEMBERS.subquery())
_GROUPS_OF_MEMBER = (
    _GROUPS.join(memberships, memberships.c.group_id == scim_groups.c.group_id)
    .where(memberships.c.user_id == bindparam("user_id"), memberships.c.owner == Owner.SCIM.value)
    .order_by(scim_groups.c.sequence)
)
_GRAVE = select(tombstones.c.user_id).where(
    tombstones.c.provider == bindparam("provider"), tombstones.c.external_id == bindparam("external_id")
)
_DELETED = (
    select(scim_users.c.user_id)
    .join(identities, identities.c.user_id == scim_users.c.user_id)
    .where(
        identities.c.provider == bindparam("provider"),
        identities.c.external_id == bindparam("external_id"),
        scim_users.c.deleted_at.is_not(None),
    )
)


class ScimPeople:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_id(self, provider: str, user_id: str) -> ScimUser | None:
        """Give the user of this resource id, or None."""
        return next(iter(self._found(_USER_BY_ID, provider, user_id=user_id)), None)

    def by_user_name(self, provider: str, user_name: str) -> ScimUser | None:
        """Give the user of this userName in canonical form, or None."""
        return next(iter(self._found(_USER_BY_NAME, provider, user_name=user_name)), None)

    def by_external_id(self, provider: str, external_id: str) -> ScimUser | None:
        """Give the user of this externalId, or None. What the client did not say is found by nobody."""
        found = next(iter(self._found(_USER_BY_EXTERNAL_ID, provider, external_id=external_id)), None)
        return None if found is None or found.document.get("externalId") != external_id else found

    def by_email(self, provider: str, email: str) -> list[ScimUser]:
        """Give the users with this e-mail address, in whatever case."""
        return self._found(_USERS_BY_EMAIL, provider, email=email.casefold())

    def any_by_id(self, user_id: str) -> ScimUser | None:
        """Give what a client said of a user, whichever client, also of a deleted one."""
        with self._database.read() as connection:
            row = connection.execute(select(scim_users).where(scim_users.c.user_id == user_id)).one_or_none()
        return None if row is None else _user_of(row)

    def count(self, provider: str) -> int:
        """Give the number of users whom the client finds."""
        with self._database.read() as connection:
            return connection.execute(_USER_COUNT, {"provider": provider}).scalar_one()

    def page(self, provider: str, offset: int, limit: int) -> list[ScimUser]:
        """Give users in the order in which they came; newcomers come last, so pages are stable."""
        return self._found(_USER_PAGE, provider, offset=offset, limit=limit)

    def everybody(self, provider: str) -> Iterator[ScimUser]:
        """Give all users in the same order; memory holds one page."""
        yield from _pages(self._database, _USERS_AFTER, provider, _user_of)

    def groups_of(self, provider: str, user_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Give id and displayName of the client's groups that hold each of these users."""
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        with self._database.read() as connection:
            for start in range(0, len(user_ids), CHUNK):
                given = {"provider": provider, "ids": list(user_ids[start : start + CHUNK])}
                for row in connection.execute(_GROUPS_OF, given):
                    found[row.user_id].append((row.group_id, row.display_name))
        return found

    def is_tombstoned(self, provider: str, external_id: str) -> bool:
        """Whether this person was deleted: signing in must not bring them back, only the client or an admin may."""
        if not storable(external_id):
            return True
        given = {"provider": provider, "external_id": external_id}
        with self._database.read() as connection:
            return any(connection.execute(query, given).first() is not None for query in (_GRAVE, _DELETED))

    def _found(self, query: Select[Any], provider: str, **values: object) -> list[ScimUser]:
        if not all(storable(value) for value in values.values() if isinstance(value, str)):
            return []
        with self._database.read() as connection:
            return [_user_of(row) for row in connection.execute(query, {"provider": provider, **values})]


class ScimGroups:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_id(self, provider: str, group_id: str) -> ScimGroup | None:
        """Give the group of this resource id, or None."""
        return next(iter(self._found(_GROUP_BY_ID, provider, group_id=group_id)), None)

    def by_display_name(self, provider: str, display_name: str) -> ScimGroup | None:
        """Give the group of this displayName in whatever case, or None."""
        return next(iter(self._found(_GROUP_BY_NAME, provider, display_key=display_name.casefold())), None)

    def by_external_id(self, provider: str, external_id: str) -> list[ScimGroup]:
        """Give the group of this externalId, if there is one."""
        return self._found(_GROUPS_BY_EXTERNAL_ID, provider, external_id=external_id) if external_id else []

    def of_member(self, provider: str, user_id: str) -> list[ScimGroup]:
        """Give the groups that hold a user."""
        return self._found(_GROUPS_OF_MEMBER, provider, user_id=user_id)

    def count(self, provider: str) -> int:
        """Give the number of the client's groups."""
        with self._database.read() as connection:
            return connection.execute(_GROUP_COUNT, {"provider": provider}).scalar_one()

    def page(self, provider: str, offset: int, limit: int) -> list[ScimGroup]:
        """Give groups in the order in which they came."""
        return self._found(_GROUP_PAGE, provider, offset=offset, limit=limit)

    def all(self, provider: str) -> Iterator[ScimGroup]:
        """Give all groups in the same order; memory holds one page."""
        yield from _pages(self._database, _GROUPS_AFTER, provider, _group_of)

    def members(self, group_id: str) -> list[tuple[str, str]]:
        """Give id and display name of the members whom the client holds, in the order in which they came."""
        with self._database.read() as connection:
            rows = connection.execute(_MEMBERS, {"group_id": group_id})
            return [(row.user_id, row.display_name or row.name) for row in rows]

    def member_count(self, group_ids: Sequence[str], *, up_to: int) -> int:
        """Give how many members the client holds in these groups together; who counts further than this stops there."""
        count = 0
        with self._database.read() as connection:
            for start in range(0, len(group_ids), CHUNK):
                given = {"ids": list(group_ids[start : start + CHUNK]), "limit": up_to - count}
                count += connection.execute(_MEMBER_COUNT, given).scalar_one()
        return count

    def has_member(self, group_id: str, user_id: str) -> bool:
        """Whether the client holds the user in the group; one look-up, however large the group is."""
        if not storable(user_id):
            return False
        with self._database.read() as connection:
            return connection.execute(_IS_MEMBER, {"group_id": group_id, "user_id": user_id}).first() is not None

    def _found(self, query: Select[Any], provider: str, **values: object) -> list[ScimGroup]:
        if not all(storable(value) for value in values.values() if isinstance(value, str)):
            return []
        with self._database.read() as connection:
            return [_group_of(row) for row in connection.execute(query, {"provider": provider, **values})]


def _pages(database: Database, query: Select[Any], provider: str, record: Any) -> Iterator[Any]:
    after = 0
    while True:
        with database.read() as connection:
            rows = connection.execute(query, {"provider": provider, "after": after, "limit": PAGE}).all()
        if not rows:
            return
        for row in rows:
            yield record(row)
        after = rows[-1].sequence


def _user_of(row: Row[Any]) -> ScimUser:
    return ScimUser(
        user_id=row.user_id,
        provider=row.provider,
        document=dict(row.document),
        version=row.version,
        created_at=row.created_at,
        modified_at=row.modified_at,
        deleted_at=row.deleted_at,
    )


def _group_of(row: Row[Any]) -> ScimGroup:
    return ScimGroup(
        group_id=row.group_id,
        provider=row.provider,
        display_name=row.display_name,
        external_id=row.external_id,
        document=dict(row.document),
        version=row.version,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
