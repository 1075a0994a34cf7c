"""The attack list "OIDC" by tokens from a provider's token endpoint: nonce, audience, issuer, tenant and time."""

from __future__ import annotations

import json

import pytest

from auth_backends.oidc.id_tokens import verify_id_token
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import OTHER_TENANT, TENANT, Claims, signed_text
from tests.support.oidc_site import Site


@pytest.mark.parametrize("nonce", [None, "", "other", "NONCE-1", "nonce-1 ", 1, ["nonce-1"], "\ud800"])
def test_o5_the_nonce_is_the_flows(site: Site, nonce: object) -> None:
    """Missing, another one, or another kind of thing."""
    site.altered(nonce=nonce)

    assert site.reason() is SsoReason.WRONG_NONCE


def test_o5_an_empty_nonce_is_never_right(site: Site) -> None:
    """A caller that lost its nonce lets nobody in."""
    token = site.provider.token(site.provider.claims(""))
    _, keys = site.party._publications.current()

    with pytest.raises(SsoRefused) as caught:
        verify_id_token(token, client=site.client, keys=keys, nonce="", now=site.clock())

    assert caught.value.reason is SsoReason.WRONG_NONCE


def test_o6_the_answer_of_another_browser_is_worth_nothing(site: Site) -> None:
    """Login CSRF: the attacker's code in the victim's flow, whose nonce and verifier differ."""
    attackers = site.go(nonce="attackers", verifier="a" * 50)

    with pytest.raises(SsoRefused) as caught:
        site.party.finish(attackers, nonce="victims", code_verifier="v" * 50)
    assert caught.value.reason is SsoReason.TOKEN_REFUSED

    attackers = site.go(nonce="attackers", verifier="v" * 50)
    with pytest.raises(SsoRefused) as caught:
        site.party.finish(attackers, nonce="victims", code_verifier="v" * 50)
    assert caught.value.reason is SsoReason.WRONG_NONCE


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": 5},
        {"aud": "Quaymaster"},
        {"aud": "quaymaster "},
        {"aud": ["another"]},
        {"aud": {"quaymaster": 1}},
        {"aud": ["quaymaster", 5]},
        {"aud": ["quaymaster", "another"]},
        {"aud": ["quaymaster", "another"], "azp": "another"},
        {"aud": "quaymaster", "azp": "another"},
        {"aud": "quaymaster", "azp": ""},
        {"aud": "quaymaster", "azp": ["quaymaster"]},
    ],
)
def test_o9_audience(site: Site, claims: Claims) -> None:
    """The token is for us and made for us (OpenID Connect Core 1.0 section 3.1.3.7, 3 to 5)."""
    site.altered(**claims)

    assert site.reason() is SsoReason.WRONG_AUDIENCE


@pytest.mark.parametrize(
    "claims", [{"aud": ["quaymaster"]}, {"azp": "quaymaster"}, {"aud": ["quaymaster", "api"], "azp": "quaymaster"}]
)
def test_o9_audiences_that_are_ours(site: Site, claims: Claims) -> None:
    """A list of us alone, and a list with others if it was made for us."""
    site.altered(**claims)

    assert site.sign_in().person.subject == "sub-of-ada"


def test_o10_issuer(entra: Site) -> None:
    """Another tenant's, the template, a slash more, another case, none."""
    issuer = entra.provider.issuer
    for said in (
        issuer.replace(TENANT, OTHER_TENANT),
        issuer.replace(TENANT, "{tenantid}"),
        issuer.replace(TENANT, "common"),
        f"{issuer}/",
        issuer.upper(),
        "",
        None,
        5,
        [issuer],
    ):
        entra.altered(iss=said)
        assert entra.reason() is SsoReason.WRONG_ISSUER


@pytest.mark.parametrize("tid", [OTHER_TENANT, "9188040d-6c67-4c5b-b112-36a304b66dad", "", None, 5, [TENANT]])
def test_o10_tenant(entra: Site, tid: object) -> None:
    """The issuer is right, and the person of another tenant, or of none."""
    entra.altered(tid=tid)

    assert entra.reason() is SsoReason.WRONG_TENANT


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_o11_times_that_are_missing(site: Site, name: str) -> None:
    """The library asks for neither; we do."""
    site.altered(**{name: None})

    assert site.reason() is SsoReason.OUT_OF_TIME


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["soon", True, [1], {}, -1, "1900000000"])
def test_o11_times_that_are_none(site: Site, name: str, value: object) -> None:
    """Only numbers are times."""
    site.altered(**{name: value})

    assert site.reason() in {SsoReason.MALFORMED, SsoReason.OUT_OF_TIME}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_o11_a_token_that_never_ends(site: Site, number: str) -> None:
    """No comparison with NaN is true, and infinity never comes."""

    def make(claims: Claims) -> str:
        text = json.dumps(claims | {"exp": "HERE"}).replace('"HERE"', number)
        return signed_text(text)

    site.provider.make = make

    assert site.reason() in {SsoReason.MALFORMED, SsoReason.OUT_OF_TIME}


@pytest.mark.parametrize(("ago", "fits"), [(0, True), (179, True), (181, False), (3600, False)])
def test_o11_expiry_with_three_minutes_of_grace(site: Site, ago: int, fits: bool) -> None:  # noqa: FBT001
    """Clocks may differ by 180 s."""
    site.altered(exp=int(site.clock.now) - ago, iat=int(site.clock.now) - 7200, nbf=int(site.clock.now) - 7200)

    if fits:
        assert site.sign_in().person.subject == "sub-of-ada"
    else:
        assert site.reason() is SsoReason.OUT_OF_TIME


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize(("ahead", "fits"), [(179, True), (181, False)])
def test_o11_tokens_of_the_future(site: Site, name: str, ahead: int, fits: bool) -> None:  # noqa: FBT001
    """Issued, or to be used, later than now by more than 180 s."""
    site.altered(**{name: int(site.clock.now) + ahead})

    if fits:
        assert site.sign_in().person.subject == "sub-of-ada"
    else:
        assert site.reason() is SsoReason.OUT_OF_TIME
