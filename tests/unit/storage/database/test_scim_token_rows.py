"""The tokens of SCIM clients: issued, rotated, reset, extended, ended, and warned of once."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest

from storage.database.changes import Applied
from storage.database.scim_changes import AddScimToken, ExtendScimToken, RevokeScimToken, ScimTokenChange, WarnScimToken
from storage.database.scim_tokens import ScimToken
from storage.database.store import Conflict, InvalidChange, NotFoundInStore, Store
from tests.support.scim_rows import CLIENT, ENTRA, OKTA, say_at

NOW = 1_900_000_000.0
DAY_S = 86_400.0


def at(store: Store, change: ScimTokenChange, now: float = NOW) -> Applied:
    return say_at(store, change, now)


def issue(store: Store, id: str = "t1", *, now: float = NOW, days: float = 365, **fields: Any) -> Applied:  # noqa: A002 - the column's name
    digest = hashlib.sha256(id.encode()).digest()
    values = {"provider": ENTRA, "kind": "bearer", "digest": digest, "expires_at": now + days * DAY_S, **fields}
    return at(store, AddScimToken(id=id, **values), now)


def token(store: Store, id: str = "t1") -> ScimToken:  # noqa: A002 - as above
    found = store.scim_tokens.by_id(id)
    assert found is not None
    return found


def test_a_token_is_kept_as_a_digest(store: Store) -> None:
    """Found by its public id, of one provider, and its repr and the trail show no digest (C3)."""
    done = issue(store, title="Entra, production", kind="basic")

    kept = token(store)
    assert (kept.provider, kept.kind, kept.title, kept.created_by) == (
        ENTRA,
        "basic",
        "Entra, production",
        CLIENT,
    )
    assert (kept.digest, kept.created_at, kept.expires_at) == (hashlib.sha256(b"t1").digest(), NOW, NOW + 365 * DAY_S)
    assert (kept.last_used_at, kept.revoked_at, kept.warned_days) == (None, None, None)
    assert "digest" not in repr(kept)
    assert "digest" not in repr(AddScimToken(ENTRA, "t", "bearer", kept.digest, 1.0))
    assert kept.digest.hex() not in repr(store.audit.tail())
    assert (done.subject_id, done.users) == ("t1", ())
    assert [event.kind for event in store.audit.tail()] == ["scim.token_issued"]
    assert (store.scim_tokens.by_id("t2"), store.scim_tokens.by_id("\0")) == (None, None)


def test_a_token_lives_until_its_end(store: Store) -> None:
    """Not at the moment itself, and not when it was revoked."""
    issue(store)
    end = NOW + 365 * DAY_S
    before = [token(store).is_live(moment) for moment in (NOW, end - 0.001, end)]
    done, again = at(store, RevokeScimToken("t1")), at(store, RevokeScimToken("t1"))

    assert before == [True, True, False]
    assert (token(store).is_live(NOW), token(store).revoked_at) == (False, NOW)
    assert (done.changed, again.changed) == (True, False)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "cookie"},
        {"digest": b"short"},
        {"provider": "No Token"},
        {"id": ""},
        {"id": "x" * 65},
        {"title": "a\nb"},
        {"expires_at": NOW},
        {"expires_at": math.inf},
        {"expires_at": math.nan},
        {"expires_at": -1.0},
    ],
)
def test_what_makes_no_sense_is_refused(store: Store, fields: dict[str, Any]) -> None:
    """And ends no other token on the way."""
    issue(store, "old")
    with pytest.raises(InvalidChange):
        issue(store, **{"id": "new", "others_until": 0.0, **fields})

    assert token(store, "old").is_live(NOW)
    assert len(store.scim_tokens.list()) == 1


def test_an_id_is_used_once(store: Store) -> None:
    """Also one of a revoked token, and of another provider."""
    issue(store)
    at(store, RevokeScimToken("t1"))
    with pytest.raises(Conflict):
        issue(store, provider=OKTA)

    assert token(store).provider == ENTRA


def test_issuing_leaves_the_others(store: Store) -> None:
    """Several live at once; listed by provider and age."""
    issue(store, "b")
    issue(store, "a", now=NOW + 1)
    issue(store, "z", provider="aaa")

    assert [one.id for one in store.scim_tokens.list()] == ["z", "b", "a"]
    assert [one.id for one in store.scim_tokens.list(ENTRA)] == ["b", "a"]
    assert all(one.is_live(NOW + DAY_S) for one in store.scim_tokens.list())


def test_a_rotation_overlaps(store: Store) -> None:
    """The others end after the overlap, or earlier if they would anyway; revoked and other providers' ones stay."""
    issue(store, "long")
    issue(store, "short", days=3)
    issue(store, "gone")
    at(store, RevokeScimToken("gone"))
    issue(store, "okta", provider=OKTA)
    done = issue(store, "new", others_until=NOW + 7 * DAY_S)

    ends = {one.id: (one.expires_at - NOW) / DAY_S for one in store.scim_tokens.list()}
    assert ends == {"long": 7, "short": 3, "gone": 365, "okta": 365, "new": 365}
    assert (done.detail["others_ending"], token(store, "long").revoked_at) == (1, None)


@pytest.mark.parametrize("until", [0.0, NOW - 1, NOW])
def test_a_reset_ends_the_others_at_once_and_for_good(store: Store, until: float) -> None:
    """Also one that had run out: it cannot be made longer after a leak."""
    for name in ("one", "two"):
        issue(store, name)
    issue(store, "ran-out", now=NOW - 2 * DAY_S, days=1)
    issue(store, "okta", provider=OKTA)
    done = issue(store, "new", others_until=until)

    assert [one.id for one in store.scim_tokens.list() if one.is_live(NOW)] == ["new", "okta"]
    assert done.detail["others_ending"] == 2
    for name in ("one", "two", "ran-out"):
        with pytest.raises(Conflict, match="revoked"):
            at(store, ExtendScimToken(name, NOW + DAY_S))


def test_an_extension_moves_the_end(store: Store) -> None:
    """Both ways, but never into the past; a token that has run out can be brought back, a revoked one cannot."""
    issue(store)
    at(store, ExtendScimToken("t1", NOW + DAY_S))
    sooner = token(store).expires_at
    done = at(store, ExtendScimToken("t1", NOW + 9 * DAY_S), NOW + 2 * DAY_S)
    for wrong in (NOW, NOW - 1, math.nan, math.inf):
        with pytest.raises(InvalidChange):
            at(store, ExtendScimToken("t1", wrong))

    assert (sooner, token(store).expires_at) == (NOW + DAY_S, NOW + 9 * DAY_S)
    assert (done.detail["old_expires_at"], token(store).is_live(NOW + 2 * DAY_S)) == (NOW + DAY_S, True)
    at(store, RevokeScimToken("t1"))
    with pytest.raises(Conflict, match="revoked"):
        at(store, ExtendScimToken("t1", NOW + 10 * DAY_S))


def test_each_warning_is_given_once(store: Store) -> None:
    """At 60, 30 and 7 days, in this order; an extension starts anew."""
    issue(store)
    told = [at(store, WarnScimToken("t1", days)).changed for days in (60, 60, 30, 60, 30, 7, 7, 30)]
    at(store, ExtendScimToken("t1", NOW + 60 * DAY_S))
    anew = at(store, WarnScimToken("t1", 60)).changed

    assert told == [True, False, True, False, False, True, False, False]
    assert (anew, token(store).warned_days) == (True, 60)
    warnings = [one for one in store.audit.tail(kind="scim.token_ends_soon") if one.outcome == "applied"]
    assert [(one.detail or {})["days"] for one in warnings] == [60, 30, 7, 60]
    assert {one.subject for one in warnings} == {f"provider:{ENTRA}"}


@pytest.mark.parametrize(
    "change", [ExtendScimToken("t1", NOW + 1), RevokeScimToken("t1"), WarnScimToken("t1", 7)], ids=str
)
def test_a_token_that_is_not_there_cannot_be_changed(store: Store, change: ScimTokenChange) -> None:
    """And nothing is written."""
    with pytest.raises(NotFoundInStore):
        at(store, change)

    assert store.audit.tail() == []


def test_uses_are_noted_once_a_minute(store: Store, store_url: str) -> None:
    """Also when several workers see them; an id that is none is no error."""
    issue(store)
    for moment in (NOW, NOW + 59, NOW + 30):
        store.scim_tokens.touch("t1", moment)
    first = token(store).last_used_at
    other = type(store.scim_tokens)(store._database)  # as another worker has it
    other.touch("t1", NOW + 59)
    second = token(store).last_used_at
    store.scim_tokens.touch("t1", NOW + 60)
    store.scim_tokens.touch("none", NOW)

    assert (first, second, token(store).last_used_at) == (NOW, NOW, NOW + 60)
