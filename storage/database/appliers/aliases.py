"""Aliases: what else a person may type to sign in. Nobody's name, past name or alias is ever another's alias."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlalchemy import Connection, delete, insert, select

from storage.database.names import canonical_login
from storage.database.records import Owner
from storage.database.tables import aliases, reserved_names, users


def set_aliases(tx: Connection, user_id: str, wanted: AbstractSet[str], owner: Owner) -> dict[str, object]:
    """Give the user exactly these aliases of this owner, but those that are taken; say what changed.

    Raises InvalidName for a text that nobody could sign in with.
    """
    mine = (aliases.c.user_id == user_id, aliases.c.owner == owner.value)
    present = set(tx.execute(select(aliases.c.alias).where(*mine)).scalars())
    told: dict[str, object] = {}
    if gone := present - wanted:
        tx.execute(delete(aliases).where(*mine, aliases.c.alias.in_(gone)))
        told["aliases_removed"] = sorted(gone)
    given: list[str] = []
    refused: list[str] = []
    for alias in sorted(wanted - present):
        (refused if _taken(tx, canonical_login(alias), user_id) else given).append(canonical_login(alias))
    if given:
        tx.execute(insert(aliases), [{"alias": alias, "user_id": user_id, "owner": owner.value} for alias in given])
        told["aliases_added"] = given
    if refused:
        told["aliases_refused"] = refused
    return told


def alias_of_another(tx: Connection, name: str, user_id: str) -> bool:
    """Whether this is an alias of somebody else, so that nobody may take it as a name."""
    holder = tx.execute(select(aliases.c.user_id).where(aliases.c.alias == name)).scalar_one_or_none()
    return holder not in {None, user_id}


def _taken(tx: Connection, alias: str, user_id: str) -> bool:
    if tx.execute(select(users.c.id).where(users.c.name == alias)).first():
        return True  # the user's own name needs no alias
    if tx.execute(select(aliases.c.user_id).where(aliases.c.alias == alias)).first():
        return True
    reserved = select(reserved_names.c.user_id).where(reserved_names.c.kind == "name", reserved_names.c.name == alias)
    return tx.execute(reserved).scalar_one_or_none() not in {None, user_id}
