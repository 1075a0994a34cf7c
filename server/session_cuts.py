"""Ending one session of whichever front end, because an admin or its own user wants it."""

from __future__ import annotations

from storage.database.records import SessionRow
from storage.database.store import Store


def cut_session(store: Store, session: SessionRow, *, actor: str, reason: str, now: float) -> None:
    """End it on all workers within a second, uploads in flight included, and say so in the audit trail."""
    store.portal.end(session.id, reason, now)  # no worker holds one of the portal
    store.revocations.add(session_id=session.id, reason=reason)
    store.audit.add(
        "session.cut_requested",
        actor,
        session.user_name,
        "ok",
        reason,
        front_end=session.front_end,
        peer=session.peer,
        session_id=session.id,
    )
