"""A provider's word that somebody signed out (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

from typing import Any

import pytest

from auth_backends.oidc.logout import EVENT
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import rsa_key, signed
from tests.support.oidc_site import Site


def token(site: Site, key: str = "one", kind: str | None = "logout+jwt", **changes: Any) -> str:
    """Sign a proper logout token with changes; None leaves a claim out."""
    now = int(site.clock())
    proper = {
        "iss": site.provider.issuer,
        "aud": site.provider.client_id,
        "iat": now,
        "exp": now + 120,
        "jti": "j1",
        "sub": "sub-of-ada",
        "sid": "s1",
        "events": {EVENT: {}},
    }
    claims = {name: value for name, value in {**proper, **changes}.items() if value is not None}
    return signed(claims, rsa_key(key), typ=kind)


def reason(site: Site, **changes: Any) -> SsoReason:
    with pytest.raises(SsoRefused) as refused:
        site.party.read_logout_token(token(site, **changes))
    assert not refused.value.checks[-1].passed
    return refused.value.reason


@pytest.mark.parametrize("kind", ["logout+jwt", "JWT", "application/logout+jwt", None])
def test_a_proper_token_is_believed(site: Site, kind: str | None) -> None:
    """With the types that the standard has and that providers used before it."""
    read = site.party.read_logout_token(token(site, kind=kind))

    now = site.clock()
    assert (read.sub, read.sid, read.issued_at, read.expires_at) == ("sub-of-ada", "s1", now, now + 120)


def test_each_copy_has_one_id(site: Site) -> None:
    """Its jti, for the cache that lets a token count once, whatever else it says."""
    later = token(site, iat=int(site.clock()) - 1)

    assert [site.party.read_logout_token(text).token_id for text in (token(site), later)] == ["j1", "j1"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"key": "attacker"}, SsoReason.BAD_SIGNATURE),
        ({"kind": "at+jwt"}, SsoReason.TOKEN_REFUSED),
        ({"iss": "https://evil.example"}, SsoReason.WRONG_ISSUER),
        ({"aud": "another"}, SsoReason.WRONG_AUDIENCE),
        ({"exp": None}, SsoReason.OUT_OF_TIME),
        ({"exp": 1_700_000_000}, SsoReason.OUT_OF_TIME),
        ({"iat": None}, SsoReason.OUT_OF_TIME),
        ({"iat": 1_900_000_000}, SsoReason.OUT_OF_TIME),
        ({"events": None}, SsoReason.TOKEN_REFUSED),
        ({"events": {}}, SsoReason.TOKEN_REFUSED),
        ({"events": [EVENT]}, SsoReason.TOKEN_REFUSED),
        ({"events": {EVENT: "yes"}}, SsoReason.TOKEN_REFUSED),
        ({"nonce": "n"}, SsoReason.TOKEN_REFUSED),
        ({"jti": None}, SsoReason.TOKEN_REFUSED),
        ({"sub": None, "sid": None}, SsoReason.SUBJECT_MISSING),
        ({"sid": 7}, SsoReason.TOKEN_REFUSED),
        ({"sid": "s" * 300}, SsoReason.TOKEN_REFUSED),
        ({"sub": ""}, SsoReason.TOKEN_REFUSED),
    ],
)
def test_what_is_no_proper_logout_token_signs_out_nobody(
    site: Site, changes: dict[str, Any], expected: SsoReason
) -> None:
    """Each alone is enough to refuse it."""
    site.party.refresh()
    if changes.get("key") == "attacker":
        with pytest.raises(SsoRefused) as refused:
            site.party.read_logout_token(signed({"iss": site.provider.issuer}, rsa_key("attacker"), kid="one"))
        assert refused.value.reason is expected
        return

    assert reason(site, **changes) is expected


def test_tokens_that_anybody_may_post_spoil_no_roll_over(site: Site) -> None:
    """A made-up key id costs a sign-in by a new key nothing."""
    site.party.refresh()
    assert reason(site, key="made-up") is SsoReason.UNKNOWN_SIGNING_KEY
    site.provider.keys = [rsa_key("two")]

    assert site.sign_in().sub == "sub-of-ada"


def test_an_id_token_is_no_logout_token_and_the_other_way_round(site: Site) -> None:
    """Who holds one kind of token cannot pass it for the other."""
    id_token = site.sign_in().token.reveal()
    with pytest.raises(SsoRefused) as refused:
        site.party.read_logout_token(id_token)
    assert refused.value.reason is SsoReason.TOKEN_REFUSED
    site.provider.make = lambda claims: token(site, nonce=claims["nonce"])

    assert site.reason() is SsoReason.TOKEN_REFUSED
