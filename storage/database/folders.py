"""Reading shared folders and grants. All writes go through ``changes``."""

from __future__ import annotations

import builtins

from sqlalchemy import bindparam, or_, select

from storage.database.engine import Database
from storage.database.names import storable
from storage.database.records import Folder, Grant
from storage.database.rows import folder_of, grant_of
from storage.database.tables import folders, grants, memberships

_IN_ORDER = (grants.c.path, grants.c.created_at, grants.c.id)
_GROUP_IDS = select(memberships.c.group_id).where(memberships.c.user_id == bindparam("user_id"))
_GRANTS_FOR = (
    select(grants)
    .where(or_(grants.c.user_id == bindparam("user_id"), grants.c.group_id.in_(_GROUP_IDS)))
    .order_by(*_IN_ORDER)
)


class Folders:
    """Which shared folders there are, and who may do what where."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_name(self, name: str) -> Folder | None:
        """Give the folder of this canonical name, or None."""
        if not storable(name):
            return None
        with self._database.read() as connection:
            row = connection.execute(select(folders).where(folders.c.name == name)).one_or_none()
        return None if row is None else folder_of(row)

    def by_id(self, id: str) -> Folder | None:  # noqa: A002 - the column's name
        """Give the folder of this id, or None."""
        if not storable(id):
            return None
        with self._database.read() as connection:
            row = connection.execute(select(folders).where(folders.c.id == id)).one_or_none()
        return None if row is None else folder_of(row)

    def list(self) -> builtins.list[Folder]:
        """Give all folders ordered by name."""
        with self._database.read() as connection:
            return [folder_of(row) for row in connection.execute(select(folders).order_by(folders.c.name))]

    def grants_for(self, user_id: str) -> builtins.list[Grant]:
        """Give the grants that count for this user, the user's own and all groups', ordered by path."""
        with self._database.read() as connection:
            return [grant_of(row) for row in connection.execute(_GRANTS_FOR, {"user_id": user_id})]

    def grants(
        self, *, user_id: str | None = None, group_id: str | None = None, folder_id: str | None = None
    ) -> builtins.list[Grant]:
        """Give the grants made to exactly this user or group, or of this folder, ordered by path."""
        query = select(grants).order_by(*_IN_ORDER)
        if user_id is not None:
            query = query.where(grants.c.user_id == user_id)
        if group_id is not None:
            query = query.where(grants.c.group_id == group_id)
        if folder_id is not None:
            query = query.where(grants.c.folder_id == folder_id)
        with self._database.read() as connection:
            return [grant_of(row) for row in connection.execute(query)]
