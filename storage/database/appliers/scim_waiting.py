"""Changes of what waits for an admin: the ends that the circuit breaker held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from sqlalchemy import Connection, delete, select, update

from storage.database.appliers.effect import Also, Effect, chunks, user_named
from storage.database.appliers.scim_users import apply_scim_user_change, scim_row
from storage.database.errors import NotFoundInStore
from storage.database.names import shown
from storage.database.provisioning import status_after
from storage.database.records import Owner, User
from storage.database.scim_changes import (
    ApproveEnds,
    DismissEnds,
    PersonFacts,
    ScimDeleteUser,
    ScimUpdateUser,
    ScimWaitingChange,
)
from storage.database.scim_tables import scim_emails, scim_holds, scim_users
from storage.database.tables import identities, users

DELETE = "delete"


def apply_scim_waiting_change(tx: Connection, change: ScimWaitingChange, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case ApproveEnds():
            return _approve(tx, change, now)
        case DismissEnds():
            return _dismiss(tx, change)
    assert_never(change)


def _approve(tx: Connection, change: ApproveEnds, now: float) -> Effect:
    held = select(scim_holds.c.user_id, scim_holds.c.action).where(scim_holds.c.provider == change.provider)
    were_shown = frozenset(change.ends)
    waiting = {row.user_id: row.action for row in tx.execute(held) if (row.user_id, row.action) in were_shown}
    done: list[Effect] = []
    for user_id, action in sorted(waiting.items()):
        try:
            done.append(_end(tx, change.provider, user_id, action, now))
        except NotFoundInStore:  # somebody else's by now
            continue
    _drop(tx, change.provider, waiting)
    uncounted = (
        scim_users.c.provider == change.provider,
        scim_users.c.ended_at.is_not(None),
        scim_users.c.ended_approved.is_(False),
    )
    seen = tx.execute(update(scim_users).where(*uncounted).values(ended_approved=True)).rowcount
    detail: dict[str, object] = {"approved": len(done), "counted_no_more": seen}
    ended = tuple(user_id for one in done for user_id in one.users)
    also = tuple(Also(one.kind, one.subject, one.subject_id, one.detail) for one in done if one.changed)
    subject = f"provider:{change.provider}"
    return Effect("scim.ends_approved", subject, change.provider, ended, bool(waiting or seen), detail, also)


def _end(tx: Connection, provider: str, user_id: str, action: str, now: float) -> Effect:
    if action == DELETE:
        return apply_scim_user_change(tx, ScimDeleteUser(provider, user_id, limit=None), now)
    user = user_named(tx, user_id)
    if user.managed_by is Owner.SCIM and user.provider == provider and not _has_document(tx, user_id):
        return _end_without_words(tx, user, provider)
    row = scim_row(tx, provider, user_id)
    mine = (identities.c.user_id == user_id, identities.c.provider == provider)
    links = select(identities.c.external_id).where(*mine).order_by(identities.c.linked_at.desc())
    external_id = tx.execute(links).scalars().first() or ""  # an admin may have taken the link away
    emails = tx.execute(select(scim_emails.c.email).where(scim_emails.c.user_id == user_id)).scalars()
    facts = PersonFacts(row.user_name, external_id, user.display_name, user.email, tuple(emails), active=False)
    return apply_scim_user_change(
        tx, ScimUpdateUser(provider, user_id, facts, {**row.document, "active": False}, row.version, limit=None), now
    )


def _has_document(tx: Connection, user_id: str) -> bool:
    return tx.execute(select(scim_users.c.user_id).where(scim_users.c.user_id == user_id)).first() is not None


def _end_without_words(tx: Connection, user: User, provider: str) -> Effect:
    """End a user whom an admin handed over and whom the client has only tried to make, as one who is inactive."""
    status = status_after(user.status, active=False)
    changed = status is not user.status
    tx.execute(update(users).where(users.c.id == user.id).values(status=status.value))
    mine = (identities.c.user_id == user.id, identities.c.provider == provider)
    tx.execute(update(identities).where(*mine).values(active=False))
    detail: dict[str, object] = {"provider": provider}
    return Effect("user.deprovisioned", user.name, user.id, (user.id,) if changed else (), changed, detail)


def _dismiss(tx: Connection, change: DismissEnds) -> Effect:
    wanted = frozenset(change.user_ids)
    held = select(scim_holds.c.user_id, users.c.name).join(users, users.c.id == scim_holds.c.user_id)
    rows = tx.execute(held.where(scim_holds.c.provider == change.provider)).all()
    stay = {row.user_id: row.name for row in rows if row.user_id in wanted}
    _drop(tx, change.provider, stay)
    about: dict[str, object] = {"provider": change.provider}
    also = tuple(Also("scim.end_dismissed", name, user_id, about) for user_id, name in sorted(stay.items()))
    detail: dict[str, object] = {"dismissed": len(stay), "users": [shown(user_id) for user_id in change.user_ids]}
    subject = f"provider:{change.provider}"
    return Effect("scim.ends_dismissed", subject, change.provider, changed=bool(stay), detail=detail, also=also)


def _drop(tx: Connection, provider: str, user_ids: Iterable[str]) -> int:
    mine = scim_holds.c.provider == provider
    return sum(
        tx.execute(delete(scim_holds).where(mine, scim_holds.c.user_id.in_(some))).rowcount for some in chunks(user_ids)
    )
