"""Changes that a SCIM client makes of people."""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, assert_never

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from storage.database.appliers.aliases import holders, set_aliases
from storage.database.appliers.effect import Also, Effect, new_id, user_named
from storage.database.appliers.new_users import join_default_group, make_user
from storage.database.appliers.reservations import release_name, reserve, take_name
from storage.database.appliers.roles import give_roles
from storage.database.appliers.scim_limit import refuse_burst
from storage.database.appliers.scim_links import follow_link, forget_grave, link_at, make_link, say_active
from storage.database.appliers.user_rows import keep_last_admin, user_row
from storage.database.appliers.users import forget_scim
from storage.database.errors import Conflict, NotFoundInStore, Stale, Taken
from storage.database.names import canonical_name
from storage.database.provisioning import status_after
from storage.database.records import Identity, Owner, Status, User
from storage.database.scim_changes import (
    Document,
    PersonFacts,
    RestoreUser,
    ScimCreateUser,
    ScimDeleteUser,
    ScimUpdateUser,
    ScimUserChange,
)
from storage.database.scim_tables import STILL_THE_CLIENTS, scim_emails, scim_groups, scim_holds, scim_users
from storage.database.tables import aliases, memberships, users

_BY_ID = select(scim_users).where(scim_users.c.user_id == bindparam("user_id"))
_FOUND = (
    select(scim_users)
    .join(users, STILL_THE_CLIENTS)
    .where(
        scim_users.c.user_id == bindparam("user_id"),
        scim_users.c.provider == bindparam("provider"),
        scim_users.c.deleted_at.is_(None),
    )
)
_BY_NAME = select(scim_users.c.user_id).where(
    scim_users.c.provider == bindparam("provider"), scim_users.c.user_name == bindparam("user_name")
)
_EMAILS = select(scim_emails.c.email).where(scim_emails.c.user_id == bindparam("user_id"))
# What live sessions must hear of.
_RIGHTS = frozenset({"name", "status", "external_id", "aliases_added", "aliases_removed"})
ADOPTED = frozenset({Owner.SCIM, Owner.JIT})  # whose users a client's create takes over, by the same immutable id


def apply_scim_user_change(tx: Connection, change: ScimUserChange, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case ScimCreateUser():
            return _create(tx, change, now)
        case ScimUpdateUser():
            return _update(tx, change, now)
        case ScimDeleteUser():
            return _delete(tx, change, now)
        case RestoreUser():
            return _restore(tx, change, now)
    assert_never(change)


def scim_row(tx: Connection, provider: str, user_id: str, version: int | None = None) -> Row[Any]:
    """Give what a client said of a user whom it can see. Raises NotFoundInStore, Stale."""
    row = tx.execute(_FOUND, {"user_id": user_id, "provider": provider}).one_or_none()
    if row is None:
        raise NotFoundInStore("There is no such user.")
    if version is not None and row.version != version:
        raise Stale("The user has been changed meanwhile.")
    return row


# New and found again ------------------------------------------------------------------------------


def _create(tx: Connection, change: ScimCreateUser, now: float) -> Effect:
    facts = change.facts
    key = canonical_name(facts.user_name)
    link = _linked(tx, change)
    if link is not None:
        return _take_over(tx, change, link, now)
    _refuse_second(tx, change.provider, key, "")
    draft = User(
        id=new_id(),
        name=key,
        method=change.method,
        status=Status.ACTIVE if facts.active else Status.DEPROVISIONED,
        epoch=0,
        home="",
        display_name=facts.display_name,
        email=facts.email,
        provider=change.provider,
        managed_by=Owner.SCIM,
        protocols=change.protocols,
        created_at=now,
        updated_at=now,
    )
    user = make_user(tx, draft, draft.id if change.home_by_id else None)
    external_id = make_link(tx, change.provider, user.id, facts, now)
    _keep_document(tx, user.id, change, key, now)
    detail: dict[str, object] = {
        "method": user.method,
        "provider": change.provider,
        "external_id": external_id,
        "managed_by": user.managed_by,
        "status": user.status,
    }
    detail |= join_default_group(tx, user.id, change.default_group)
    return Effect("user.created", key, user.id, (user.id,), detail=detail)


def _linked(tx: Connection, change: ScimCreateUser) -> Identity | None:
    """Give the link that the person has already, if it may be taken over. Raises Taken."""
    if not change.facts.external_id:
        return None
    link = link_at(tx, change.provider, change.facts.external_id)
    if link is None:
        return None
    user = user_named(tx, link.user_id)
    is_visible = tx.execute(_FOUND, {"user_id": user.id, "provider": change.provider}).first() is not None
    if is_visible or user.managed_by not in ADOPTED or user.provider != change.provider:
        raise Taken("A user with this externalId exists already.", user.id, "link")
    return link


def _take_over(tx: Connection, change: ScimCreateUser, link: Identity, now: float) -> Effect:
    """Let the client have a user back whom it deleted, or one who came by signing in."""
    old = user_named(tx, link.user_id)
    row = tx.execute(_BY_ID, {"user_id": old.id}).one_or_none()
    if row is not None and row.provider != change.provider:  # another client's, before an admin handed the user over
        row = None
    key = canonical_name(change.facts.user_name)
    _refuse_second(tx, change.provider, key, old.id)
    detail: dict[str, object] = {"provider": change.provider, "external_id": link.external_id}
    name = _name(tx, old, _said(old, row), key, now, detail)
    new = _told(replace(old, name=name, method=change.method, managed_by=Owner.SCIM), change.facts)
    # Who stays out stays counted: a client must not put out more by deleting people and making them again.
    kept = {} if row is None else {name: getattr(row, name) for name in ("ended_at", "ended_approved")}
    kept |= _ended(tx, change, old, new.status, now)
    if row is not None:
        kept |= {"version": row.version + 1, "created_at": row.created_at}  # no ETag of before may fit
    changed = _write_user(tx, old, new, now)
    say_active(tx, change.provider, old.id, active=change.facts.active)
    forget_scim(tx, old.id)
    _keep_document(tx, old.id, change, key, now, kept)
    return Effect("user.restored", new.name, old.id, (old.id,), detail=detail | changed)


def _said(user: User, row: Row[Any] | None) -> str:
    """Give the login name that the client has said. One whom an admin handed over has the site's own, and keeps it."""
    if row is not None:
        return str(row.user_name)
    return user.name if user.managed_by is Owner.JIT else ""


def _keep_document(  # noqa: PLR0917 - all private, in their usual order
    tx: Connection,
    user_id: str,
    change: ScimCreateUser,
    key: str,
    now: float,
    kept: dict[str, object] | None = None,
) -> None:
    row = {
        "user_id": user_id,
        "provider": change.provider,
        "user_name": key,
        "document": dict(change.document),
        "version": 1,
        "created_at": now,
        "modified_at": now,
    }
    tx.execute(insert(scim_users), row | (kept or {}))
    _add_emails(tx, user_id, change.provider, _emails(change.facts))
    forget_grave(tx, change.provider, change.facts)


# Changed ------------------------------------------------------------------------------------------


def _update(tx: Connection, change: ScimUpdateUser, now: float) -> Effect:
    row = scim_row(tx, change.provider, change.user_id, change.version)
    old, facts = user_named(tx, change.user_id), change.facts
    key = canonical_name(facts.user_name)
    detail: dict[str, object] = {}
    name = old.name
    if key != row.user_name:
        _refuse_second(tx, change.provider, key, old.id)
        name = _name(tx, old, row.user_name, key, now, detail)
    new = _told(replace(old, name=name), facts)
    values: dict[str, object] = _ended(tx, change, old, new.status, now)
    detail |= _write_user(tx, old, new, now) | follow_link(tx, change.provider, old.id, facts, now)
    is_same = _as_json(row.document) == _as_json(change.document) and not detail
    also = _settle_hold(tx, change, old)
    if is_same:
        return Effect("user.updated", old.name, old.id, changed=bool(also), also=also)
    values |= {
        "user_name": key,
        "document": dict(change.document),
        "version": row.version + 1,
        "modified_at": now,
    }
    tx.execute(update(scim_users).where(scim_users.c.user_id == old.id).values(**values))
    _keep_emails(tx, old.id, change.provider, facts)
    affected = (old.id,) if detail.keys() & _RIGHTS else ()
    if "name" in detail:
        detail["old_name"] = old.name
    return Effect(_kind(old, new), new.name, old.id, affected, detail=detail, also=also)


def _as_json(document: Document) -> str:
    """Give a text that tells 1 from true, which Python takes for the same."""
    return json.dumps(document, sort_keys=True)


def _settle_hold(tx: Connection, change: ScimUpdateUser, user: User) -> tuple[Also, ...]:
    """Drop what waits of the user's end where it is done or the client has taken it back, in so many words.

    A request that says nothing of access leaves it, and so does a word of access after a delete that waits.
    """
    mine = scim_holds.c.user_id == user.id
    if not change.facts.active:
        tx.execute(delete(scim_holds).where(mine, scim_holds.c.action == "disable"))
        return ()
    if not change.says_active:
        return ()
    dropped = tx.execute(delete(scim_holds).where(mine, scim_holds.c.action == "disable")).rowcount
    return (Also("scim.end_withdrawn", user.name, user.id, {"provider": change.provider}),) if dropped else ()


def _told(user: User, facts: PersonFacts) -> User:
    return replace(
        user,
        display_name=facts.display_name,
        email=facts.email,
        status=status_after(user.status, active=facts.active),
    )


def _name(  # noqa: PLR0917 - the steps of one decision, in its order
    tx: Connection, user: User, said: str, wanted: str, now: float, detail: dict[str, object]
) -> str:
    """Follow the client's new name, or, where the site calls the user otherwise, let it be an alias. Raises Taken."""
    if user.name != said:
        told = set_aliases(tx, user.id, {wanted} - {user.name}, Owner.SCIM)
        if told.pop("aliases_refused", None):  # but an alias that the site itself gave the user is as good
            others = [(holder, what) for what, _, holder in holders(tx, {wanted}) if holder != user.id]
            if others:
                raise Taken(f"The name {wanted!r} is taken.", *others[0])
        detail |= told
        return user.name
    if wanted != user.name:
        take_name(tx, wanted, user.id)
        release_name(tx, wanted)
        reserve(tx, "name", user.name, user.id, now)
        tx.execute(delete(aliases).where(aliases.c.user_id == user.id, aliases.c.alias == wanted))
    return wanted


def _write_user(tx: Connection, old: User, new: User, now: float) -> dict[str, object]:
    row, before = user_row(new), user_row(old)
    changed = {name: row[name] for name in row if row[name] != before[name]}
    if changed:
        keep_last_admin(tx, old, new)
        tx.execute(update(users).where(users.c.id == old.id).values(**changed, updated_at=now))
    return changed


def _ended(
    tx: Connection, change: ScimCreateUser | ScimUpdateUser | ScimDeleteUser, old: User, status: Status, now: float
) -> dict[str, object]:
    """Give what the row says of an end of access, by which the circuit breaker counts it. Raises Held."""
    if status is Status.ACTIVE:
        return {"ended_at": None}
    if old.status is not Status.ACTIVE:
        return {}
    if change.limit is not None:
        refuse_burst(tx, change.provider, change.limit, now, old.id)
    return {"ended_at": now, "ended_approved": change.limit is None}


def _keep_emails(tx: Connection, user_id: str, provider: str, facts: PersonFacts) -> None:
    wanted = _emails(facts)
    if wanted == set(tx.execute(_EMAILS, {"user_id": user_id}).scalars()):
        return
    tx.execute(delete(scim_emails).where(scim_emails.c.user_id == user_id))
    _add_emails(tx, user_id, provider, wanted)


def _add_emails(tx: Connection, user_id: str, provider: str, emails: AbstractSet[str]) -> None:
    rows = [{"user_id": user_id, "provider": provider, "email": email} for email in sorted(emails)]
    if rows:
        tx.execute(insert(scim_emails), rows)


def _emails(facts: PersonFacts) -> frozenset[str]:
    return frozenset(email.casefold() for email in facts.emails if email)


def _refuse_second(tx: Connection, provider: str, key: str, user_id: str) -> None:
    """Raise Taken if another of the provider's users has this userName, also one whom the client has deleted."""
    holder = tx.execute(_BY_NAME, {"provider": provider, "user_name": key}).scalar_one_or_none()
    if holder is not None and holder != user_id:
        raise Taken("A user with this userName exists already.", holder, "name")


def _kind(old: User, new: User) -> str:
    if old.status is not new.status:
        return "user.enabled" if new.status is Status.ACTIVE else "user.deprovisioned"
    return "user.renamed" if old.name != new.name else "user.updated"


# Gone and back ------------------------------------------------------------------------------------


def _delete(tx: Connection, change: ScimDeleteUser, now: float) -> Effect:
    row = scim_row(tx, change.provider, change.user_id, change.version)
    old = user_named(tx, change.user_id)
    status = status_after(old.status, active=False)
    ended = _ended(tx, change, old, status, now)
    _write_user(tx, old, replace(old, status=status), now)
    say_active(tx, change.provider, old.id, active=False)
    held = (memberships.c.user_id == old.id, memberships.c.owner == Owner.SCIM.value)
    groups_left = sorted(tx.execute(select(memberships.c.group_id).where(*held)).scalars())
    tx.execute(delete(memberships).where(*held))
    raised = {"version": scim_groups.c.version + 1, "modified_at": now}
    tx.execute(update(scim_groups).where(scim_groups.c.group_id.in_(groups_left)).values(**raised))
    roles = give_roles(tx, change.provider, [old.id])
    values: dict[str, object] = {
        "deleted_at": now,
        "modified_at": now,
        "version": row.version + 1,
        "document": {**row.document, "active": False},
    }
    tx.execute(update(scim_users).where(scim_users.c.user_id == old.id).values(**values, **ended))
    tx.execute(delete(scim_holds).where(scim_holds.c.user_id == old.id))
    detail: dict[str, object] = {"provider": change.provider, "deleted": True, "groups_left": groups_left}
    if roles:
        detail["role"] = roles[old.id]
    return Effect("user.deprovisioned", old.name, old.id, (old.id,), detail=detail)


def _restore(tx: Connection, change: RestoreUser, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    row = tx.execute(_BY_ID, {"user_id": user.id}).one_or_none()
    if row is None or user.managed_by is not Owner.SCIM or user.provider != row.provider:
        raise Conflict(f"No SCIM client speaks for the user {user.name!r}.")
    if row.deleted_at is None:
        return Effect("user.restored", user.name, user.id, changed=False)
    values = {"deleted_at": None, "modified_at": now, "version": row.version + 1}
    tx.execute(update(scim_users).where(scim_users.c.user_id == user.id).values(**values))
    return Effect("user.restored", user.name, user.id, detail={"provider": row.provider})
