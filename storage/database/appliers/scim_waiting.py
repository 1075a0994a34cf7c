"""Changes of what waits for an admin: the ends that the circuit breaker held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from sqlalchemy import Connection, delete, select, update

from storage.database.appliers.effect import Also, Effect, chunks, user_named
from storage.database.appliers.scim_users import apply_scim_user_change, scim_row
from storage.database.errors import NotFoundInStore
from storage.database.names import shown
from storage.database.scim_changes import (
    ApproveEnds,
    DismissEnds,
    PersonFacts,
    ScimDeleteUser,
    ScimUpdateUser,
    ScimWaitingChange,
)
from storage.database.scim_tables import scim_emails, scim_holds, scim_users
from storage.database.tables import identities

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
    shown_ids = frozenset(change.user_ids)
    waiting = {row.user_id: row.action for row in tx.execute(held) if row.user_id in shown_ids}
    done: list[Effect] = []
    for user_id, action in sorted(waiting.items()):
        try:
            done.append(_end(tx, change.provider, user_id, action, now))
        except NotFoundInStore:  # somebody else's by now
            continue
    dropped = _drop(tx, change.provider, waiting)
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
    return Effect("scim.ends_approved", subject, change.provider, ended, bool(dropped or seen), detail, also)


def _end(tx: Connection, provider: str, user_id: str, action: str, now: float) -> Effect:
    if action == DELETE:
        return apply_scim_user_change(tx, ScimDeleteUser(provider, user_id, limit=None), now)
    row, user = scim_row(tx, provider, user_id), user_named(tx, user_id)
    mine = (identities.c.user_id == user_id, identities.c.provider == provider)
    links = select(identities.c.external_id).where(*mine).order_by(identities.c.linked_at.desc())
    external_id = tx.execute(links).scalars().first() or ""  # an admin may have taken the link away
    emails = tx.execute(select(scim_emails.c.email).where(scim_emails.c.user_id == user_id)).scalars()
    facts = PersonFacts(row.user_name, external_id, user.display_name, user.email, tuple(emails), active=False)
    return apply_scim_user_change(
        tx, ScimUpdateUser(provider, user_id, facts, {**row.document, "active": False}, row.version, limit=None), now
    )


def _dismiss(tx: Connection, change: DismissEnds) -> Effect:
    dropped = _drop(tx, change.provider, change.user_ids)
    detail: dict[str, object] = {"dismissed": dropped, "users": [shown(user_id) for user_id in change.user_ids]}
    subject = f"provider:{change.provider}"
    return Effect("scim.ends_dismissed", subject, change.provider, changed=bool(dropped), detail=detail)


def _drop(tx: Connection, provider: str, user_ids: Iterable[str]) -> int:
    mine = scim_holds.c.provider == provider
    return sum(
        tx.execute(delete(scim_holds).where(mine, scim_holds.c.user_id.in_(some))).rowcount for some in chunks(user_ids)
    )
