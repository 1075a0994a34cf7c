"""Changes of groups and memberships."""

from __future__ import annotations

from typing import assert_never

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select

from storage.database.appliers.effect import Effect, group_named, member_ids, new_id, user_named
from storage.database.appliers.roles import give_roles
from storage.database.change_types import AddMember, CreateGroup, DeleteGroup, GroupChange, RemoveMember
from storage.database.errors import Conflict
from storage.database.names import canonical_name
from storage.database.records import Owner
from storage.database.tables import group_identities, groups, memberships


def apply_group_change(tx: Connection, change: GroupChange, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case CreateGroup():
            return _create(tx, change, now)
        case DeleteGroup():
            return _delete(tx, change)
        case AddMember():
            return _add(tx, change)
        case RemoveMember():
            return _remove(tx, change)
    assert_never(change)


def _create(tx: Connection, change: CreateGroup, now: float) -> Effect:
    name = canonical_name(change.name)
    if tx.execute(select(groups.c.id).where(groups.c.name == name)).first():
        raise Conflict(f"The group {name!r} exists already.")
    group_id = new_id()
    row = {"id": group_id, "name": name, "managed_by": change.managed_by.value, "created_at": now}
    tx.execute(insert(groups), row)
    return Effect("group.created", f"group:{name}", group_id, detail={"managed_by": change.managed_by})


def _delete(tx: Connection, change: DeleteGroup) -> Effect:
    group = group_named(tx, change.group_id)
    members = member_ids(tx, group.id)
    of_clients = select(memberships.c.user_id).where(
        memberships.c.group_id == group.id, memberships.c.owner == Owner.SCIM.value
    )
    held = sorted(tx.execute(of_clients).scalars())
    links = select(group_identities.c.provider).where(group_identities.c.group_id == group.id)
    providers = tx.execute(links).scalars().all()
    tx.execute(delete(groups).where(groups.c.id == group.id))
    detail: dict[str, object] = {"members": len(members)}
    for provider in providers:  # no sync takes away what the group of a SCIM client gave
        if changed := give_roles(tx, provider, held):
            detail["roles_changed"] = sorted(changed)
    return Effect("group.deleted", f"group:{group.name}", group.id, members, detail=detail)


def _add(tx: Connection, change: AddMember) -> Effect:
    user, group = user_named(tx, change.user_id), group_named(tx, change.group_id)
    detail: dict[str, object] = {"group": group.name, "group_id": group.id, "owner": change.owner}
    if tx.execute(select(memberships.c.owner).where(_same(change))).first():
        return Effect("member.added", user.name, user.id, changed=False, detail=detail)
    row = {"user_id": user.id, "group_id": group.id, "owner": change.owner.value}
    tx.execute(insert(memberships), row)
    return Effect("member.added", user.name, user.id, (user.id,), detail=detail)


def _remove(tx: Connection, change: RemoveMember) -> Effect:
    user, group = user_named(tx, change.user_id), group_named(tx, change.group_id)
    detail: dict[str, object] = {"group": group.name, "group_id": group.id, "owner": change.owner}
    removed = tx.execute(delete(memberships).where(_same(change))).rowcount
    return Effect("member.removed", user.name, user.id, (user.id,) if removed else (), bool(removed), detail)


def _same(change: AddMember | RemoveMember) -> ColumnElement[bool]:
    return and_(
        memberships.c.user_id == change.user_id,
        memberships.c.group_id == change.group_id,
        memberships.c.owner == change.owner.value,
    )
