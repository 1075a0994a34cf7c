"""Just-in-time provisioning: what a sign-in may change, which is little."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, and_, delete, insert, select, update

from storage.database.appliers.effect import Effect, new_id, user_named
from storage.database.appliers.new_users import join_default_group, make_user
from storage.database.appliers.scim_links import link_at
from storage.database.appliers.user_rows import user_row
from storage.database.errors import Conflict
from storage.database.jit_changes import SignInJit
from storage.database.records import Owner, Status, User
from storage.database.scim_tables import tombstones
from storage.database.tables import group_identities, groups, identities, memberships, users


def sign_in_jit(tx: Connection, change: SignInJit, now: float) -> Effect:
    """Make the user who signs in for the first time, or let the present one follow. Raises Conflict."""
    link = link_at(tx, change.provider, change.external_id)
    if link is None:
        return _make(tx, change, now)
    return _follow(tx, change, user_named(tx, link.user_id))


def _make(tx: Connection, change: SignInJit, now: float) -> Effect:
    if not change.make:
        raise Conflict("Nobody is linked to this identity.")
    grave = and_(tombstones.c.provider == change.provider, tombstones.c.external_id == change.external_id)
    if tx.execute(select(tombstones.c.user_id).where(grave)).first() is not None:
        raise Conflict("This person was deleted; only the provider's SCIM client or an admin brings them back.")
    draft = User(
        id=new_id(),
        name=change.name,
        method=change.method,
        status=Status.ACTIVE,
        epoch=0,
        home="",
        display_name=change.display_name,
        email=change.email,
        provider=change.provider,
        managed_by=Owner.JIT,
        protocols=change.protocols,
        created_at=now,
        updated_at=now,
    )
    user = make_user(tx, draft, draft.id if change.home_by_id else None)
    link = {"user_id": user.id, "provider": change.provider, "external_id": change.external_id, "linked_at": now}
    tx.execute(insert(identities), link)
    detail: dict[str, object] = {
        "method": user.method,
        "provider": change.provider,
        "external_id": change.external_id,
        "managed_by": user.managed_by,
    }
    detail |= join_default_group(tx, user.id, change.default_group) | _follow_groups(tx, change, user.id)
    return Effect("user.created", user.name, user.id, (user.id,), detail=detail)


def _follow(tx: Connection, change: SignInJit, old: User) -> Effect:
    if old.provider != change.provider or old.method is not change.method:
        raise Conflict(f"The user {old.name!r} does not sign in there any more.")
    new = old
    if old.managed_by is Owner.JIT:  # what another source says of a name or address counts more than a token
        new = replace(old, display_name=change.display_name or old.display_name, email=change.email or old.email)
    row, before = user_row(new), user_row(old)
    changed = {name: row[name] for name in row if row[name] != before[name]}
    if changed:
        tx.execute(update(users).where(users.c.id == old.id).values(**changed))
    moved = _follow_groups(tx, change, old.id)
    affected = (old.id,) if moved else ()  # a display name gives no right, and cuts nobody's session
    return Effect("user.updated", old.name, old.id, affected, bool(changed or moved), changed | moved)


def _follow_groups(tx: Connection, change: SignInJit, user_id: str) -> dict[str, object]:
    """Hold the user in the provider's groups that it named, as far as they are known here."""
    if change.groups is None:
        return {}
    known = select(group_identities.c.external_id, group_identities.c.group_id).where(
        group_identities.c.provider == change.provider
    )
    told = {row.group_id for row in tx.execute(known) if row.external_id in change.groups}
    mine = and_(memberships.c.user_id == user_id, memberships.c.owner == Owner.JIT.value)
    present = set(tx.execute(select(memberships.c.group_id).where(mine)).scalars())
    detail: dict[str, object] = {}
    if gone := present - told:
        tx.execute(delete(memberships).where(mine, memberships.c.group_id.in_(gone)))
        detail["groups_left"] = _names(tx, gone)
    if new := told - present:
        rows = [{"user_id": user_id, "group_id": group, "owner": Owner.JIT.value} for group in sorted(new)]
        tx.execute(insert(memberships), rows)
        detail["groups_joined"] = _names(tx, new)
    return detail


def _names(tx: Connection, ids: set[str]) -> list[str]:
    return sorted(tx.execute(select(groups.c.name).where(groups.c.id.in_(ids))).scalars())
