"""Warnings before a SCIM client's token ends: the client would fail, and leavers would stay in, without a word."""

from __future__ import annotations

import structlog

from server.scim_tokens_in_use import is_replaced
from storage.database.scim_changes import WarnScimToken
from storage.database.scim_tokens import ScimToken
from storage.database.store import Store

log = structlog.get_logger(__name__)

DAYS = (7, 30, 60)
DAY_S = 86_400.0
ACTOR = "jobs"


def warn_of_tokens(store: Store, now: float) -> list[ScimToken]:
    """Write one event for each token at 60, 30 and 7 days before its end; give those it warned of. Raises StoreError.

    A token that the client has replaced by another one is on its way out by rotation: nobody needs to hear of it. One
    that was only issued, and lives longer, replaces none.
    """
    tokens = [token for token in store.scim_tokens.list() if token.is_live(now)]
    warned = []
    for token in tokens:
        days = next((days for days in DAYS if token.expires_at - now <= days * DAY_S), None)
        if days is None or is_replaced(token, tokens):
            continue
        if token.warned_days is not None and token.warned_days <= days:
            continue
        if store.apply(WarnScimToken(token.id, days), actor=ACTOR).changed:
            log.warning("scim.token_ends_soon", provider=token.provider, token=token.id, days=days)
            warned.append(token)
    return warned
