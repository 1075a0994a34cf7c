"""The changes that move a user from a directory to an identity provider, and back, as values."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database.records import Method
from storage.database.scim_changes import Document, PersonFacts

UNDO_S = 30 * 86_400.0
"""So long a move can be taken back."""


@dataclass(frozen=True, slots=True)
class MigrateUser:
    """Hand an ldap user to an identity provider, where ``external_id`` is the person; keys, home and grants stay.

    ``facts`` and ``document`` are what the provider's SCIM client last said of the person, both or neither: with them
    the client finds the user at once, under its own userName. Without them its next create takes the user over.
    ``keep_groups`` makes the memberships that the directory held the site's own; else they end. ``batch`` names those
    who moved together.
    """

    user_id: str
    provider: str
    method: Method
    external_id: str
    facts: PersonFacts | None = None
    document: Document | None = None
    keep_groups: bool = True
    batch: str = ""


@dataclass(frozen=True, slots=True)
class UndoMigration:
    """Give a moved user back to the directory; a Conflict after 30 days, or if somebody moved the user on since."""

    migration_id: int


@dataclass(frozen=True, slots=True)
class MarkPilot:
    """Note that an ldap user tries an identity provider before the others; nothing else changes."""

    user_id: str
    provider: str


@dataclass(frozen=True, slots=True)
class UnmarkPilot:
    """Take the mark away."""

    user_id: str


MigrationChange = MigrateUser | UndoMigration | MarkPilot | UnmarkPilot
