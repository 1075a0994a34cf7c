"""Changes that move a user from a directory to an identity provider, and the marks of those who try it before."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from storage.database.appliers import checks
from storage.database.appliers.aliases import holders, set_aliases
from storage.database.appliers.effect import Effect, user_named
from storage.database.appliers.migration_before import Before, Columns
from storage.database.appliers.migration_undo import undo_migration
from storage.database.appliers.scim_links import external_id_of, link_at
from storage.database.appliers.user_rows import user_row
from storage.database.errors import Conflict, InvalidChange, StoreUnavailable, Taken
from storage.database.migration_changes import MarkPilot, MigrateUser, MigrationChange, UndoMigration, UnmarkPilot
from storage.database.moving import ended_there, not_movable, role_after
from storage.database.names import canonical_name
from storage.database.records import Owner, User
from storage.database.rows import identity_of
from storage.database.scim_changes import Document, PersonFacts
from storage.database.scim_tables import (
    migration_pilots,
    migrations,
    scim_conflicts,
    scim_emails,
    scim_users,
    tombstones,
)
from storage.database.tables import aliases, identities, memberships, passwords, reserved_names, users


def apply_migration_change(tx: Connection, change: MigrationChange, actor: str, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case MigrateUser():
            return _migrate(tx, change, actor, now)
        case UndoMigration():
            return undo_migration(tx, change, actor, now)
        case MarkPilot():
            return _mark(tx, change, actor, now)
        case UnmarkPilot():
            return _unmark(tx, change)
    assert_never(change)


# A move -------------------------------------------------------------------------------------------


def _migrate(tx: Connection, change: MigrateUser, actor: str, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    _refuse(tx, change, user)
    links = tx.execute(select(identities).where(identities.c.user_id == user.id)).all()
    role = role_after(user, [identity_of(row) for row in links])
    new = replace(user, method=change.method, provider=change.provider, managed_by=Owner.SCIM, role=role.role)
    values = user_row(new)
    groups, made_own = _free_groups(tx, user.id, keep=change.keep_groups)
    grave, old_name = _exhume(tx, change, user.id)
    before = Before(
        batch=change.batch,
        method=user.method.value,
        provider=user.provider,
        managed_by=user.managed_by.value,
        role=user.role.value,
        role_left=role.role.value,
        groups=groups,
        made_own=made_own,
        aliases=_free_aliases(tx, user.id),
        links=tuple(row._asdict() for row in links if row.provider in {user.provider, change.provider}),
        conflicts=_settle(tx, change, user.id),
        pilot=_end_pilot(tx, user.id),
        grave=grave,
        old_name=old_name,
    )
    # The directory's own link stays, so that its sync knows the person, finds that somebody else owns the user, and
    # makes no second one, whatever the person is called there next.
    tx.execute(delete(identities).where(identities.c.user_id == user.id, identities.c.provider == change.provider))
    link = {
        "user_id": user.id,
        "provider": change.provider,
        "external_id": change.external_id,
        "linked_at": now,
        "active": change.facts is None or change.facts.active,
        "role_overruled": role.overruled,
    }
    tx.execute(insert(identities), link)
    tx.execute(delete(passwords).where(passwords.c.user_id == user.id))
    columns = ("method", "provider", "managed_by", "role")
    tx.execute(update(users).where(users.c.id == user.id).values(**{name: values[name] for name in columns}))
    detail: dict[str, object] = {
        "old_method": user.method,
        "method": new.method,
        "old_provider": user.provider,
        "provider": new.provider,
        "external_id": change.external_id,
        "managed_by": new.managed_by,
        "groups_kept" if change.keep_groups else "groups_left": groups,
    }
    if new.role is not user.role:
        detail["role"] = new.role
    if change.facts is not None and change.document is not None:
        detail |= _introduce(tx, user, change.provider, change.facts, change.document, now)
    detail["migration"] = _write_down(tx, change, user, before, actor, now)
    return Effect("user.migrated", user.name, user.id, (user.id,), detail=detail)


def _refuse(tx: Connection, change: MigrateUser, user: User) -> None:
    checks.token(change.provider, "A provider's name")
    checks.text(change.external_id, "An external id", limit=1024, required=True)
    if not change.method.is_sso:
        raise InvalidChange(f"The method {change.method} belongs to no identity provider.")
    if (change.facts is None) != (change.document is None):
        raise InvalidChange("A client's document and the facts in it come together.")
    if change.facts is not None and external_id_of(change.facts, user.id) != change.external_id:
        raise InvalidChange("The document is of another person.")
    if why := not_movable(user) or ended_there(user, change.facts):
        raise Conflict(why)
    holder = link_at(tx, change.provider, change.external_id)
    if holder is not None and holder.user_id != user.id:
        raise Taken("This identity is linked to another user.", holder.user_id)


def _free_groups(tx: Connection, user_id: str, *, keep: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """End what the directory holds, or make it the site's own; the groups, and those that became the site's."""
    held = select(memberships.c.group_id).where(memberships.c.user_id == user_id)
    theirs = set(tx.execute(held.where(memberships.c.owner == Owner.LDAP.value)).scalars())
    own = set(tx.execute(held.where(memberships.c.owner == Owner.MANUAL.value)).scalars())
    tx.execute(delete(memberships).where(memberships.c.user_id == user_id, memberships.c.owner == Owner.LDAP.value))
    new = sorted(theirs - own) if keep else []
    if new:
        rows = [{"user_id": user_id, "group_id": group, "owner": Owner.MANUAL.value} for group in new]
        tx.execute(insert(memberships), rows)
    return tuple(sorted(theirs)), tuple(new)


def _free_aliases(tx: Connection, user_id: str) -> tuple[str, ...]:
    """Make the directory's aliases the site's own: what people type to sign in, such as for a key, stays."""
    theirs = and_(aliases.c.user_id == user_id, aliases.c.owner == Owner.LDAP.value)
    found = sorted(tx.execute(select(aliases.c.alias).where(theirs)).scalars())
    tx.execute(update(aliases).where(theirs).values(owner=Owner.MANUAL.value))
    return tuple(found)


def _exhume(tx: Connection, change: MigrateUser, user_id: str) -> tuple[Columns | None, Columns | None]:
    """Let the person of a deleted user live on: by the immutable id both are one, so that user's name is this one's."""
    same = and_(tombstones.c.provider == change.provider, tombstones.c.external_id == change.external_id)
    grave = tx.execute(select(tombstones).where(same)).one_or_none()
    if grave is None:
        return None, None
    tx.execute(delete(tombstones).where(same))
    of_dead = and_(
        reserved_names.c.kind == "name", reserved_names.c.name == grave.name, reserved_names.c.user_id == grave.user_id
    )
    reserved = tx.execute(select(reserved_names).where(of_dead)).one_or_none()
    tx.execute(update(reserved_names).where(of_dead).values(user_id=user_id))
    return grave._asdict(), None if reserved is None else reserved._asdict()


def _settle(tx: Connection, change: MigrateUser, user_id: str) -> tuple[Columns, ...]:
    """Forget that the client could not make the person."""
    mine: ColumnElement[bool] = scim_conflicts.c.key == change.external_id
    if change.facts is not None:  # a client that gives no external ids
        mine |= and_(scim_conflicts.c.key == change.facts.user_name, scim_conflicts.c.holder_id == user_id)
    chosen = and_(scim_conflicts.c.provider == change.provider, mine)
    found = tuple(row._asdict() for row in tx.execute(select(scim_conflicts).where(chosen)))
    tx.execute(delete(scim_conflicts).where(chosen))
    return found


def _introduce(  # noqa: PLR0917 - all private, in their usual order
    tx: Connection, user: User, provider: str, facts: PersonFacts, document: Document, now: float
) -> dict[str, object]:
    """Let the client find the user by its own name for the person, which becomes an alias; the login name stays."""
    key = canonical_name(facts.user_name)
    same = (scim_users.c.provider == provider, scim_users.c.user_name == key)
    other = tx.execute(select(scim_users.c.user_id).where(*same)).scalar_one_or_none()
    if other is not None:
        raise Taken(f"The client calls another user {key!r}.", other)
    told = set_aliases(tx, user.id, {key} - {user.name}, Owner.SCIM)
    if told.pop("aliases_refused", None):  # but an alias that the site itself gave the user is as good
        others = [holder for _, _, holder in holders(tx, {key}) if holder != user.id]
        if others:
            raise Taken(f"The client's name {key!r} is, or was, another user's.", others[0])
    row = {
        "user_id": user.id,
        "provider": provider,
        "user_name": key,
        "document": dict(document),
        "version": 1,
        "created_at": now,
        "modified_at": now,
    }
    tx.execute(insert(scim_users), row)
    emails = sorted({email.casefold() for email in facts.emails if email})
    if emails:
        rows = [{"user_id": user.id, "provider": provider, "email": email} for email in emails]
        tx.execute(insert(scim_emails), rows)
    return told


def _write_down(  # noqa: PLR0917 - as above
    tx: Connection, change: MigrateUser, user: User, before: Before, actor: str, now: float
) -> int:
    row = {
        "at": now,
        "actor": actor,
        "user_id": user.id,
        "user_name": user.name,
        "from_provider": user.provider or "",
        "to_provider": change.provider,
        "external_id": change.external_id,
        "before": before.as_json(),
    }
    key = tx.execute(insert(migrations), row).inserted_primary_key
    if key is None:
        raise StoreUnavailable("The database gave no number for the move.")
    return int(key[0])


# Pilots -------------------------------------------------------------------------------------------


def _mark(tx: Connection, change: MarkPilot, actor: str, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    if why := not_movable(user):
        raise Conflict(why)
    provider = checks.token(change.provider, "A provider's name")
    detail: dict[str, object] = {"provider": provider}
    present = tx.execute(select(migration_pilots).where(migration_pilots.c.user_id == user.id)).one_or_none()
    if present is not None and present.provider == provider:
        return Effect("user.pilot_marked", user.name, user.id, changed=False, detail=detail)
    _end_pilot(tx, user.id)
    row = {"user_id": user.id, "provider": provider, "marked_by": actor, "marked_at": now}
    tx.execute(insert(migration_pilots), row)
    return Effect("user.pilot_marked", user.name, user.id, detail=detail)


def _unmark(tx: Connection, change: UnmarkPilot) -> Effect:
    user = user_named(tx, change.user_id)
    ended = _end_pilot(tx, user.id)
    detail: dict[str, object] = {} if ended is None else {"provider": ended["provider"]}
    return Effect("user.pilot_unmarked", user.name, user.id, changed=ended is not None, detail=detail)


def _end_pilot(tx: Connection, user_id: str) -> Columns | None:
    mine = migration_pilots.c.user_id == user_id
    row = tx.execute(select(migration_pilots).where(mine)).one_or_none()
    tx.execute(delete(migration_pilots).where(mine))
    return None if row is None else row._asdict()
