"""The way back: a moved user becomes the directory's again, with what the journal has of before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from storage.database.appliers.aliases import set_aliases
from storage.database.appliers.effect import Effect
from storage.database.appliers.migration_before import Before, Columns, before_of
from storage.database.appliers.scim_links import link_at
from storage.database.appliers.user_rows import user_row
from storage.database.appliers.users import forget_scim
from storage.database.errors import Conflict, NotFoundInStore, Taken
from storage.database.migration_changes import UNDO_S, UndoMigration
from storage.database.moving import role_after
from storage.database.records import Method, Owner, Role, User
from storage.database.rows import identity_of, user_of
from storage.database.scim_tables import migration_pilots, migrations, scim_conflicts, scim_users, tombstones
from storage.database.tables import aliases, groups, identities, memberships, reserved_names, users

GIVEN_BACK = "The user was given back to the directory, and belongs to it again."


def undo_migration(tx: Connection, change: UndoMigration, actor: str, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    row = tx.execute(select(migrations).where(migrations.c.id == change.migration_id)).one_or_none()
    if row is None:
        raise NotFoundInStore(f"There is no move {change.migration_id}.")
    user, before = _still_moved(tx, row, now), before_of(row)
    links = [identity_of(link) for link in tx.execute(select(identities).where(identities.c.user_id == user.id))]
    kept = role_after(user, links).role  # without what the client's groups gave
    new = replace(
        user,
        method=Method(before.method),
        provider=before.provider,
        managed_by=Owner(before.managed_by),
        role=Role(before.role) if kept is Role(before.role_left) else kept,  # else an admin has said it since
    )
    values = user_row(new)
    conflicts = _conflicts(tx, row, before, user, now)
    forget_scim(tx, user.id)
    _relink(tx, row, before, user)
    joined, left = _rejoin(tx, before, user.id)
    told = _rename_back(tx, before, user.id)
    _bury_again(tx, before, user.id)
    for conflict in conflicts:
        same = (scim_conflicts.c.provider == conflict["provider"], scim_conflicts.c.key == conflict["key"])
        tx.execute(delete(scim_conflicts).where(*same))
        tx.execute(insert(scim_conflicts), conflict)
    tx.execute(delete(migration_pilots).where(migration_pilots.c.user_id == user.id))
    if before.pilot is not None:
        tx.execute(insert(migration_pilots), before.pilot)
    columns = ("method", "provider", "managed_by", "role")
    tx.execute(update(users).where(users.c.id == user.id).values(**{name: values[name] for name in columns}))
    done = {"undone_at": now, "undone_by": actor}
    tx.execute(update(migrations).where(migrations.c.id == row.id).values(**done))
    detail: dict[str, object] = {
        "migration": row.id,
        "old_method": user.method,
        "method": new.method,
        "old_provider": user.provider,
        "provider": new.provider,
        "managed_by": new.managed_by,
        "groups_joined": joined,
        "groups_left": left,
    }
    if new.role is not user.role:
        detail["role"] = new.role
    return Effect("user.migration_undone", user.name, user.id, (user.id,), detail=detail | told)


def _still_moved(tx: Connection, row: Row[Any], now: float) -> User:
    """Give the user, if the move is the last thing that was done to the way to sign in. Raises Conflict."""
    if row.undone_at is not None:
        raise Conflict(f"The move {row.id} of {row.user_name!r} was undone already.")
    if now > row.at + UNDO_S:
        raise Conflict(f"The move {row.id} of {row.user_name!r} is more than 30 days ago and stands.")
    found = tx.execute(select(users).where(users.c.id == row.user_id)).one_or_none()
    if found is None:
        raise Conflict(f"The user {row.user_name!r} was deleted since.")
    user = user_of(found)
    if not user.method.is_sso or user.managed_by is not Owner.SCIM or user.provider != row.to_provider:
        what = f"has the method {user.method}, provider {user.provider or 'none'}, managed by {user.managed_by}"
        raise Conflict(f"The user {user.name!r} was moved on since, and {what}.")
    later = (migrations.c.user_id == user.id, migrations.c.id > row.id, migrations.c.undone_at.is_(None))
    if newer := tx.execute(select(migrations.c.id).where(*later).limit(1)).scalar_one_or_none():
        raise Conflict(f"The user {user.name!r} was moved again since, by the move {newer}.")
    return user


def _conflicts(tx: Connection, row: Row[Any], before: Before, user: User, now: float) -> list[Columns]:
    """Say whom the client cannot make from now on: as it was, or by what the client said of the person since."""
    said = tx.execute(select(scim_users).where(scim_users.c.user_id == user.id)).one_or_none()
    if said is None or said.provider != row.to_provider:
        return list(before.conflicts)
    if said.deleted_at is not None:
        return []
    external_id, user_name = str(said.document.get("externalId", "")), str(said.document["userName"])
    conflict = {
        "provider": said.provider,
        "key": external_id or user_name,
        "external_id": external_id,
        "held_as": next((str(known["held_as"]) for known in before.conflicts), "alias"),
        "user_name": user_name,
        "holder_id": user.id,
        "reason": GIVEN_BACK,
        "document": dict(said.document),
        "since": now,
        "asked_at": said.modified_at,
    }
    return [conflict]


def _relink(tx: Connection, row: Row[Any], before: Before, user: User) -> None:
    """Put the links as they were; what an admin did with the directory's own link since stays."""
    mine = identities.c.user_id == user.id
    tx.execute(delete(identities).where(mine, identities.c.provider == row.to_provider))
    present = set(tx.execute(select(identities.c.provider).where(mine)).scalars())
    for link in before.links:
        if link["provider"] in present:
            continue
        holder = link_at(tx, link["provider"], link["external_id"])
        if holder is None:
            tx.execute(insert(identities), link)
        elif link["provider"] == before.provider:
            raise Taken("The person of the directory is linked to another user by now.", holder.user_id)


def _rejoin(tx: Connection, before: Before, user_id: str) -> tuple[list[str], list[str]]:
    """Let the directory hold the user where it did, and the client nowhere; the groups so joined and left."""
    mine = memberships.c.user_id == user_id
    of_client = and_(mine, memberships.c.owner == Owner.SCIM.value)
    left = sorted(tx.execute(select(memberships.c.group_id).where(of_client)).scalars())
    tx.execute(delete(memberships).where(of_client))
    made_own = and_(mine, memberships.c.owner == Owner.MANUAL.value, memberships.c.group_id.in_(before.made_own))
    tx.execute(delete(memberships).where(made_own))
    tx.execute(delete(memberships).where(mine, memberships.c.owner == Owner.LDAP.value))
    there = sorted(tx.execute(select(groups.c.id).where(groups.c.id.in_(before.groups))).scalars())
    if there:
        rows = [{"user_id": user_id, "group_id": group, "owner": Owner.LDAP.value} for group in there]
        tx.execute(insert(memberships), rows)
    return there, left


def _rename_back(tx: Connection, before: Before, user_id: str) -> dict[str, object]:
    """Give the directory its aliases back; what the client called the user is forgotten."""
    mine = aliases.c.user_id == user_id
    tx.execute(delete(aliases).where(mine, aliases.c.owner == Owner.SCIM.value))
    own = and_(mine, aliases.c.owner == Owner.MANUAL.value, aliases.c.alias.in_(before.aliases))
    tx.execute(delete(aliases).where(own))
    return set_aliases(tx, user_id, set(before.aliases), Owner.LDAP)


def _bury_again(tx: Connection, before: Before, user_id: str) -> None:
    if before.grave is not None:
        same = [tombstones.c[name] == before.grave[name] for name in ("provider", "external_id")]
        if tx.execute(select(tombstones.c.name).where(*same)).first() is None:
            tx.execute(insert(tombstones), before.grave)
    if before.old_name is not None:
        same = [reserved_names.c[name] == before.old_name[name] for name in ("kind", "name")]
        mine = reserved_names.c.user_id == user_id
        tx.execute(update(reserved_names).where(*same, mine).values(user_id=before.old_name["user_id"]))
