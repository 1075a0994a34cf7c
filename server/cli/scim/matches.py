"""Which of the people whom a client could not make are a user here: by a name of now, never by a former one.

A former name stays reserved, so that nobody inherits anything; but at the identity provider it may be somebody else's
by now, who would get the user's home, keys and grants.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.cli.output import printable
from storage.database.errors import InvalidName
from storage.database.names import canonical_name
from storage.database.records import User
from storage.database.scim_waiting import ScimConflict
from storage.database.store import Store

NAME, ALIAS, RESERVED, LINK = "name", "alias", "reserved", "link"
PRESENT = frozenset({NAME, ALIAS})


def matching(store: Store, user: User, conflicts: Iterable[ScimConflict]) -> list[ScimConflict]:
    """Give the people who go by a name that is the user's now. Raises StoreUnavailable."""
    return [one for one in conflicts if one.held_as in PRESENT and _is_called(store, user, one.user_name)]


def doubt(user: User, conflicts: Sequence[ScimConflict]) -> str:
    """Say why none of these people is taken for the user by itself."""
    return "; ".join(_doubt(user, one) for one in conflicts)


def _doubt(user: User, conflict: ScimConflict) -> str:
    name = printable(conflict.user_name)
    if conflict.held_as in {RESERVED, *PRESENT}:  # in the latter case the user was renamed since
        return f"{name} was {user.name}'s former name, and may now mean somebody else"
    if conflict.held_as == LINK:
        return f"{name} has an id that {user.name} was linked to"
    return f"it is not known whether {name} is, or was, {user.name}'s name"


def _is_called(store: Store, user: User, name: str) -> bool:
    try:
        known = canonical_name(name)
    except InvalidName:
        return False
    return known == user.name or known in store.users.aliases_of(user.id)
