"""Reading users. All writes go through ``changes``."""

from __future__ import annotations

import builtins

from sqlalchemy import and_, bindparam, exists, func, or_, select, union_all

from storage.database.engine import Database
from storage.database.names import storable
from storage.database.records import Group, Identity, Method, Status, User
from storage.database.rows import group_of, identity_of, user_of
from storage.database.tables import aliases, groups, identities, memberships, reserved_names, users

_BY_NAME = select(users).where(users.c.name == bindparam("name"))
_BY_ALIAS = select(users).join(aliases, aliases.c.user_id == users.c.id).where(aliases.c.alias == bindparam("name"))
_BY_LOGIN = union_all(_BY_NAME, _BY_ALIAS)
_BY_ID = select(users).where(users.c.id == bindparam("id"))
_BY_IDENTITY = (
    select(users)
    .join(identities, identities.c.user_id == users.c.id)
    .where(identities.c.provider == bindparam("provider"), identities.c.external_id == bindparam("external_id"))
)
_IDENTITY = (
    select(identities)
    .where(identities.c.user_id == bindparam("user_id"), identities.c.provider == bindparam("provider"))
    .order_by(identities.c.linked_at.desc())
)
_GROUPS_OF = (
    select(groups)
    .where(exists().where(memberships.c.group_id == groups.c.id, memberships.c.user_id == bindparam("user_id")))
    .order_by(groups.c.name)
)
_RESERVED = select(
    exists().where(
        reserved_names.c.kind == "name",
        reserved_names.c.name == bindparam("name"),
    )
)


class Users:
    """Who there is. Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_name(self, name: str) -> User | None:
        """Give the user of this canonical name, or None."""
        if not storable(name):
            return None
        with self._database.read() as connection:
            row = connection.execute(_BY_NAME, {"name": name}).one_or_none()
        return None if row is None else user_of(row)

    def by_login(self, name: str) -> User | None:
        """Give the user whose name or alias this is, in one look-up, or None; no name is another's alias."""
        if not storable(name):
            return None
        with self._database.read() as connection:
            row = connection.execute(_BY_LOGIN, {"name": name}).first()
        return None if row is None else user_of(row)

    def by_id(self, id: str) -> User | None:  # noqa: A002 - the column's name
        """Give the user of this id, or None."""
        if not storable(id):
            return None
        with self._database.read() as connection:
            row = connection.execute(_BY_ID, {"id": id}).one_or_none()
        return None if row is None else user_of(row)

    def by_identity(self, provider: str, external_id: str) -> User | None:
        """Give the user linked to this immutable id at this provider, or None."""
        if not (storable(provider) and storable(external_id)):
            return None
        with self._database.read() as connection:
            row = connection.execute(_BY_IDENTITY, {"provider": provider, "external_id": external_id}).one_or_none()
        return None if row is None else user_of(row)

    def identities_of(self, user_id: str) -> builtins.list[Identity]:
        """Give the links of this user to providers, ordered by provider."""
        query = select(identities).where(identities.c.user_id == user_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(identities.c.provider, identities.c.external_id)).all()
        return [identity_of(row) for row in rows]

    def identity(self, user_id: str, provider: str) -> Identity | None:
        """Give the link of this user to this provider, or None."""
        with self._database.read() as connection:
            row = connection.execute(_IDENTITY, {"user_id": user_id, "provider": provider}).first()
        return None if row is None else identity_of(row)

    def aliases_of(self, user_id: str) -> builtins.list[str]:
        """Give what else this user may type to sign in, in order."""
        query = select(aliases.c.alias).where(aliases.c.user_id == user_id).order_by(aliases.c.alias)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def list(
        self,
        *,
        group: str | None = None,
        method: Method | None = None,
        status: Status | None = None,
        provider: str | None = None,
    ) -> builtins.list[User]:
        """Give users ordered by name; ``group`` is an id or a name, ``provider`` whom they belong or are linked to."""
        query = select(users).order_by(users.c.name)
        if provider is not None:
            linked = exists().where(identities.c.user_id == users.c.id, identities.c.provider == provider)
            query = query.where(or_(users.c.provider == provider, linked))
        if group is not None:
            held = and_(memberships.c.user_id == users.c.id, memberships.c.group_id == groups.c.id)
            query = query.where(exists().where(held, or_(groups.c.id == group, groups.c.name == group)))
        if method is not None:
            query = query.where(users.c.method == method.value)
        if status is not None:
            query = query.where(users.c.status == status.value)
        with self._database.read() as connection:
            return [user_of(row) for row in connection.execute(query)]

    def count(self) -> int:
        """Give the number of users of any status."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(users)).scalar_one()

    def epochs(self, user_ids: builtins.list[str]) -> dict[str, int]:
        """Give the epoch of each of these users that still exists: the cheap check of many sessions."""
        query = select(users.c.id, users.c.epoch).where(users.c.id.in_(user_ids))
        with self._database.read() as connection:
            return {row.id: row.epoch for row in connection.execute(query)}

    def groups_of(self, user_id: str) -> builtins.list[Group]:
        """Give each group of this user once, ordered by name, whoever owns the membership."""
        with self._database.read() as connection:
            return [group_of(row) for row in connection.execute(_GROUPS_OF, {"user_id": user_id})]

    def names_reserved(self, name: str) -> bool:
        """Whether this canonical name once was a user's who was renamed or deleted; nobody else may take it."""
        if not storable(name):
            return False
        with self._database.read() as connection:
            return bool(connection.execute(_RESERVED, {"name": name}).scalar_one())
