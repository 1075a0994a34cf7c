"""Users of a directory as its sync makes them, and short ways to move them to an identity provider."""

from __future__ import annotations

from typing import Any

from storage.database.changes import Applied, Provision, ProvisionGroup, apply
from storage.database.migration_changes import MigrateUser, UndoMigration
from storage.database.records import Method, Owner, User
from storage.database.scim_waiting import ScimConflict
from storage.database.store import Store
from tests.support.scim_rows import ENTRA, facts_of, person
from tests.support.store_rows import ACTOR, user_again

CORP = "corp"
SYNC = "sync:corp"
ID = "oid-ann"


def directory_group(store: Store, name: str = "crew") -> str:
    """Make a group of the directory and give its id."""
    change = ProvisionGroup(CORP, Owner.LDAP, f"g-{name}", name, f"cn={name}")
    return store.apply(change, actor=SYNC).subject_id


def word_of_directory(name: str = "ann", **fields: Any) -> Provision:
    """Give what the directory says of a person."""
    said: dict[str, Any] = {"display_name": name.title(), "email": f"{name}@lab.test", "hint": f"uid={name}"}
    who = fields.pop("external_id", f"e-{name}")
    return Provision(CORP, Owner.LDAP, Method.LDAP, who, name, **(said | fields))


def directory_user(store: Store, name: str = "ann", **fields: Any) -> User:
    """Make the user of a person of the directory; ``groups`` are ids, the rest is as in Provision."""
    return user_again(store, store.apply(word_of_directory(name, **fields), actor=SYNC).subject_id)


def contest(
    store: Store, holder: User | str, user_name: str = "ann@lab.test", external_id: str = ID, **more: Any
) -> dict[str, Any]:
    """Let the client fail to make a person whose name is the holder's; the document it sent."""
    document = person(user_name, external_id, **more)
    holder_id = holder if isinstance(holder, str) else holder.id
    conflict = ScimConflict(
        ENTRA, external_id, user_name, holder_id, "The name is taken.", document, asked_at=1_900_000_000.0
    )
    store.scim_waiting.contest(conflict)
    return document


def moving(user: User, document: dict[str, Any] | None = None, **fields: Any) -> MigrateUser:
    """Give the change that moves a user; with the client's document if there is one."""
    said = {} if document is None else {"facts": facts_of(document), "document": document}
    external_id = fields.pop("external_id", ID)
    return MigrateUser(user.id, ENTRA, fields.pop("method", Method.OIDC), external_id, **(said | fields))


def move(store: Store, user: User, document: dict[str, Any] | None = None, **fields: Any) -> Applied:
    """Move a user."""
    return store.apply(moving(user, document, **fields), actor=ACTOR)


def move_back(store: Store, number: object, *, now: float | None = None) -> Applied:
    """Undo a move, at this time if one is given."""
    change = UndoMigration(int(str(number)))
    if now is None:
        return store.apply(change, actor="other-admin")
    return apply(store._database, change, actor="other-admin", now=now)
