"""The cache of a provider's keys: roll-over, outages, and floods of made-up key ids."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from auth_backends.oidc.signing_keys import GAP_S, KEEP_S, REFRESH_S, RETRY_S, SigningKeys
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import ec_key, rsa_key
from tests.support.oidc_site import Site

DOWN = (503, {}, b"down")


@pytest.fixture
def keys(site: Site) -> SigningKeys:
    return SigningKeys(f"{site.provider.issuer}/keys", site.client, site.fetcher, site.clock)


def fetches(site: Site) -> int:
    return site.provider.hits["/keys"]


def reason_of(ask: Callable[[], object]) -> SsoReason:
    with pytest.raises(SsoRefused) as refused:
        ask()
    return refused.value.reason


def test_keys_are_fetched_once_an_hour(site: Site, keys: SigningKeys) -> None:
    """Not for each token."""
    for moved in (0.0, 1.0, REFRESH_S - 2):
        site.clock.now += moved
        assert keys.key("one", "RS256").thumbprint() == rsa_key("one").thumbprint()
    assert fetches(site) == 1
    site.clock.now += 1

    keys.key("one", "RS256")

    assert fetches(site) == 2


def test_a_new_key_is_found_at_once(site: Site, keys: SigningKeys) -> None:
    """The provider rolled over just after we had looked: nobody's sign-in fails."""
    keys.key("one", "RS256")
    site.provider.keys = [rsa_key("two"), rsa_key("one")]

    assert keys.key("two", "RS256").thumbprint() == rsa_key("two").thumbprint()
    assert keys.key("one", "RS256").thumbprint() == rsa_key("one").thumbprint()
    assert fetches(site) == 2


def test_a_withdrawn_key_counts_no_more(site: Site, keys: SigningKeys) -> None:
    """After the next hourly look."""
    keys.key("one", "RS256")
    site.provider.keys = [rsa_key("two")]
    site.clock.now += REFRESH_S

    assert reason_of(lambda: keys.key("one", "RS256")) is SsoReason.UNKNOWN_SIGNING_KEY


def test_a_flood_of_made_up_ids_causes_one_fetch_in_five_minutes(site: Site, keys: SigningKeys) -> None:
    """From many threads at once, and one after the other (O4); known keys serve meanwhile."""
    keys.key("one", "RS256")

    with ThreadPoolExecutor(16) as pool:
        reasons = pool.map(lambda n: reason_of(lambda: keys.key(f"made-up-{n}", "RS256")), range(200))
        assert set(reasons) == {SsoReason.UNKNOWN_SIGNING_KEY}
    site.clock.now += GAP_S - 1
    assert reason_of(lambda: keys.key("made-up", "RS256")) is SsoReason.UNKNOWN_SIGNING_KEY
    assert keys.key("one", "RS256")
    assert fetches(site) == 2
    site.clock.now += 1
    assert reason_of(lambda: keys.key("made-up", "RS256")) is SsoReason.UNKNOWN_SIGNING_KEY

    assert fetches(site) == 3


def test_the_first_made_up_id_causes_one_fetch_and_not_two(site: Site, keys: SigningKeys) -> None:
    """What was fetched a moment ago is not fetched again."""
    assert reason_of(lambda: keys.key("made-up", "RS256")) is SsoReason.UNKNOWN_SIGNING_KEY

    assert fetches(site) == 1


def test_the_last_good_copy_survives_an_outage_of_a_day(site: Site, keys: SigningKeys) -> None:
    """And no longer: whoever withdraws a key must be able to count on that."""
    keys.key("one", "RS256")
    site.provider.answers["/keys"] = DOWN

    site.clock.now += KEEP_S - 1
    assert keys.key("one", "RS256")
    site.clock.now += 1
    assert reason_of(lambda: keys.key("one", "RS256")) is SsoReason.PROVIDER_UNREACHABLE
    site.provider.answers.clear()
    site.clock.now += RETRY_S

    assert keys.key("one", "RS256")


def test_during_an_outage_the_provider_is_asked_every_five_minutes(site: Site, keys: SigningKeys) -> None:
    """Nobody waits for it at each sign-in."""
    keys.key("one", "RS256")
    site.provider.answers["/keys"] = DOWN
    site.clock.now += REFRESH_S
    for _ in range(5):
        keys.key("one", "RS256")
    assert fetches(site) == 2
    site.clock.now += GAP_S

    keys.key("one", "RS256")

    assert fetches(site) == 3


def test_a_provider_that_is_away_from_the_start_is_asked_every_ten_seconds(site: Site, keys: SigningKeys) -> None:
    """And each of those who come meanwhile is told the same at once."""
    site.provider.answers["/keys"] = DOWN
    for _ in range(5):
        assert reason_of(lambda: keys.key("one", "RS256")) is SsoReason.PROVIDER_UNREACHABLE
    assert fetches(site) == 1
    site.provider.answers.clear()
    site.clock.now += RETRY_S

    assert keys.key("one", "RS256")


def test_an_unknown_id_during_an_outage_is_not_called_unknown(site: Site, keys: SigningKeys) -> None:
    """Nobody can tell; and the provider, just found to be away, is not waited for twice."""
    keys.key("one", "RS256")
    site.provider.answers["/keys"] = DOWN
    site.clock.now += REFRESH_S

    assert reason_of(lambda: keys.key("two", "RS256")) is SsoReason.PROVIDER_UNREACHABLE
    assert fetches(site) == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"not json", SsoReason.MALFORMED),
        (b'{"keys": []}', SsoReason.UNKNOWN_SIGNING_KEY),
        (b" " * (512 * 1024 + 1), SsoReason.PROVIDER_UNREACHABLE),
    ],
)
def test_a_bad_key_set_replaces_nothing(site: Site, keys: SigningKeys, body: bytes, reason: SsoReason) -> None:
    """What was good goes on; who asks for a refresh is told."""
    keys.key("one", "RS256")
    site.provider.answers["/keys"] = (200, {}, body)

    assert reason_of(keys.refresh) is reason
    assert keys.key("one", "RS256")


def test_a_clock_that_was_far_ahead_stops_nothing(site: Site, keys: SigningKeys) -> None:
    """Once it is set right, keys are looked for as before, and no more often."""
    site.clock.now += 10 * KEEP_S
    keys.key("one", "RS256")
    assert reason_of(lambda: keys.key("made-up", "RS256")) is SsoReason.UNKNOWN_SIGNING_KEY
    site.clock.now -= 10 * KEEP_S
    site.provider.keys = [rsa_key("two")]
    assert fetches(site) == 2

    assert keys.key("two", "RS256")
    assert reason_of(lambda: keys.key("one", "RS256")) is SsoReason.UNKNOWN_SIGNING_KEY
    for _ in range(3):
        assert reason_of(lambda: keys.key("made-up", "RS256")) is SsoReason.UNKNOWN_SIGNING_KEY
    assert fetches(site) == 4


def test_a_search_works_again_after_a_clock_that_was_far_ahead(site: Site, keys: SigningKeys) -> None:
    """A made-up id in the wrong time does not spoil a roll-over in the right one."""
    keys.key("one", "RS256")
    site.clock.now += 2 * GAP_S
    reason_of(lambda: keys.key("made-up", "RS256"))
    site.clock.now -= GAP_S
    site.provider.keys = [rsa_key("two")]

    assert keys.key("two", "RS256")


def test_key_sets_are_not_fetched_from_where_they_are_redirected_to(site: Site, keys: SigningKeys) -> None:
    """Not even to the same server (O17)."""
    site.provider.answers["/keys"] = (302, {"location": f"{site.provider.issuer}/other-keys"}, b"")

    assert reason_of(lambda: keys.key("one", "RS256")) is SsoReason.PROVIDER_UNREACHABLE
    assert site.provider.hits["/other-keys"] == 0


def test_nobody_with_a_known_key_waits_for_a_slow_fetch(site: Site, keys: SigningKeys) -> None:
    """One thread renews, the others use the copy at hand."""
    keys.key("one", "RS256")
    site.clock.now += REFRESH_S
    asked, go_on = threading.Event(), threading.Event()
    answer = site.provider.answer

    def slow(*request: object) -> object:
        asked.set()
        assert go_on.wait(30)
        return answer(*request)  # type: ignore[arg-type]  # what came

    site.provider.answer = slow  # type: ignore[method-assign,assignment]  # a provider that thinks for a while
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(keys.key, "one", "RS256")
        assert asked.wait(30)
        assert keys.key("one", "RS256")
        assert not renewing.done()
        go_on.set()

        assert renewing.result(30)
    assert fetches(site) == 2


def test_a_token_without_an_id_needs_a_provider_with_one_key(site: Site, keys: SigningKeys) -> None:
    """OpenID Connect Core 1.0 section 10.1: with several keys, the id must say which."""
    assert keys.key(None, "RS256").thumbprint() == rsa_key("one").thumbprint()
    site.provider.keys = [rsa_key("one"), ec_key("curve")]
    keys.refresh()
    assert keys.key(None, "ES256").thumbprint() == ec_key("curve").thumbprint()
    site.provider.keys = [rsa_key("one"), rsa_key("two")]
    keys.refresh()

    assert reason_of(lambda: keys.key(None, "RS256")) is SsoReason.UNKNOWN_SIGNING_KEY


def test_strangers_spoil_no_roll_over(site: Site, keys: SigningKeys) -> None:
    """Ids that they make up are searched for once in five minutes, and a sign-in's new key all the same."""
    keys.key("one", "RS256")
    for _ in range(3):
        assert reason_of(lambda: keys.for_strangers.key("made-up", "RS256")) is SsoReason.UNKNOWN_SIGNING_KEY
    assert fetches(site) == 2
    site.provider.keys = [rsa_key("two")]

    assert keys.key("two", "RS256")
    assert keys.for_strangers.key("two", "RS256")
    assert fetches(site) == 3
