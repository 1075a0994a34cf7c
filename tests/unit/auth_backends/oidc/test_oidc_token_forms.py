"""The attack list "OIDC" by tokens from a provider's token endpoint: what is no token, and other kinds."""

from __future__ import annotations

import time

import pytest

from auth_backends.sso import SsoReason
from tests.support.oidc_provider_double import rsa_key, signed, signed_text
from tests.support.oidc_site import Site


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "é.é.é",
        "eyJhbGciOiJSUzI1NiJ9..",
        "W10.e30.e30",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6NX0.e30.e30",
        " ",
        "{}",
    ],
)
def test_what_is_no_token_is_refused(site: Site, token: str) -> None:
    """No piece of text is an error of ours."""
    site.provider.make = lambda _: token

    assert site.reason() in {
        SsoReason.MALFORMED,
        SsoReason.FORBIDDEN_ALGORITHM,
        SsoReason.BAD_SIGNATURE,
        SsoReason.UNKNOWN_SIGNING_KEY,
    }


@pytest.mark.parametrize("payload", ["", "[]", "5", '"text"', "null", "{", '{"sub":"a","sub":"b"}', "[" * 30_000])
def test_a_signed_payload_that_is_no_object_is_malformed(site: Site, payload: str) -> None:
    """Also what says one thing twice, and what is nested without end."""
    site.provider.make = lambda _: signed_text(payload)

    assert site.reason() is SsoReason.MALFORMED


def test_a_huge_token_is_refused_before_it_is_read(site: Site) -> None:
    """64 KiB are far above what providers send; the refusal costs nothing."""
    site.altered(blob="x" * 70_000)
    began = time.perf_counter()

    assert site.reason() is SsoReason.TOO_LARGE
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("kind", ["logout+jwt", "at+jwt", "dpop+jwt", "secevent+jwt"])
def test_another_kind_of_token_is_no_id_token(site: Site, kind: str) -> None:
    """A logout token or an access token of the same provider, signed by the same key (RFC 8725 section 3.11)."""
    site.provider.make = lambda claims: signed(claims, rsa_key("one"), typ=kind)

    assert site.reason() is SsoReason.TOKEN_REFUSED


@pytest.mark.parametrize("kind", [None, "JWT", "jwt"])
def test_an_id_token_may_say_its_kind_or_not(site: Site, kind: str | None) -> None:
    """RFC 7519 section 5.1."""
    site.provider.make = lambda claims: signed(claims, rsa_key("one"), typ=kind)

    assert site.sign_in().person.subject == "sub-of-ada"


def test_refusals_hold_no_token_and_no_secret(site: Site) -> None:
    """What an admin reads is no key to anything."""
    seen: list[str] = []
    site.altered(nonce="other-nonce")
    site.provider.make = lambda claims: seen.append(site.provider.token(claims)) or seen[-1]

    refused = site.refusal()

    text = f"{refused} {refused.detail} {refused.checks}"
    for secret in (*seen, *seen[0].split("."), site.provider.client_secret, "nonce-1", "v" * 50):
        assert secret not in text
