"""Reading the providers that an admin keeps in the database, and the roles that their groups give."""

from __future__ import annotations

import builtins

from sqlalchemy import select

from storage.database.engine import Database
from storage.database.names import storable
from storage.database.records import RoleMapping, StoredProvider
from storage.database.rows import provider_of, role_mapping_of
from storage.database.tables import providers, role_mappings


class Providers:
    """Which providers are kept here. Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_name(self, name: str) -> StoredProvider | None:
        """Give the kept provider of this name, or None."""
        if not storable(name):
            return None
        with self._database.read() as connection:
            row = connection.execute(select(providers).where(providers.c.name == name)).one_or_none()
        return None if row is None else provider_of(row)

    def list(self, kind: str | None = None) -> builtins.list[StoredProvider]:
        """Give the kept providers ordered by name, of one kind or of all."""
        query = select(providers).order_by(providers.c.name)
        if kind is not None:
            query = query.where(providers.c.kind == kind)
        with self._database.read() as connection:
            return [provider_of(row) for row in connection.execute(query)]

    def roles(self, provider: str) -> builtins.list[RoleMapping]:
        """Give the confirmed mappings of this provider's groups to roles, ordered by group name."""
        query = select(role_mappings).where(role_mappings.c.provider == provider)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(role_mappings.c.group_name, role_mappings.c.external_id))
            return [role_mapping_of(row) for row in rows]
