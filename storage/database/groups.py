"""Reading groups. All writes go through ``changes``."""

from __future__ import annotations

import builtins

from sqlalchemy import select

from storage.database.engine import Database
from storage.database.names import storable
from storage.database.records import Group, Owner, User
from storage.database.rows import group_of, user_of
from storage.database.tables import groups, memberships, users


class Groups:
    """Which groups there are and who is in them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_name(self, name: str) -> Group | None:
        """Give the group of this canonical name, or None."""
        if not storable(name):
            return None
        with self._database.read() as connection:
            row = connection.execute(select(groups).where(groups.c.name == name)).one_or_none()
        return None if row is None else group_of(row)

    def by_id(self, id: str) -> Group | None:  # noqa: A002 - the column's name
        """Give the group of this id, or None."""
        if not storable(id):
            return None
        with self._database.read() as connection:
            row = connection.execute(select(groups).where(groups.c.id == id)).one_or_none()
        return None if row is None else group_of(row)

    def list(self) -> builtins.list[Group]:
        """Give all groups ordered by name."""
        with self._database.read() as connection:
            return [group_of(row) for row in connection.execute(select(groups).order_by(groups.c.name))]

    def members(self, group_id: str) -> builtins.list[tuple[User, Owner]]:
        """Give members ordered by name, once per owner that holds the membership."""
        query = (
            select(users, memberships.c.owner)
            .join(memberships, memberships.c.user_id == users.c.id)
            .where(memberships.c.group_id == group_id)
            .order_by(users.c.name, memberships.c.owner)
        )
        with self._database.read() as connection:
            return [(user_of(row), Owner(row.owner)) for row in connection.execute(query)]
