"""Aliases: what else a person may type to sign in. Nobody's name, past name or alias is ever another's alias."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlalchemy import Connection, bindparam, delete, insert, literal, select, union_all

from storage.database.names import canonical_login
from storage.database.records import Owner
from storage.database.tables import aliases, reserved_names, users

NAME, ALIAS, RESERVED = "name", "alias", "reserved"

# One statement, built once: a sync asks it for every new person.
_HOLDERS = union_all(
    select(literal(NAME).label("what"), users.c.name.label("text"), users.c.id.label("user_id")).where(
        users.c.name.in_(bindparam("texts", expanding=True))
    ),
    select(literal(ALIAS), aliases.c.alias, aliases.c.user_id).where(
        aliases.c.alias.in_(bindparam("texts", expanding=True))
    ),
    select(literal(RESERVED), reserved_names.c.name, reserved_names.c.user_id).where(
        reserved_names.c.kind == NAME, reserved_names.c.name.in_(bindparam("texts", expanding=True))
    ),
)
_PRESENT = select(aliases.c.alias).where(
    aliases.c.user_id == bindparam("user_id"), aliases.c.owner == bindparam("owner")
)


def holders(tx: Connection, texts: AbstractSet[str]) -> list[tuple[str, str, str]]:
    """Give who has or had any of these as a name or alias: what it is to them, the text, and the user's id."""
    if not texts:
        return []
    rows = tx.execute(_HOLDERS, {"texts": sorted(texts)})
    return [(row.what, row.text, row.user_id) for row in rows]


def set_aliases(
    tx: Connection, user_id: str, wanted: AbstractSet[str], owner: Owner, *, fresh: bool = False
) -> dict[str, object]:
    """Give the user exactly these aliases of this owner, but those that are taken; say what changed.

    ``fresh`` says that the user has none yet. Raises InvalidName for a text that nobody could sign in with.
    """
    mine = {"user_id": user_id, "owner": owner.value}
    present = set() if fresh else set(tx.execute(_PRESENT, mine).scalars())
    told: dict[str, object] = {}
    if gone := present - wanted:
        of_user = (aliases.c.user_id == user_id, aliases.c.owner == owner.value)
        tx.execute(delete(aliases).where(*of_user, aliases.c.alias.in_(gone)))
        told["aliases_removed"] = sorted(gone)
    new = {canonical_login(alias) for alias in wanted - present}
    # The user's own name needs no alias; a name that the user gave up may become one.
    taken = {text for what, text, holder in holders(tx, new) if holder != user_id or what != RESERVED}
    if given := sorted(new - taken):
        tx.execute(insert(aliases), [{"alias": alias, **mine} for alias in given])
        told["aliases_added"] = given
    if taken:
        told["aliases_refused"] = sorted(taken)
    return told
