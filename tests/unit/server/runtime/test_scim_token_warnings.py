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


def test_a_longer_token_that_was_only_issued_replaces_none(sqlite_store: Store) -> None:
    """The one that the client comes with ends first, and then nothing comes any more: that is told."""
    now = time.time()
    used = token(sqlite_store, 5)
    sqlite_store.scim_tokens.touch(used, now)
    token(sqlite_store, 365)

    assert [one.id for one in warn_of_tokens(sqlite_store, now)] == [used]


def test_an_old_token_is_not_told_once_the_client_has_come_with_another(sqlite_store: Store) -> None:
    """Rotation leaves the old one some days; that it ends then is what was asked for, be it in use or never used."""
    now = time.time()
    used = token(sqlite_store, 5)
    token(sqlite_store, 6)
    sqlite_store.scim_tokens.touch(used, now + 60)
    sqlite_store.scim_tokens.touch(token(sqlite_store, 365), now + 120)
    sqlite_store.scim_tokens.touch(token(sqlite_store, 365, "okta"), now + 120)

    assert warn_of_tokens(sqlite_store, now + 180) == []


def test_a_client_that_goes_back_to_the_old_token_is_told_of_it(sqlite_store: Store) -> None:
    """What it came with last counts, not what is newer."""
    now = time.time()
    old, new = token(sqlite_store, 5), token(sqlite_store, 365)
    for number, one in enumerate((old, new, old), 1):
        sqlite_store.scim_tokens.touch(one, now + number * 60)

    assert [one.id for one in warn_of_tokens(sqlite_store, now + 240)] == [old]


def test_another_providers_token_replaces_none(sqlite_store: Store) -> None:
    """Nor does one that was never used while nobody has come with any: nobody can tell which one is in the client."""
    now = time.time()
    entras, unused = token(sqlite_store, 5), token(sqlite_store, 6, "onelogin")
    token(sqlite_store, 365, "onelogin")
    sqlite_store.scim_tokens.touch(token(sqlite_store, 365, "okta"), now + 60)

    assert {one.id for one in warn_of_tokens(sqlite_store, now + 120)} == {entras, unused}


def test_an_extended_token_is_told_again(sqlite_store: Store) -> None:
    """A new end has its own thresholds."""
    known = token(sqlite_store, 5)
    warn_of_tokens(sqlite_store, time.time())
    sqlite_store.apply(ExtendScimToken(known, time.time() + 50 * DAY_S), actor="test")

    warn_of_tokens(sqlite_store, time.time())

    assert warnings(sqlite_store) == [7, 60]
