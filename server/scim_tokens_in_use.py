"""Which of a SCIM client's tokens it comes with: the end of that one is the end of provisioning."""

from __future__ import annotations

from collections.abc import Sequence

from storage.database.scim_tokens import ScimToken


def token_in_use(live: Sequence[ScimToken]) -> ScimToken:
    """Give the token that the client came with last, or, as long as it has not come, the one that ends last."""
    return max(live, key=lambda token: (token.last_used_at or 0.0, token.expires_at))


def is_replaced(token: ScimToken, live: Sequence[ScimToken]) -> bool:
    """Whether the client came with another of its provider's live tokens since it last came with this one.

    A token that it has never come with replaces none, however long it lives: it may not be in the client yet.
    """
    since = token.created_at if token.last_used_at is None else token.last_used_at
    others = (one for one in live if one.id != token.id and one.provider == token.provider)
    return any(one.last_used_at is not None and one.last_used_at > since for one in others)
