"""A whole sign-in against a real provider: what is sent, who comes back, and what is asked of the provider."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from auth_backends.oidc.authorize import code_challenge, new_code_verifier
from auth_backends.outgoing import Fetcher
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import OBJECT_ID, TENANT, ec_key, rsa_key
from tests.support.oidc_site import AFTER_LOGOUT, CALLBACK, MakeSite, Site


def test_a_person_signs_in(entra: Site) -> None:
    """Code, PKCE and nonce go round; the person is known by oid, and the names are for display."""
    verified = entra.sign_in()

    person = verified.person
    assert (person.subject, person.tenant) == (OBJECT_ID, TENANT)
    assert (person.login, person.display_name, person.email) == ("ada@example.org", "Ada", "ada@example.org")
    assert person.groups is None
    assert person.claims["oid"] == (OBJECT_ID,)
    assert (verified.sub, verified.sid) == ("pairwise-sub", "sid-1")
    assert (verified.issued_at, verified.expires_at) == (entra.clock.now, entra.clock.now + 3600)
    assert all(check.passed for check in verified.checks)
    assert {"issuer", "audience", "nonce", "signature", "tenant", "subject"} <= {one.name for one in verified.checks}


def test_nothing_but_discovery_keys_and_tokens_is_asked(entra: Site) -> None:
    """The userinfo endpoint is never called: what it would say is not bound to this sign-in (O15)."""
    entra.provider.answers["/userinfo"] = (200, {}, b'{"sub": "somebody-else", "email": "admin@example.org"}')

    verified = entra.sign_in()

    assert verified.person.subject == OBJECT_ID
    assert set(entra.provider.hits) == {"/.well-known/openid-configuration", "/authorize", "/token", "/keys"}


def test_what_the_browser_is_sent_with(site: Site) -> None:
    """The authorization request of the code flow with PKCE S256, and hints where they are given."""
    url = site.party.begin(
        state="st", nonce="no", code_verifier="v" * 43, prompt="login", login_hint="ada@x", domain_hint="x.org"
    )

    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    expected = {
        "response_type": "code",
        "client_id": "quaymaster",
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "state": "st",
        "nonce": "no",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "prompt": "login",
        "login_hint": "ada@x",
        "domain_hint": "x.org",
    }
    assert url.startswith(f"{site.provider.issuer}/authorize?")
    assert query | expected == query
    assert set(query) - set(expected) <= {"response_mode"}


def test_a_query_that_the_endpoint_has_stays(site: Site) -> None:
    """Some providers tell tenants or policies apart by it; without hints there are none."""
    site.provider.published["authorization_endpoint"] = f"{site.provider.issuer}/authorize?policy=one"

    url = site.party.begin(state="st", nonce="no", code_verifier="v" * 43)

    assert url.startswith(f"{site.provider.issuer}/authorize?policy=one&")
    assert not {"prompt", "login_hint", "domain_hint"} & set(parse_qs(urlsplit(url).query))


def test_the_challenge_is_that_of_the_rfc() -> None:
    """The example of RFC 7636, appendix B."""
    assert (
        code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_verifiers_are_long_and_never_the_same() -> None:
    """At least 43 characters of RFC 7636's alphabet."""
    made = {new_code_verifier() for _ in range(100)}

    assert len(made) == 100
    assert all(43 <= len(one) <= 128 and one.isascii() for one in made)
    assert all(set(one) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") for one in made)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_each_permitted_algorithm_works(site: Site, algorithm: str) -> None:
    """RSA in both paddings, and P-256."""
    site.provider.algorithm = algorithm
    site.provider.keys = [ec_key("ec")] if algorithm == "ES256" else [rsa_key("one")]

    assert site.sign_in().person.subject == "sub-of-ada"


def test_an_algorithm_that_the_client_does_not_permit_is_refused(make_site: MakeSite) -> None:
    """A site that permits less gets less."""
    site = make_site(allowed_algorithms=("ES256",))

    assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


def test_signing_out_at_the_provider(site: Site) -> None:
    """The browser goes there with the hint and comes back to our address with our state."""
    verified = site.sign_in()

    url = site.party.logout_url(verified.token.reveal(), "st-2")

    assert url is not None
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query["id_token_hint"] == verified.token.reveal()
    status, headers, _ = site.provider.get(url)
    assert (status, headers["location"]) == (302, f"{AFTER_LOGOUT}?state=st-2")


def test_a_provider_without_sign_out(site: Site) -> None:
    """Then only our session ends."""
    site.provider.published["end_session_endpoint"] = None

    assert site.party.logout_url("hint", "st") is None


def test_each_copy_of_a_token_has_one_id_and_other_tokens_have_others(site: Site) -> None:
    """What the cache of used ones is keyed by."""
    first, second = site.sign_in(), site.sign_in(nonce="nonce-2")

    assert first.token_id != second.token_id
    assert first.token_id
    assert first.token_id not in repr(first.token)


def test_the_token_shows_in_no_repr(site: Site) -> None:
    """A token is a hint for logout, and nothing for logs; neither are the claims."""
    verified = site.sign_in()

    text = repr(verified)

    assert verified.token.reveal() not in text
    assert verified.token.reveal().split(".")[1] not in text


# What the provider's answer says -------------------------------------------------------------------


@pytest.mark.parametrize("error", ["access_denied", "login_required", "server_error"])
def test_a_provider_that_says_no(site: Site, error: str) -> None:
    """No code is exchanged; what it said is told to admins on one line."""
    with pytest.raises(SsoRefused) as caught:
        site.party.finish(
            {"error": error, "error_description": "because\r\nof \x1b[31mthis", "state": "state-1"},
            nonce="nonce-1",
            code_verifier="v" * 50,
        )

    assert caught.value.reason is SsoReason.PROVIDER_SAID_NO
    assert error in caught.value.detail
    assert caught.value.detail.isprintable()
    assert site.provider.hits["/token"] == 0


def test_an_error_beside_a_code_is_an_error(site: Site) -> None:
    """No code of such an answer is exchanged."""
    assert site.reason(error="access_denied") is SsoReason.PROVIDER_SAID_NO
    assert site.provider.hits["/token"] == 0


@pytest.mark.parametrize("query", [{}, {"code": ""}, {"state": "state-1"}, {"code": "x" * 100_000}])
def test_an_answer_without_a_code_is_malformed(site: Site, query: dict[str, str]) -> None:
    """Neither is a huge one sent on."""
    with pytest.raises(SsoRefused) as caught:
        site.party.finish(query, nonce="nonce-1", code_verifier="v" * 50)

    assert caught.value.reason is SsoReason.MALFORMED
    assert site.provider.hits["/token"] == 0


def test_the_issuer_of_the_answer_is_looked_at_before_the_code_is_sent(site: Site) -> None:
    """Mix-up (O7): the code of one provider is not taken to another; RFC 9207."""
    assert site.reason(iss="https://evil.example") is SsoReason.WRONG_ISSUER
    assert site.reason(iss=f"{site.provider.issuer}/") is SsoReason.WRONG_ISSUER
    assert site.reason(iss="") is SsoReason.WRONG_ISSUER
    assert site.reason(iss="\udcff") is SsoReason.WRONG_ISSUER
    assert site.provider.hits["/token"] == 0


def test_the_right_issuer_in_the_answer_is_fine(site: Site) -> None:
    """A provider may send it without announcing it."""
    assert site.sign_in(iss=site.provider.issuer).person.subject == "sub-of-ada"


def test_a_provider_that_announces_iss_must_send_it(site: Site) -> None:
    """An answer without it did not come from there (RFC 9207 section 2.4)."""
    site.provider.published["authorization_response_iss_parameter_supported"] = True

    assert site.reason() is SsoReason.WRONG_ISSUER
    assert site.sign_in(iss=site.provider.issuer).person.subject == "sub-of-ada"


def test_mixed_up_errors_are_refused_as_mixed_up(site: Site) -> None:
    """An error of another provider is none of this one."""
    assert site.reason(iss="https://evil.example", error="access_denied") is SsoReason.WRONG_ISSUER


# The code --------------------------------------------------------------------------------------------


def test_a_code_is_worth_one_token(site: Site) -> None:
    """The provider refuses the second use (O12), and so do we."""
    query = site.go()
    site.party.finish(query, nonce="nonce-1", code_verifier="v" * 50)

    with pytest.raises(SsoRefused) as caught:
        site.party.finish(query, nonce="nonce-1", code_verifier="v" * 50)

    assert caught.value.reason is SsoReason.TOKEN_REFUSED


@pytest.mark.parametrize("verifier", ["w" * 50, ""])
def test_a_code_without_its_verifier_is_worth_nothing(site: Site, verifier: str) -> None:
    """A stolen code (O8) in another browser's flow."""
    query = site.go()

    with pytest.raises(SsoRefused) as caught:
        site.party.finish(query, nonce="nonce-1", code_verifier=verifier)

    assert caught.value.reason is SsoReason.TOKEN_REFUSED


def test_the_redirect_uri_is_ours_to_the_letter(site: Site) -> None:
    """It comes from the configuration, at both endpoints (O13)."""
    site.sign_in()

    assert site.provider.token_requests[0]["redirect_uri"] == CALLBACK
    assert site.provider.token_requests[0]["code_verifier"] == "v" * 50


# Provider away ---------------------------------------------------------------------------------------


def test_a_provider_that_is_away_from_the_start(make_site: MakeSite) -> None:
    """Making a relying party asks nobody; the sign-in says what is wrong."""
    site = make_site(timeout_s=2)
    site.provider.close()

    with pytest.raises(SsoRefused) as caught:
        site.party.begin(state="s", nonce="n", code_verifier="v" * 43)

    assert caught.value.reason is SsoReason.PROVIDER_UNREACHABLE
    assert "127.0.0.1" in caught.value.detail
    assert site.party.known is None


def test_a_token_endpoint_that_is_broken(site: Site) -> None:
    """A provider that fails is away; it did not refuse."""
    for status in (500, 503, 429):
        site.provider.answers["/token"] = (status, {}, b"<html>")
        assert site.reason() is SsoReason.PROVIDER_UNREACHABLE
    site.provider.answers["/token"] = (302, {"location": f"{site.provider.issuer}/elsewhere"}, b"")
    assert site.reason() is SsoReason.PROVIDER_UNREACHABLE
    assert site.provider.hits["/elsewhere"] == 0


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id_token": 5}', b'{"access_token": "a"}', b"{" * 5000])
def test_an_answer_without_an_id_token_is_malformed(site: Site, body: bytes) -> None:
    """Whatever it is, it is no error of ours."""
    site.provider.answers["/token"] = (200, {}, body)

    assert site.reason() is SsoReason.MALFORMED


def test_a_huge_answer_of_the_token_endpoint_is_cut(site: Site) -> None:
    """It is not read into memory."""
    site.provider.answers["/token"] = (200, {}, json.dumps({"id_token": "x" * 2_000_000}).encode())

    assert site.reason() is SsoReason.PROVIDER_UNREACHABLE


def test_a_fetcher_for_the_internet_refuses_this_provider(site: Site) -> None:
    """The setting that permits private hosts is the fetcher's, and off by default."""
    site.party._publications._fetcher = Fetcher()

    with pytest.raises(SsoRefused) as caught:
        site.party.begin(state="s", nonce="n", code_verifier="v" * 43)

    assert caught.value.reason is SsoReason.PROVIDER_UNREACHABLE
