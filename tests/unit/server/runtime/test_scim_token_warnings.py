"""Before a SCIM token ends, somebody hears of it: at 60, 30 and 7 days, once each."""

from __future__ import annotations

import time

from auth_backends.scim_clients import issue
from server.runtime.token_warnings import DAY_S, warn_of_tokens
from storage.database.scim_changes import AddScimToken, ExtendScimToken, RevokeScimToken
from storage.database.store import Store


def token(store: Store, days: float, provider: str = "entra") -> str:
    issued = issue()
    end = time.time() + days * DAY_S
    store.apply(AddScimToken(provider, issued.id, "bearer", issued.digest, expires_at=end), actor="test")
    return issued.id


def warnings(store: Store) -> list[object]:
    events = store.audit.tail(kind="scim.token_ends_soon")
    return [event.detail["days"] for event in events if event.detail and event.outcome == "applied"]


def test_each_threshold_is_told_once(sqlite_store: Store) -> None:
    """Rounds come every hour; the 60th, the 30th and the 7th day have one event each."""
    token(sqlite_store, 365)
    now = time.time()

    for day in (300, 304, 306, 310, 334, 336, 340, 357, 359, 360, 364):
        warn_of_tokens(sqlite_store, now + day * DAY_S)

    assert warnings(sqlite_store) == [60, 30, 7]


def test_a_token_that_is_long_or_gone_is_not_told(sqlite_store: Store) -> None:
    """Neither one of a year, nor a revoked one, nor one that has ended."""
    token(sqlite_store, 365)
    sqlite_store.apply(RevokeScimToken(token(sqlite_store, 5, "okta")), actor="test")

    assert warn_of_tokens(sqlite_store, time.time()) == []
    assert warn_of_tokens(sqlite_store, time.time() + 400 * DAY_S) == []


def test_an_old_token_beside_a_new_one_is_not_told(sqlite_store: Store) -> None:
    """Rotation leaves the old one some days; that it ends then is what was asked for."""
    token(sqlite_store, 5)
    token(sqlite_store, 365)

    assert warn_of_tokens(sqlite_store, time.time()) == []


def test_an_extended_token_is_told_again(sqlite_store: Store) -> None:
    """A new end has its own thresholds."""
    known = token(sqlite_store, 5)
    warn_of_tokens(sqlite_store, time.time())
    sqlite_store.apply(ExtendScimToken(known, time.time() + 50 * DAY_S), actor="test")

    warn_of_tokens(sqlite_store, time.time())

    assert warnings(sqlite_store) == [7, 60]
