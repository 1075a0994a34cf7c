"""How a user was before a move, as the journal keeps it: everything that an undo brings back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Before:
    """The rows and values as they were; ``role_left`` and ``made_own`` say what the move made of some of them.

    ``links`` are those at both providers, ``groups`` the ids of the groups that the directory held the user in and
    ``made_own`` of those that became the site's own. ``grave`` is of a deleted user who was the same person, and
    ``old_name`` the reservation of that user's name.
    """

    batch: str
    method: str
    provider: str | None
    managed_by: str
    role: str
    role_left: str
    groups: tuple[str, ...] = ()
    made_own: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    links: tuple[Columns, ...] = ()
    conflicts: tuple[Columns, ...] = ()
    pilot: Columns | None = None
    grave: Columns | None = None
    old_name: Columns | None = None

    def as_json(self) -> Columns:
        """Give it as the journal's column."""
        return asdict(self)


def before_of(row: Row[Any]) -> Before:
    """Read it from a row of the journal."""
    kept: Mapping[str, Any] = row.before
    lists = ("groups", "made_own", "aliases", "links", "conflicts")
    return Before(**{**kept, **{name: tuple(kept.get(name, ())) for name in lists}})
