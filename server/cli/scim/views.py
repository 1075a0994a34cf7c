"""Tokens of SCIM clients, their requests and what waits for an admin, as commands show them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from server.cli.checks.scim import days_left
from server.cli.output import moment
from server.cli.views import View
from storage.database.records import Status, User
from storage.database.scim_log import ScimRequestRow
from storage.database.scim_tokens import ScimToken
from storage.database.scim_waiting import HeldEnd, ScimConflict

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the identity provider.")]
AnyName = Annotated[str | None, typer.Argument(metavar="NAME", help="Name of one identity provider; default: all.")]

TOKEN_COLUMNS = ("id", "provider", "kind", "title", "state", "days_left", "expires_at", "last_used_at", "created_by")
LOG_COLUMNS = ("at", "provider", "method", "path", "status", "ms", "subject", "changed")
HELD_COLUMNS = ("provider", "user", "action", "status", "would_be", "keys", "apikeys", "since", "asked_at")
CONFLICT_COLUMNS = ("provider", "user_name", "external_id", "holder", "holder_managed_by", "reason", "since")


def token_view(token: ScimToken, now: float) -> View:
    """Show a token; its secret part is kept nowhere."""
    state = "revoked" if token.revoked_at is not None else "live" if token.is_live(now) else "expired"
    return {
        "id": token.id,
        "provider": token.provider,
        "kind": token.kind,
        "title": token.title,
        "state": state,
        "days_left": days_left(token, now) if state == "live" else None,
        "expires_at": moment(token.expires_at),
        "last_used_at": moment(token.last_used_at),
        "created_at": moment(token.created_at),
        "created_by": token.created_by,
        "revoked_at": moment(token.revoked_at),
    }


def request_view(row: ScimRequestRow, *, bodies: bool) -> View:
    """Show a request; what is secret in its bodies was masked before it was kept."""
    view: View = {
        "id": row.id,
        "at": moment(row.at),
        "provider": row.provider,
        "method": row.method,
        "path": row.path,
        "status": row.status,
        "ms": row.duration_ms,
        "subject": row.subject,
        "changed": dict(row.changed),
        "peer": row.peer,
        "user_agent": row.user_agent,
        "token": row.token_id,
    }
    return view | {"request": _body(row.request), "response": _body(row.response)} if bodies else view


def held_view(end: HeldEnd, user: User | None, keys: int, apikeys: int) -> View:
    """Show an end that waits: how the user is now, and what would become of that."""
    return {
        "provider": end.provider,
        "user": end.user_name,
        "display_name": "" if user is None else user.display_name,
        "action": end.action,
        "status": None if user is None else user.status.value,
        "would_be": Status.DEPROVISIONED.value,
        "role": None if user is None else user.role.value,
        "keys": keys,
        "apikeys": apikeys,
        "reason": end.reason,
        "since": moment(end.since),
        "asked_at": moment(end.asked_at),
    }


def conflict_view(conflict: ScimConflict, holder: User | None, advice: str) -> View:
    """Show a person who cannot come, and the user who has the name or the id."""
    return {
        "provider": conflict.provider,
        "user_name": conflict.user_name,
        "external_id": conflict.external_id,
        "reason": conflict.reason,
        "held_as": conflict.held_as or None,
        "holder": None if holder is None else holder.name,
        "holder_method": None if holder is None else holder.method.value,
        "holder_provider": None if holder is None else holder.provider,
        "holder_managed_by": None if holder is None else holder.managed_by.value,
        "holder_status": None if holder is None else holder.status.value,
        "next": advice,
        "since": moment(conflict.since),
        "asked_at": moment(conflict.asked_at),
    }


def _body(text: str) -> object:
    """Give JSON as JSON; of what is none, or was too long, only the size was kept."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
