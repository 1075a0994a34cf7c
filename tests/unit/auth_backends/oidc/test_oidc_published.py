"""What a provider publishes, seen from whole sign-ins: what is believed, roll-over, outages and floods."""

from __future__ import annotations

from typing import Any

import pytest

from auth_backends.oidc.discovery import discovery_of
from auth_backends.oidc.relying_party import OidcRelyingParty
from auth_backends.outgoing import Fetcher
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import Provider, rsa_key, signed
from tests.support.oidc_site import MakeSite, Site

WELL_KNOWN = "/.well-known/openid-configuration"
HOUR = 3600.0


def away(provider: Provider, *paths: str) -> None:
    for path in paths or (WELL_KNOWN, "/keys"):
        provider.answers[path] = (503, {}, b"")


# Discovery ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"issuer": "https://evil.example"}, SsoReason.WRONG_ISSUER),
        ({"issuer": None}, SsoReason.WRONG_ISSUER),
        ({"issuer": 5}, SsoReason.WRONG_ISSUER),
        ({"authorization_endpoint": None}, SsoReason.MALFORMED),
        ({"token_endpoint": None}, SsoReason.MALFORMED),
        ({"jwks_uri": None}, SsoReason.MALFORMED),
        ({"token_endpoint": "http://idp.example/token"}, SsoReason.MALFORMED),
        ({"authorization_endpoint": "javascript:alert(1)"}, SsoReason.MALFORMED),
        ({"authorization_endpoint": "//evil.example/"}, SsoReason.MALFORMED),
        ({"token_endpoint": "https://user@idp.example/"}, SsoReason.MALFORMED),
        ({"jwks_uri": "https://idp.example/keys\r\nX: y"}, SsoReason.MALFORMED),
        ({"jwks_uri": "https://[::1/"}, SsoReason.MALFORMED),
        ({"jwks_uri": 5}, SsoReason.MALFORMED),
        ({"code_challenge_methods_supported": ["plain"]}, SsoReason.NOT_CONFIGURED),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, SsoReason.NOT_CONFIGURED),
    ],
)
def test_a_configuration_that_is_not_believed(site: Site, members: dict[str, Any], reason: SsoReason) -> None:
    """Another issuer, endpoints that are missing or no https addresses, and PKCE or algorithms that we do not use."""
    site.provider.published = members

    with pytest.raises(SsoRefused) as caught:
        site.party.begin(state="s", nonce="n", code_verifier="v" * 43)

    assert caught.value.reason is reason
    assert caught.value.detail.isprintable()
    assert site.party.known is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff\xfe", b"[" * 50_000])
def test_a_configuration_that_is_no_json(site: Site, body: bytes) -> None:
    """Whatever is there, it is no error of ours."""
    site.provider.answers[WELL_KNOWN] = (200, {}, body)

    with pytest.raises(SsoRefused) as caught:
        site.party.begin(state="s", nonce="n", code_verifier="v" * 43)

    assert caught.value.reason is SsoReason.MALFORMED


@pytest.mark.parametrize("path", [WELL_KNOWN, "/keys", "/token"])
@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data/", "https://10.0.0.1/", "/elsewhere"])
def test_o17_redirects_are_not_followed(site: Site, path: str, target: str) -> None:
    """Neither into the network nor to the provider's own pages."""
    site.provider.answers[path] = (302, {"location": target}, b"")

    with pytest.raises(SsoRefused) as caught:
        site.sign_in()

    assert caught.value.reason is SsoReason.PROVIDER_UNREACHABLE
    assert site.provider.hits["/elsewhere"] == 0


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("address", ["https://169.254.169.254/x", "https://[fd00:ec2::254]/x", "https://0.0.0.0/x"])
def test_o17_addresses_of_metadata_services_in_the_configuration(site: Site, name: str, address: str) -> None:
    """A provider of the own network may have private addresses; nobody is sent to the cloud's metadata service."""
    site.provider.published[name] = address

    with pytest.raises(SsoRefused) as caught:
        site.sign_in()

    assert caught.value.reason is SsoReason.PROVIDER_UNREACHABLE
    assert "not on the public internet" in caught.value.detail


def test_a_kept_copy_starts_a_sign_in_while_discovery_is_away(site: Site) -> None:
    """What another process wrote down is read by the same rules, and serves until there is something newer."""
    text = site.party.refresh().to_json()
    away(site.provider, WELL_KNOWN)
    kept = discovery_of(text, site.provider.issuer)
    party = OidcRelyingParty(site.client, site.fetcher, site.clock, known=kept)

    assert party.known == kept == site.party.known
    query = site.provider.browse(party.begin(state="s", nonce="n", code_verifier="v" * 43))
    assert party.finish(query, nonce="n", code_verifier="v" * 43).person.subject == "sub-of-ada"

    site.provider.answers.clear()
    site.provider.published["authorization_endpoint"] = f"{site.provider.issuer}/authorize?new=1"
    site.clock.now += 301
    assert "new=1" in party.begin(state="s", nonce="n", code_verifier="v" * 43)


def test_a_kept_copy_of_another_issuer_is_refused(site: Site) -> None:
    """Whoever can write to the database cannot move the endpoints of an issuer to another one's copy."""
    text = site.party.refresh().to_json()

    with pytest.raises(SsoRefused) as caught:
        discovery_of(text, "https://other.example")

    assert caught.value.reason is SsoReason.WRONG_ISSUER


def test_refresh_keeps_the_good_copy_when_it_fails(site: Site) -> None:
    """The refusal says why; sign-ins go on."""
    site.party.refresh()
    away(site.provider)

    with pytest.raises(SsoRefused) as caught:
        site.party.refresh()

    assert caught.value.reason is SsoReason.PROVIDER_UNREACHABLE
    assert site.sign_in().person.subject == "sub-of-ada"


# Signing keys ------------------------------------------------------------------------------------


def test_a_roll_over_fails_no_sign_in(site: Site) -> None:
    """Both keys are published, the new one signs; then the old one goes."""
    site.sign_in()
    site.provider.keys = [rsa_key("two"), rsa_key("one")]
    assert site.sign_in().person.subject == "sub-of-ada"
    site.provider.keys = [rsa_key("two")]
    assert site.sign_in().person.subject == "sub-of-ada"
    assert site.provider.hits["/keys"] == 2


def test_o4_a_flood_of_unknown_keys_asks_once_in_five_minutes(site: Site) -> None:
    """Made-up key ids cost the provider and us one request."""
    site.sign_in()
    names = iter(range(1000))
    site.provider.make = lambda claims: signed(claims, rsa_key("evil"), kid=f"made-up-{next(names)}")

    for _ in range(10):
        assert site.reason() is SsoReason.UNKNOWN_SIGNING_KEY
    assert site.provider.hits["/keys"] == 2

    site.clock.now += 299
    assert site.reason() is SsoReason.UNKNOWN_SIGNING_KEY
    assert site.provider.hits["/keys"] == 2

    site.clock.now += 2
    assert site.reason() is SsoReason.UNKNOWN_SIGNING_KEY
    assert site.provider.hits["/keys"] == 3


def test_keys_outlive_an_outage_for_a_day(site: Site) -> None:
    """The last good copy serves, and is not asked for with each sign-in; after a day it is too old."""
    site.sign_in()
    away(site.provider)
    site.clock.now += 23 * HOUR
    assert site.sign_in().person.subject == "sub-of-ada"
    assert site.sign_in().person.subject == "sub-of-ada"
    assert site.provider.hits["/keys"] == 2

    site.clock.now += 2 * HOUR
    assert site.reason() is SsoReason.PROVIDER_UNREACHABLE

    site.provider.answers.clear()
    site.clock.now += 301
    assert site.sign_in().person.subject == "sub-of-ada"


def test_a_clock_that_is_set_back_stops_nothing(site: Site) -> None:
    """A day back: what was fetched is used, and an unknown key is asked for."""
    site.sign_in()
    site.clock.now -= 24 * HOUR
    site.sign_in()
    site.provider.keys = [rsa_key("two")]

    assert site.sign_in().person.subject == "sub-of-ada"


def test_a_dead_provider_costs_one_timeout_only(make_site: MakeSite) -> None:
    """The second sign-in is refused at once; nobody waits in line for ten seconds each."""
    site = make_site(timeout_s=2.0)
    site.provider.close()
    fetches: list[str] = []

    class Counted(Fetcher):
        def get(self, url: str, **more: Any) -> Any:
            fetches.append(url)
            return super().get(url, **more)

    party = OidcRelyingParty(site.client, Counted(allow_private_hosts=True, timeout_s=2.0), site.clock)
    for _ in range(3):
        with pytest.raises(SsoRefused):
            party.begin(state="s", nonce="n", code_verifier="v" * 43)

    assert len(fetches) == 1
