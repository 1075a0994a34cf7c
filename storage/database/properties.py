"""PropertyTable: dead WebDAV properties (RFC 4918 section 4), kept beside the files they describe.

A place is a ``tree`` and a ``path`` inside it, as for locks; ``name`` is in Clark notation and
``value`` the property's XML element as text.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, and_, delete, func, literal, not_, or_, select

from storage.database.engine import AdvisoryLock, Database
from storage.database.subtrees import below
from storage.database.tables import dav_properties

MAX_VALUE_BYTES = 64 * 1024
MAX_NAME_BYTES = 1024
MAX_PER_PLACE = 200
MAX_PLACE_BYTES = 256 * 1024
MAX_MEMBERS_CHARACTERS = 4 * 1024 * 1024  # of all members of a directory in one answer

Properties = dict[str, str]


class PropertiesTooLarge(Exception):
    """More than is kept on one place, or given at once; nothing was changed."""


class PropertyTable:
    """Blocking and thread-safe; raises StoreError if the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def at(self, tree: str, path: str) -> Properties:
        """Give the properties of one place."""
        with self._database.read() as connection:
            return _at(connection, tree, path)

    def of_members(self, tree: str, path: str) -> dict[str, Properties]:
        """Give the properties of the direct members of a directory, by their paths, at once.

        Raises:
            PropertiesTooLarge: they are over 4 MiB together; ask for each member ``at`` its path.
        """
        stem = path.rstrip("/")
        rest = func.substr(dav_properties.c.path, len(stem) + 2)
        with self._database.read() as connection:
            inside = below(connection, dav_properties.c.path, path)
            direct = and_(dav_properties.c.tree == tree, inside, not_(rest.contains("/")))
            size = select(func.sum(func.length(dav_properties.c.name) + func.length(dav_properties.c.value)))
            if (connection.execute(size.where(direct)).scalar_one() or 0) > MAX_MEMBERS_CHARACTERS:
                raise PropertiesTooLarge("the members' properties are too many to be given at once")
            query = select(dav_properties).where(direct)
            members: dict[str, Properties] = {}
            for row in connection.execute(query):
                members.setdefault(row.path, {})[row.name] = row.value
        return members

    def places_below(self, tree: str, path: str) -> list[str]:
        """List the paths strictly below a place that have properties."""
        with self._database.read() as connection:
            inside = and_(dav_properties.c.tree == tree, below(connection, dav_properties.c.path, path))
            return list(connection.execute(select(dav_properties.c.path).where(inside).distinct()).scalars())

    def change(self, tree: str, path: str, changes: Iterable[tuple[str, str | None]]) -> None:
        """Set properties, or remove those whose value is None, in order; all or nothing.

        Raises:
            PropertiesTooLarge: one of them, or all together, would be over the limits.
        """
        with self._database.write(lock=AdvisoryLock.DAV) as connection:
            present = _at(connection, tree, path)
            wanted = dict(present)
            for name, value in changes:
                if value is None:
                    wanted.pop(name, None)
                else:
                    wanted[name] = value
            _check(wanted)
            changed = [name for name in present.keys() | wanted.keys() if present.get(name) != wanted.get(name)]
            if not changed:
                return
            place = and_(dav_properties.c.tree == tree, dav_properties.c.path == path)
            connection.execute(delete(dav_properties).where(place, dav_properties.c.name.in_(changed)))
            rows = [
                {"tree": tree, "path": path, "name": name, "value": wanted[name]} for name in changed if name in wanted
            ]
            if rows:
                connection.execute(dav_properties.insert(), rows)

    def forget(self, tree: str, path: str) -> None:
        """Remove the properties of a place and of everything below it."""
        with self._database.read() as connection:  # nearly always there are none: no write transaction then
            if not _any(connection, tree, path):
                return
        with self._database.write(lock=AdvisoryLock.DAV) as connection:
            connection.execute(delete(dav_properties).where(_subtree(connection, tree, path)))

    def move(self, tree: str, path: str, to_tree: str, to_path: str) -> None:
        """Carry the properties of a subtree along; those that the target had are gone."""
        self._carry(tree, path, to_tree, to_path, deep=True, keep=False)

    def copy(self, tree: str, path: str, to_tree: str, to_path: str, *, deep: bool) -> None:
        """Give the target a copy of the properties, of the whole subtree if ``deep``; those it had are gone."""
        self._carry(tree, path, to_tree, to_path, deep=deep, keep=True)

    def _carry(self, tree: str, path: str, to_tree: str, to_path: str, *, deep: bool, keep: bool) -> None:
        with self._database.read() as connection:
            if not (_any(connection, tree, path) or _any(connection, to_tree, to_path)):
                return
        columns = dav_properties.c
        with self._database.write(lock=AdvisoryLock.DAV) as connection:
            connection.execute(delete(dav_properties).where(_subtree(connection, to_tree, to_path)))
            source = _subtree(connection, tree, path) if deep else and_(columns.tree == tree, columns.path == path)
            stem, to_stem = path.rstrip("/"), to_path.rstrip("/")
            carried = select(
                literal(to_tree),
                literal(to_stem) + func.substr(columns.path, len(stem) + 1),
                columns.name,
                columns.value,
            ).where(source)
            names = ["tree", "path", "name", "value"]
            connection.execute(dav_properties.insert().from_select(names, carried))
            if not keep:
                connection.execute(delete(dav_properties).where(source))


def _at(connection: Connection, tree: str, path: str) -> Properties:
    query = select(dav_properties.c.name, dav_properties.c.value).where(
        dav_properties.c.tree == tree, dav_properties.c.path == path
    )
    return {row.name: row.value for row in connection.execute(query)}


def _subtree(connection: Connection, tree: str, path: str) -> ColumnElement[bool]:
    inside = or_(dav_properties.c.path == path, below(connection, dav_properties.c.path, path))
    return and_(dav_properties.c.tree == tree, inside)


def _any(connection: Connection, tree: str, path: str) -> bool:
    return (
        connection.execute(select(dav_properties.c.name).where(_subtree(connection, tree, path)).limit(1)).first()
        is not None
    )


def _check(wanted: Properties) -> None:
    sizes = {name: len(name.encode()) + len(value.encode()) for name, value in wanted.items()}
    if any(len(name.encode()) > MAX_NAME_BYTES for name in wanted):
        raise PropertiesTooLarge("a property's name is too long")
    if any(len(value.encode()) > MAX_VALUE_BYTES for value in wanted.values()):
        raise PropertiesTooLarge("a property is over 64 KiB")
    if len(wanted) > MAX_PER_PLACE or sum(sizes.values()) > MAX_PLACE_BYTES:
        raise PropertiesTooLarge("too many or too large properties on one place")
