"""Changes that a source (a directory, a SCIM client) makes: people and groups, as the source has them."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, insert, select, update

from storage.database.appliers import checks
from storage.database.appliers.aliases import set_aliases
from storage.database.appliers.effect import Effect, group_named, member_ids, new_id, user_named
from storage.database.appliers.jit import sign_in_jit
from storage.database.appliers.new_users import make_user
from storage.database.appliers.reservations import release_name, reserve, take_name
from storage.database.appliers.user_rows import keep_last_admin, user_row
from storage.database.appliers.users import apply_user_change
from storage.database.change_types import (
    AdoptUser,
    DeleteUser,
    Depart,
    DepartGroup,
    Provision,
    ProvisionGroup,
    SourceChange,
)
from storage.database.errors import Conflict
from storage.database.jit_changes import SignInJit
from storage.database.names import canonical_name
from storage.database.provisioning import provisioned, status_after
from storage.database.records import Identity, Owner, Status, User
from storage.database.rows import identity_of
from storage.database.tables import (
    grants,
    group_identities,
    groups,
    identities,
    memberships,
    passwords,
    users,
)

_LINK = select(identities).where(
    identities.c.provider == bindparam("provider"), identities.c.external_id == bindparam("external_id")
)


def apply_source_change(tx: Connection, change: SourceChange, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case Provision():
            return _provision(tx, change, now)
        case SignInJit():
            return sign_in_jit(tx, change, now)
        case Depart():
            return _depart(tx, change, now)
        case AdoptUser():
            return _adopt(tx, change, now)
        case ProvisionGroup():
            return _provision_group(tx, change, now)
        case DepartGroup():
            return _depart_group(tx, change)
    assert_never(change)


# People -------------------------------------------------------------------------------------------


def _provision(tx: Connection, change: Provision, now: float) -> Effect:
    link = _link(tx, change.provider, change.external_id)
    return _create(tx, change, now) if link is None else _follow(tx, change, link, now)


def _create(tx: Connection, change: Provision, now: float) -> Effect:
    draft = User(
        id=new_id(),
        name=canonical_name(change.name),
        method=change.method,
        status=Status.ACTIVE if change.active else Status.DEPROVISIONED,
        epoch=0,
        home="",
        display_name=change.display_name,
        email=change.email,
        provider=change.provider,
        managed_by=change.owner,
        protocols=change.protocols,
        created_at=now,
        updated_at=now,
    )
    as_told = provisioned(draft, Identity(draft.id, change.provider, change.external_id, now), change)
    user = make_user(tx, as_told.user, change.home)
    tx.execute(insert(identities), _link_row(as_told.identity))
    detail: dict[str, object] = {
        "method": user.method,
        "provider": change.provider,
        "external_id": change.external_id,
        "managed_by": user.managed_by,
        "role": user.role,
    }
    detail |= set_aliases(tx, user.id, change.aliases, change.owner, fresh=True)
    detail |= _set_memberships(tx, user.id, change, fresh=True)
    return Effect("user.created", user.name, user.id, (user.id,), detail=detail)


def _follow(tx: Connection, change: Provision, link: Identity, now: float) -> Effect:
    old = user_named(tx, link.user_id)
    told = provisioned(old, link, change)
    detail: dict[str, object] = {}
    new = told.user
    if new.name != old.name:
        try:
            take_name(tx, new.name, old.id)
        except Conflict as error:  # the person keeps the old name; everything else follows
            detail["name_kept"] = error.message
            new = replace(new, name=old.name)
        else:
            release_name(tx, new.name)
            reserve(tx, "name", old.name, old.id, now)
    row, before = user_row(new), user_row(old)
    changed = {name: row[name] for name in row if row[name] != before[name]}
    if changed:
        keep_last_admin(tx, old, new)
        tx.execute(update(users).where(users.c.id == old.id).values(**changed))
    if told.identity != link:
        tx.execute(update(identities).where(_same_person(change)).values(**_link_row(told.identity)))
    detail |= changed
    rights = set_aliases(tx, old.id, change.aliases, change.owner) | _set_memberships(tx, old.id, change)
    affected = bool(changed) or bool(rights.keys() - {"aliases_refused"})
    if "name" in changed:
        detail["old_name"] = old.name
    users_affected = (old.id,) if affected else ()
    return Effect(_kind(old, new), new.name, old.id, users_affected, affected, detail | rights)


def _kind(old: User, new: User) -> str:
    if old.status is not new.status:
        return "user.enabled" if new.status is Status.ACTIVE else "user.deprovisioned"
    return "user.renamed" if old.name != new.name else "user.updated"


def _depart(tx: Connection, change: Depart, now: float) -> Effect:
    link = _link(tx, change.provider, change.external_id)
    if link is None:
        raise Conflict("Nobody is linked to this identity.")
    user = user_named(tx, link.user_id)
    if user.managed_by is not change.owner or user.provider != change.provider:
        raise Conflict(f"The user {user.name!r} is managed by {user.managed_by}.")
    if change.delete:
        return apply_user_change(tx, DeleteUser(user.id), now)
    tx.execute(update(identities).where(_same_person(change)).values(active=False))
    status = status_after(user.status, active=False)
    changed = status is not user.status
    if changed:
        keep_last_admin(tx, user, replace(user, status=status))
        tx.execute(update(users).where(users.c.id == user.id).values(status=status.value))
    return Effect("user.deprovisioned", user.name, user.id, (user.id,) if changed else (), changed)


def _adopt(tx: Connection, change: AdoptUser, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    if user.managed_by not in {Owner.MANUAL, change.owner}:
        raise Conflict(f"The user {user.name!r} is managed by {user.managed_by}; only that source can give it up.")
    holder = _link(tx, change.provider, change.external_id)
    if holder is not None and holder.user_id != user.id:
        raise Conflict("This identity is linked to another user.")
    new = replace(user, method=change.method, provider=change.provider, managed_by=change.owner)
    row = user_row(new)
    tx.execute(update(users).where(users.c.id == user.id).values(**row))
    before = (identities.c.user_id == user.id, identities.c.provider == change.provider)
    old = tx.execute(select(identities).where(*before)).first()
    tx.execute(delete(identities).where(*before))  # one person has one entry at a provider
    link = Identity(user.id, change.provider, change.external_id, now, change.hint)
    if old is not None:  # what the source said of the old entry is the source's still, and no admin's word
        said = identity_of(old)
        link = replace(
            link,
            active=said.active or user.managed_by is not change.owner,  # who was ended by this source stays so
            role=said.role,
            role_overruled=said.role_overruled,
            expires_at=said.expires_at,
        )
    tx.execute(insert(identities), _link_row(link))
    if new.method not in checks.LOCAL_METHODS:  # a hash that must never be compared must not be kept
        tx.execute(delete(passwords).where(passwords.c.user_id == user.id))
    detail: dict[str, object] = {
        "old_method": user.method,
        "method": change.method,
        "provider": change.provider,
        "external_id": change.external_id,
    }
    return Effect("user.adopted", user.name, user.id, (user.id,), detail=detail)


def _set_memberships(tx: Connection, user_id: str, change: Provision, *, fresh: bool = False) -> dict[str, object]:
    """Hold the user in exactly these groups for this owner; other owners' memberships stay."""
    mine = and_(memberships.c.user_id == user_id, memberships.c.owner == change.owner.value)
    present = set() if fresh else set(tx.execute(select(memberships.c.group_id).where(mine)).scalars())
    told: dict[str, object] = {}
    if gone := present - change.groups:
        tx.execute(delete(memberships).where(mine, memberships.c.group_id.in_(gone)))
        told["groups_left"] = sorted(gone)
    if new := change.groups - present:
        rows = [{"user_id": user_id, "group_id": group_id, "owner": change.owner.value} for group_id in sorted(new)]
        tx.execute(insert(memberships), rows)
        told["groups_joined"] = sorted(new)
    return told


def _link(tx: Connection, provider: str, external_id: str) -> Identity | None:
    row = tx.execute(_LINK, {"provider": provider, "external_id": external_id}).one_or_none()
    return None if row is None else identity_of(row)


def _same_person(change: Provision | Depart) -> ColumnElement[bool]:
    return and_(identities.c.provider == change.provider, identities.c.external_id == change.external_id)


def _link_row(link: Identity) -> dict[str, object]:
    return {
        "user_id": link.user_id,
        "provider": checks.text(link.provider, "A provider's name", required=True),
        "external_id": checks.text(link.external_id, "An external id", limit=1024, required=True),
        "linked_at": link.linked_at,
        "hint": link.hint,
        "active": link.active,
        "role": link.role.value if link.role else "",
        "role_overruled": link.role_overruled,
        "expires_at": link.expires_at,
    }


# Groups -------------------------------------------------------------------------------------------


def _provision_group(tx: Connection, change: ProvisionGroup, now: float) -> Effect:
    name = canonical_name(change.name)
    same = and_(group_identities.c.provider == change.provider, group_identities.c.external_id == change.external_id)
    link = tx.execute(select(group_identities).where(same)).one_or_none()
    holder = tx.execute(select(groups.c.id).where(groups.c.name == name)).scalar_one_or_none()
    detail: dict[str, object] = {"provider": change.provider, "external_id": change.external_id}
    if holder is not None and (link is None or holder != link.group_id):
        raise Conflict(f"There is another group {name!r}; a directory's group is never merged with it.")
    if link is None:
        group_id = new_id()
        row = {"id": group_id, "name": name, "managed_by": change.owner.value, "created_at": now}
        tx.execute(insert(groups), row)
        tx.execute(
            insert(group_identities),
            {
                "group_id": group_id,
                "provider": change.provider,
                "external_id": change.external_id,
                "hint": change.hint,
                "linked_at": now,
            },
        )
        return Effect("group.created", f"group:{name}", group_id, detail=detail | {"managed_by": change.owner})
    group = group_named(tx, link.group_id)
    tx.execute(update(group_identities).where(same).values(hint=change.hint))
    if group.name != name:
        tx.execute(update(groups).where(groups.c.id == group.id).values(name=name))
        return Effect("group.renamed", f"group:{name}", group.id, detail=detail | {"old_name": group.name})
    return Effect("group.updated", f"group:{name}", group.id, changed=False, detail=detail)


def _depart_group(tx: Connection, change: DepartGroup) -> Effect:
    same = and_(group_identities.c.provider == change.provider, group_identities.c.external_id == change.external_id)
    group_id = tx.execute(select(group_identities.c.group_id).where(same)).scalar_one_or_none()
    if group_id is None:
        raise Conflict("No group is linked to this identity.")
    group, members = group_named(tx, group_id), member_ids(tx, group_id)
    held = and_(memberships.c.group_id == group_id, memberships.c.owner == change.owner.value)
    left = tuple(sorted(tx.execute(select(memberships.c.user_id).where(held)).scalars()))
    tx.execute(delete(memberships).where(held))
    needed = tx.execute(select(grants.c.id).where(grants.c.group_id == group_id)).first() is not None
    others = len(members) > len(left) or bool(set(members) - set(left))
    if not needed and not others:
        tx.execute(delete(groups).where(groups.c.id == group_id))  # and its link with it
    else:  # it can come back with the same id, and finds its grants
        tx.execute(update(group_identities).where(same).values(hint=""))
    detail: dict[str, object] = {"members": len(left), "kept": needed or others, "external_id": change.external_id}
    return Effect("group.departed", f"group:{group.name}", group_id, left, detail=detail)
