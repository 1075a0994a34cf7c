"""Changes of users and of their links to providers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import assert_never

from sqlalchemy import Connection, delete, insert, or_, select, update

from storage.database.appliers import checks
from storage.database.appliers.effect import Effect, new_id, user_named
from storage.database.appliers.new_users import make_user
from storage.database.appliers.reservations import release_name, reserve, take_home, take_name
from storage.database.appliers.user_rows import keep_last_admin, user_row
from storage.database.change_types import (
    CreateUser,
    DeleteUser,
    LinkIdentity,
    RenameUser,
    SetMethod,
    SetPassword,
    SetStatus,
    UnlinkIdentity,
    Unset,
    UpdateUser,
    UserChange,
    UserFields,
)
from storage.database.errors import Conflict, InvalidChange
from storage.database.moving import role_after
from storage.database.names import canonical_name
from storage.database.records import Owner, Status, User
from storage.database.rows import identity_of
from storage.database.scim_tables import scim_emails, scim_holds, scim_users, tombstones
from storage.database.tables import dav_locks, dav_properties, identities, memberships, passwords, users


def apply_user_change(tx: Connection, change: UserChange, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case CreateUser():
            effect = _create(tx, change, now)
        case UpdateUser():
            effect = _update(tx, change, now)
        case SetStatus():
            effect = _set_status(tx, change)
        case RenameUser():
            effect = _rename(tx, change, now)
        case SetMethod():
            effect = _set_method(tx, change)
        case SetPassword():
            effect = _set_password(tx, change, now)
        case DeleteUser():
            effect = _delete(tx, change, now)
        case LinkIdentity():
            effect = _link(tx, change, now)
        case UnlinkIdentity():
            effect = _unlink(tx, change)
        case _:
            assert_never(change)
    return effect


def _create(tx: Connection, change: CreateUser, now: float) -> Effect:
    draft = User(
        id=new_id(),
        name=change.name,
        method=change.method,
        status=Status.ACTIVE,
        epoch=0,  # raised to 1 with every other affected user's
        home="",
        display_name=change.display_name,
        email=change.email,
        provider=change.provider,
        role=change.role,
        break_glass=change.break_glass,
        managed_by=change.managed_by,
        expires_at=change.expires_at,
        quota_bytes=change.quota_bytes,
        protocols=change.protocols,
        networks=change.networks,
        created_at=now,
        updated_at=now,
    )
    user = make_user(tx, draft, change.home)
    if change.password_hash is not None:
        _store_password(tx, user, change.password_hash, now)
    detail: dict[str, object] = {"method": user.method, "managed_by": user.managed_by, "role": user.role}
    if change.external_id is not None:
        detail |= _link(tx, LinkIdentity(user.id, change.provider or "", change.external_id, change.hint), now).detail
    return Effect("user.created", user.name, user.id, (user.id,), detail=detail)


def _update(tx: Connection, change: UpdateUser, now: float) -> Effect:
    old = user_named(tx, change.user_id)
    given = {
        field.name: value
        for field in fields(UserFields)
        if not isinstance(value := getattr(change.fields, field.name), Unset)
    }
    new = replace(old, **given)
    row, before = user_row(new), user_row(old)
    changed = {name: row[name] for name in row if row[name] != before[name]}
    if "home" in changed:
        changed["home"] = take_home(tx, new.home, old.id)
        reserve(tx, "home", old.home, old.id, now)
    if changed:
        keep_last_admin(tx, old, new)
        tx.execute(update(users).where(users.c.id == old.id).values(**changed))
    affected = (old.id,) if changed else ()
    return Effect("user.updated", old.name, old.id, affected, bool(changed), detail=changed)


def _set_status(tx: Connection, change: SetStatus) -> Effect:
    user = user_named(tx, change.user_id)
    kind = {Status.ACTIVE: "user.enabled", Status.DISABLED: "user.disabled", Status.DEPROVISIONED: "user.deprovisioned"}
    changed = user.status is not change.status
    if changed and change.status is Status.ACTIVE:
        _refuse_ended_by_source(tx, user)
    if changed:
        keep_last_admin(tx, user, replace(user, status=change.status))
        tx.execute(update(users).where(users.c.id == user.id).values(status=change.status.value))
    return Effect(kind[change.status], user.name, user.id, (user.id,) if changed else (), changed)


def _refuse_ended_by_source(tx: Connection, user: User) -> None:
    """Whoever the directory has ended is enabled there, or handed over first: keys must not outlive the person."""
    ended = select(identities.c.provider).where(
        identities.c.user_id == user.id, identities.c.provider == user.provider, identities.c.active.is_(False)
    )
    if user.managed_by in checks.DIRECTORY_OWNERS and (tx.execute(ended).first() or _ended_by_client(tx, user)):
        raise Conflict(f"{user.provider} says that {user.name!r} is disabled or gone; enable the person there.")


def _ended_by_client(tx: Connection, user: User) -> bool:
    """Whether a SCIM client has ended the person, also where an admin has taken the link away since."""
    row = tx.execute(select(scim_users).where(scim_users.c.user_id == user.id)).one_or_none()
    return row is not None and (row.deleted_at is not None or row.document.get("active") is False)


def _rename(tx: Connection, change: RenameUser, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    name = canonical_name(change.name)
    if name == user.name:
        return Effect("user.renamed", name, user.id, changed=False)
    take_name(tx, name, user.id)
    release_name(tx, name)
    reserve(tx, "name", user.name, user.id, now)
    tx.execute(update(users).where(users.c.id == user.id).values(name=name))
    return Effect("user.renamed", name, user.id, (user.id,), detail={"old_name": user.name})


def _set_method(tx: Connection, change: SetMethod) -> Effect:
    old = user_named(tx, change.user_id)
    moves = old.managed_by in checks.DIRECTORY_OWNERS and (change.method, change.provider) != (old.method, old.provider)
    owner = Owner.MANUAL if moves else old.managed_by
    new = replace(old, method=change.method, provider=change.provider, managed_by=owner)
    user_row(new)
    if new == old:
        return Effect("user.method_set", old.name, old.id, changed=False)
    values = {"method": new.method.value, "provider": new.provider, "managed_by": owner.value}
    tx.execute(update(users).where(users.c.id == old.id).values(**values))
    # Nobody else would ever end what the directory, or sign-ins at the former provider, began.
    _keep_memberships(tx, old.id, {Owner.JIT, old.managed_by} if moves else {Owner.JIT})
    if moves:
        forget_scim(tx, old.id)
    if new.method not in checks.LOCAL_METHODS:  # a hash that must never be compared must not be kept
        tx.execute(delete(passwords).where(passwords.c.user_id == old.id))
    detail: dict[str, object] = {"old_method": old.method, "method": new.method, "provider": new.provider}
    return Effect("user.method_set", old.name, old.id, (old.id,), detail=detail)


def forget_scim(tx: Connection, user_id: str) -> None:
    """Let no SCIM client see the user any more, who is somebody else's from now on.

    Whom the client had deleted is not brought back by signing in at the provider either.
    """
    _keep_grave(tx, user_id)
    tx.execute(delete(scim_users).where(scim_users.c.user_id == user_id))
    tx.execute(delete(scim_emails).where(scim_emails.c.user_id == user_id))
    tx.execute(delete(scim_holds).where(scim_holds.c.user_id == user_id))


def _keep_grave(tx: Connection, user_id: str) -> None:
    row = tx.execute(select(scim_users).where(scim_users.c.user_id == user_id)).one_or_none()
    if row is None or row.deleted_at is None:
        return
    mine = (identities.c.user_id == user_id, identities.c.provider == row.provider)
    for external_id in tx.execute(select(identities.c.external_id).where(*mine)).scalars().all():
        same = (tombstones.c.provider == row.provider, tombstones.c.external_id == external_id)
        tx.execute(delete(tombstones).where(*same))
        grave = {"provider": row.provider, "external_id": external_id, "user_id": user_id, "name": row.user_name}
        tx.execute(insert(tombstones), grave | {"at": row.deleted_at})


def _keep_memberships(tx: Connection, user_id: str, sources: set[Owner]) -> None:
    """Make the memberships that sources held the site's own."""
    held = select(memberships.c.group_id).where(memberships.c.user_id == user_id)
    own = set(tx.execute(held.where(memberships.c.owner == Owner.MANUAL.value)).scalars())
    of_sources = memberships.c.owner.in_([source.value for source in sources])
    theirs = set(tx.execute(held.where(of_sources)).scalars())
    tx.execute(delete(memberships).where(memberships.c.user_id == user_id, of_sources))
    if new := theirs - own:
        rows = [{"user_id": user_id, "group_id": group, "owner": Owner.MANUAL.value} for group in sorted(new)]
        tx.execute(insert(memberships), rows)


def _set_password(tx: Connection, change: SetPassword, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    removed = tx.execute(delete(passwords).where(passwords.c.user_id == user.id)).rowcount
    if change.password_hash is None:
        keep_last_admin(tx, user, None)  # without its password the account is no way in
        affected = (user.id,) if removed else ()
        return Effect("user.password_removed", user.name, user.id, affected, bool(removed))
    _store_password(tx, user, change.password_hash, now)
    return Effect("user.password_set", user.name, user.id, (user.id,))


def _delete(tx: Connection, change: DeleteUser, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    keep_last_admin(tx, user, None)
    reserve(tx, "name", user.name, user.id, now)
    reserve(tx, "home", user.home, user.id, now)
    _bury(tx, user, now)
    home = f"home:{user.id}"
    tx.execute(delete(dav_locks).where(or_(dav_locks.c.user_id == user.id, dav_locks.c.tree == home)))
    tx.execute(delete(dav_properties).where(dav_properties.c.tree == home))
    tx.execute(delete(users).where(users.c.id == user.id))
    return Effect("user.deleted", user.name, user.id, (user.id,), detail={"home": user.home})


def _bury(tx: Connection, user: User, now: float) -> None:
    """Remember who left, so that nobody comes back by signing in at the identity provider alone."""
    if not user.method.is_sso:
        return
    for row in tx.execute(select(identities).where(identities.c.user_id == user.id)).all():
        same = (tombstones.c.provider == row.provider, tombstones.c.external_id == row.external_id)
        tx.execute(delete(tombstones).where(*same))
        grave = {"provider": row.provider, "external_id": row.external_id, "user_id": user.id, "name": user.name}
        tx.execute(insert(tombstones), grave | {"at": now})


def _link(tx: Connection, change: LinkIdentity, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    provider = checks.text(change.provider, "A provider's name", required=True)
    external_id = checks.text(change.external_id, "An external id", limit=1024, required=True)
    detail: dict[str, object] = {"provider": provider, "external_id": external_id}
    same = (identities.c.provider == provider, identities.c.external_id == external_id)
    holder = tx.execute(select(identities.c.user_id).where(*same)).scalar_one_or_none()
    if holder == user.id:
        return Effect("identity.linked", user.name, user.id, changed=False, detail=detail)
    if holder is not None:
        raise Conflict("This identity is linked to another user.")
    row = {"user_id": user.id, "provider": provider, "external_id": external_id, "linked_at": now}
    tx.execute(insert(identities), row | {"hint": change.hint})
    return Effect("identity.linked", user.name, user.id, (user.id,), detail=detail)


def _unlink(tx: Connection, change: UnlinkIdentity) -> Effect:
    user = user_named(tx, change.user_id)
    same = (identities.c.provider == change.provider, identities.c.external_id == change.external_id)
    mine = (identities.c.user_id == user.id, identities.c.provider == change.provider)
    links = [identity_of(row) for row in tx.execute(select(identities).where(*mine))]
    removed = tx.execute(delete(identities).where(identities.c.user_id == user.id, *same)).rowcount
    detail: dict[str, object] = {"provider": change.provider, "external_id": change.external_id}
    # With its last link goes what the source said of the role: nobody would ever take it away.
    kept = role_after(user, links).role if removed and len(links) == removed else user.role
    if user.managed_by in checks.DIRECTORY_OWNERS and kept is not user.role:
        tx.execute(update(users).where(users.c.id == user.id).values(role=kept.value))
        detail["role"] = kept
    affected = (user.id,) if removed else ()
    return Effect("identity.unlinked", user.name, user.id, affected, bool(removed), detail)


def _store_password(tx: Connection, user: User, password_hash: str, now: float) -> None:
    if user.method not in checks.LOCAL_METHODS:
        raise InvalidChange(f"A user with the method {user.method} has no password here.")
    if not password_hash:
        raise InvalidChange("A password hash must not be empty.")
    tx.execute(insert(passwords), {"user_id": user.id, "hash": password_hash, "changed_at": now})
