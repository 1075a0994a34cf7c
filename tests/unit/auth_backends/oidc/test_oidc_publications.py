"""Discovery, kept at hand over outages."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from auth_backends.oidc.discovery import WELL_KNOWN, Discovery
from auth_backends.oidc.publications import GAP_S, RENEW_S, RETRY_S, Publications
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import rsa_key
from tests.support.oidc_site import Site

DOWN = (503, {}, b"down")


def published(site: Site, known: Discovery | None = None) -> Publications:
    return Publications(site.client, site.fetcher, site.clock, known)


def fetches(site: Site) -> int:
    return site.provider.hits[WELL_KNOWN]


def test_discovery_is_fetched_when_it_is_needed_and_then_daily(site: Site) -> None:
    """Making a relying party asks nobody: a server starts while its providers are away."""
    publications = published(site)
    assert publications.known is None
    assert fetches(site) == 0

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(publications.current) for _ in range(20)]
        seen = {one.result(30)[0].issuer for one in asked}

    assert seen == {site.provider.issuer}
    assert fetches(site) == 1
    site.clock.now += RENEW_S
    publications.current()
    assert fetches(site) == 2


def test_a_copy_of_an_earlier_process_serves_while_the_provider_is_away(site: Site) -> None:
    """It is asked again every five minutes, not at each sign-in."""
    discovery, _ = published(site).current()
    site.provider.answers[WELL_KNOWN] = DOWN
    again = published(site, discovery)

    for _ in range(3):
        assert again.current()[0] == discovery == again.known
    assert fetches(site) == 2
    site.provider.answers.clear()
    site.provider.published = {"token_endpoint": f"{site.provider.issuer}/new-token"}
    site.clock.now += GAP_S

    assert again.current()[0].token_endpoint.endswith("/new-token")


def test_without_a_copy_nobody_can_begin_and_each_is_told_why(site: Site) -> None:
    """The provider is asked every ten seconds at most."""
    site.provider.answers[WELL_KNOWN] = DOWN
    publications = published(site)

    for _ in range(3):
        with pytest.raises(SsoRefused, match="answered 503") as refused:
            publications.current()
        assert refused.value.reason is SsoReason.PROVIDER_UNREACHABLE
    assert fetches(site) == 1
    site.provider.answers.clear()
    site.clock.now += RETRY_S

    assert publications.current()[0].issuer == site.provider.issuer


def test_a_clock_that_was_far_ahead_stops_nothing(site: Site) -> None:
    """Once it is set right, discovery is fetched as before."""
    site.clock.now += 10 * RENEW_S
    publications = published(site)
    publications.current()
    site.clock.now -= 10 * RENEW_S
    site.provider.published = {"token_endpoint": f"{site.provider.issuer}/new-token"}

    assert publications.current()[0].token_endpoint.endswith("/new-token")
    publications.current()
    assert fetches(site) == 2


def test_nobody_with_a_copy_waits_for_a_slow_provider(site: Site) -> None:
    """One thread renews, the others go on with what there is."""
    publications = published(site)
    discovery, _ = publications.current()
    site.clock.now += RENEW_S
    asked, go_on = threading.Event(), threading.Event()
    answer = site.provider.answer

    def slow(*request: object) -> object:
        asked.set()
        assert go_on.wait(30)
        return answer(*request)  # type: ignore[arg-type]  # what came

    site.provider.answer = slow  # type: ignore[method-assign,assignment]  # a provider that thinks for a while
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(publications.current)
        assert asked.wait(30)
        assert publications.current()[0] is discovery
        assert not renewing.done()
        go_on.set()

        assert renewing.result(30)[0] == discovery
    assert fetches(site) == 2


def test_discovery_is_not_followed_elsewhere(site: Site) -> None:
    """A redirect is a failure, wherever it leads (O17)."""
    site.provider.answers[WELL_KNOWN] = (302, {"location": f"{site.provider.issuer}/elsewhere"}, b"")

    with pytest.raises(SsoRefused) as refused:
        published(site).current()

    assert refused.value.reason is SsoReason.PROVIDER_UNREACHABLE
    assert site.provider.hits["/elsewhere"] == 0


def test_a_refresh_fetches_both_and_tells_what_is_wrong(site: Site) -> None:
    """What a refresh that fails leaves is what was good before."""
    publications = published(site)
    discovery = publications.refresh()
    assert (fetches(site), site.provider.hits["/keys"]) == (1, 1)
    site.provider.published = {"issuer": "https://evil.example"}

    with pytest.raises(SsoRefused) as refused:
        publications.refresh()

    assert refused.value.reason is SsoReason.WRONG_ISSUER
    assert publications.current()[0] == discovery


def test_keys_that_have_moved_are_fetched_from_their_new_place(site: Site) -> None:
    """And not kept from the old one."""
    publications = published(site)
    _, before = publications.current()
    before.key("one", "RS256")
    site.provider.published = {"jwks_uri": f"{site.provider.issuer}/moved"}
    site.provider.answers["/moved"] = site.provider.answer("GET", "/keys", {}, b"")
    site.provider.answers["/keys"] = DOWN

    publications.refresh()

    _, keys = publications.current()
    assert keys.address.endswith("/moved")
    assert keys.key("one", "RS256").thumbprint() == rsa_key("one").thumbprint()
