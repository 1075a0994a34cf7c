"""Which schema a database has, told without Alembic: importing it costs more than a start should."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Connection, inspect, text

REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
)  # every revision of this release, oldest first; the last one is the head
HEAD = REVISIONS[-1]


class SchemaState(StrEnum):
    """How the database's schema relates to this release."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"


def revision_of(connection: Connection) -> str | None:
    """Give the revision that the database says it has, or None when it never was migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def state_of(revision: str | None) -> SchemaState:
    """Compare a revision with this release's."""
    if revision is None:
        return SchemaState.EMPTY
    if revision == HEAD:
        return SchemaState.CURRENT
    return SchemaState.BEHIND if revision in REVISIONS else SchemaState.AHEAD
