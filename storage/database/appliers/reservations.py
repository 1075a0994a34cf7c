"""Login names and homes: each is one user's for ever, so that nobody inherits another's files or grants."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, literal, select, union_all

from storage.database.appliers.aliases import ALIAS, NAME, RESERVED, holders
from storage.database.errors import Conflict, Taken
from storage.database.names import MAX_HOME_BYTES, checked_home
from storage.database.tables import reserved_names, users

_TAKEN = {
    NAME: "The name {name!r} is taken.",
    ALIAS: "The name {name!r} is what another user may type to sign in.",
    RESERVED: "The name {name!r} was another user's and stays reserved.",
}
_HOME_HOLDERS = union_all(
    select(literal("is").label("what"), users.c.id.label("user_id")).where(users.c.home == bindparam("home")),
    select(literal("was and stays reserved as"), reserved_names.c.user_id).where(
        reserved_names.c.kind == "home", reserved_names.c.name == bindparam("home")
    ),
)


def take_name(tx: Connection, name: str, user_id: str) -> None:
    """Return if this user may have the canonical name; Taken if it is, or was, another's."""
    for what, _, holder in holders(tx, {name}):
        if holder != user_id:
            raise Taken(_TAKEN[what].format(name=name), holder, what)


def take_home(tx: Connection, home: str, user_id: str) -> str:
    """Give the home in canonical form if this user may have it; Conflict if it is, or was, another's."""
    checked = checked_home(home)
    for row in tx.execute(_HOME_HOLDERS, {"home": checked}):
        if row.user_id != user_id:
            raise Conflict(f"The home {checked!r} {row.what} another user's.")
    return checked


def home_of_new_user(tx: Connection, home: str | None, name: str, user_id: str) -> str:
    """Give the wanted home, or the name if it can be one and is free, or else the id."""
    if home is not None:
        return take_home(tx, home, user_id)
    if len(name.encode()) > MAX_HOME_BYTES:
        return user_id
    try:
        return take_home(tx, name, user_id)
    except Conflict:  # a renamed user's home has this user's name
        return user_id


def reserve(tx: Connection, kind: str, name: str, user_id: str, now: float) -> None:
    """Keep what this user gives up from everybody else."""
    tx.execute(delete(reserved_names).where(reserved_names.c.kind == kind, reserved_names.c.name == name))
    tx.execute(insert(reserved_names), {"kind": kind, "name": name, "user_id": user_id, "reserved_at": now})


def release_name(tx: Connection, name: str) -> None:
    """End the reservation of a name that its own user has taken back."""
    tx.execute(delete(reserved_names).where(reserved_names.c.kind == "name", reserved_names.c.name == name))
