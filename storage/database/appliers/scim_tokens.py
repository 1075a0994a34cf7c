"""Changes of the tokens with which SCIM clients come in."""

from __future__ import annotations

from typing import Any, assert_never

from sqlalchemy import Connection, Row, insert, select, update

from storage.database.appliers import checks
from storage.database.appliers.effect import Effect
from storage.database.errors import Conflict, InvalidChange, NotFoundInStore
from storage.database.scim_changes import (
    AddScimToken,
    ExtendScimToken,
    RevokeScimToken,
    ScimTokenChange,
    WarnScimToken,
)
from storage.database.scim_tables import scim_tokens

KINDS = frozenset({"bearer", "basic"})
_SHA256_BYTES = 32


def apply_scim_token_change(tx: Connection, change: ScimTokenChange, actor: str, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case AddScimToken():
            return _add(tx, change, actor, now)
        case ExtendScimToken():
            return _extend(tx, change, now)
        case RevokeScimToken():
            return _revoke(tx, change, now)
        case WarnScimToken():
            return _warn(tx, change)
    assert_never(change)


def _add(tx: Connection, change: AddScimToken, actor: str, now: float) -> Effect:
    if change.kind not in KINDS or len(change.digest) != _SHA256_BYTES:
        raise InvalidChange("A SCIM token is of the kind bearer or basic, and has a digest of 32 bytes.")
    provider = checks.token(change.provider, "A provider's name")
    ended = 0 if change.others_until is None else _end_others(tx, provider, change.others_until, now)
    row = {
        "id": checks.text(change.id, "A token's id", limit=64, required=True),
        "provider": provider,
        "kind": change.kind,
        "digest": change.digest,
        "title": checks.text(change.title, "A token's title"),
        "created_by": actor,
        "created_at": now,
        "expires_at": _later(change.expires_at, now),
    }
    tx.execute(insert(scim_tokens), row)
    detail: dict[str, object] = {"kind": change.kind, "expires_at": change.expires_at, "others_ending": ended}
    return Effect("scim.token_issued", f"provider:{provider}", change.id, detail=detail)


def _end_others(tx: Connection, provider: str, until: float, now: float) -> int:
    """End the provider's tokens at that time, or now if it has passed; give how many would have lived longer."""
    unrevoked = (scim_tokens.c.provider == provider, scim_tokens.c.revoked_at.is_(None))
    longer = update(scim_tokens).where(*unrevoked, scim_tokens.c.expires_at > max(until, now))
    ended = tx.execute(longer.values(expires_at=max(until, now))).rowcount
    if until <= now:  # also those that have run out: after a leak nobody must lengthen one of them
        tx.execute(update(scim_tokens).where(*unrevoked).values(revoked_at=now))
    return ended


def _extend(tx: Connection, change: ExtendScimToken, now: float) -> Effect:
    token = _token(tx, change.token_id)
    if token.revoked_at is not None:
        raise Conflict("This token was revoked; issue another one.")
    values = {"expires_at": _later(change.expires_at, now), "warned_days": None}
    tx.execute(update(scim_tokens).where(scim_tokens.c.id == token.id).values(**values))
    detail: dict[str, object] = {"expires_at": change.expires_at, "old_expires_at": token.expires_at}
    return Effect("scim.token_extended", f"provider:{token.provider}", token.id, detail=detail)


def _revoke(tx: Connection, change: RevokeScimToken, now: float) -> Effect:
    token = _token(tx, change.token_id)
    subject = f"provider:{token.provider}"
    if token.revoked_at is not None:
        return Effect("scim.token_revoked", subject, token.id, changed=False)
    tx.execute(update(scim_tokens).where(scim_tokens.c.id == token.id).values(revoked_at=now))
    return Effect("scim.token_revoked", subject, token.id)


def _warn(tx: Connection, change: WarnScimToken) -> Effect:
    token = _token(tx, change.token_id)
    subject = f"provider:{token.provider}"
    if token.warned_days is not None and token.warned_days <= change.days:
        return Effect("scim.token_ends_soon", subject, token.id, changed=False)
    tx.execute(update(scim_tokens).where(scim_tokens.c.id == token.id).values(warned_days=change.days))
    detail: dict[str, object] = {"days": change.days, "expires_at": token.expires_at}
    return Effect("scim.token_ends_soon", subject, token.id, detail=detail)


def _token(tx: Connection, token_id: str) -> Row[Any]:
    row = tx.execute(select(scim_tokens).where(scim_tokens.c.id == token_id)).one_or_none()
    if row is None:
        raise NotFoundInStore("There is no such SCIM token.")
    return row


def _later(at: float, now: float) -> float:
    checks.moment(at)
    if at <= now:
        raise InvalidChange("A token must end in the future.")
    return at
