"""Reading the tokens with which SCIM clients come in; issuing and ending them goes through ``changes``."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, bindparam, or_, select, update

from storage.database.engine import Database
from storage.database.names import storable
from storage.database.scim_tables import scim_tokens

TOUCH_INTERVAL_S = 60.0
_BY_ID = select(scim_tokens).where(scim_tokens.c.id == bindparam("id"))


@dataclass(frozen=True, slots=True)
class ScimToken:
    """A token of one provider's client; ``digest`` is SHA-256 of the secret part. Times are Unix seconds."""

    id: str
    provider: str
    kind: str
    digest: bytes = field(repr=False)
    title: str
    created_by: str
    created_at: float
    expires_at: float
    last_used_at: float | None = None
    revoked_at: float | None = None
    warned_days: int | None = None

    def is_live(self, now: float) -> bool:
        """Whether it lets a client in."""
        return self.revoked_at is None and now < self.expires_at


class ScimTokens:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched: dict[str, float] = {}
        self._lock = threading.Lock()

    def by_id(self, id: str) -> ScimToken | None:  # noqa: A002 - the column's name
        """Give the token of this public id, or None."""
        if not storable(id):
            return None
        with self._database.read() as connection:
            row = connection.execute(_BY_ID, {"id": id}).one_or_none()
        return None if row is None else _token_of(row)

    def list(self, provider: str | None = None) -> list[ScimToken]:
        """Give all tokens, also ended ones, the oldest first."""
        query = select(scim_tokens).order_by(scim_tokens.c.provider, scim_tokens.c.created_at, scim_tokens.c.id)
        if provider is not None:
            query = query.where(scim_tokens.c.provider == provider)
        with self._database.read() as connection:
            return [_token_of(row) for row in connection.execute(query)]

    def touch(self, id: str, at: float) -> None:  # noqa: A002 - the column's name
        """Note that the token was used; written at most once a minute."""
        with self._lock:
            if at - self._touched.get(id, float("-inf")) < TOUCH_INTERVAL_S:
                return
            self._touched[id] = at
        stale = or_(scim_tokens.c.last_used_at.is_(None), scim_tokens.c.last_used_at <= at - TOUCH_INTERVAL_S)
        with self._database.write() as connection:
            connection.execute(update(scim_tokens).where(scim_tokens.c.id == id, stale).values(last_used_at=at))


def _token_of(row: Row[Any]) -> ScimToken:
    return ScimToken(
        id=row.id,
        provider=row.provider,
        kind=row.kind,
        digest=row.digest,
        title=row.title,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        warned_days=row.warned_days,
    )
