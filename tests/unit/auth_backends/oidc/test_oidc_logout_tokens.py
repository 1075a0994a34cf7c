"""Logout tokens of a provider (OpenID Connect Back-Channel Logout 1.0 section 2.6)."""

from __future__ import annotations

from typing import Any

import pytest

from auth_backends.oidc.logout import EVENT, LogoutToken
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import rsa_key, signed
from tests.support.oidc_site import Site


def logout_token(site: Site, *, typ: str | None = "logout+jwt", key: str = "one", **changes: Any) -> str:
    """Sign a proper logout token with changes; what is None is left out."""
    now = int(site.clock.now)
    proper = {
        "iss": site.provider.issuer,
        "aud": "quaymaster",
        "iat": now,
        "exp": now + 120,
        "jti": "logout-1",
        "events": {EVENT: {}},
        "sub": "sub-of-ada",
        "sid": "sid-1",
    }
    claims = {name: value for name, value in {**proper, **changes}.items() if value is not None}
    return signed(claims, rsa_key(key), typ=typ)


def reason_of(site: Site, token: str) -> SsoReason:
    with pytest.raises(SsoRefused) as caught:
        site.party.read_logout_token(token)
    return caught.value.reason


@pytest.mark.parametrize("typ", ["logout+jwt", "application/logout+jwt", "JWT", None])
def test_a_logout_token_says_whose_session_ends(site: Site, typ: str | None) -> None:
    """The person's sub and the session's sid, an id for the replay cache, and until when that must be kept."""
    read = site.party.read_logout_token(logout_token(site, typ=typ))

    assert (read.sub, read.sid) == ("sub-of-ada", "sid-1")
    assert (read.issued_at, read.expires_at) == (site.clock.now, site.clock.now + 120)
    assert read.token_id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, SsoReason.WRONG_ISSUER),
        ({"aud": "another"}, SsoReason.WRONG_AUDIENCE),
        ({"iat": None}, SsoReason.OUT_OF_TIME),
        ({"exp": None}, SsoReason.OUT_OF_TIME),
        ({"exp": 1_700_000_000}, SsoReason.OUT_OF_TIME),
        ({"events": None}, SsoReason.TOKEN_REFUSED),
        ({"events": {}}, SsoReason.TOKEN_REFUSED),
        ({"events": {EVENT: "yes"}}, SsoReason.TOKEN_REFUSED),
        ({"events": [EVENT]}, SsoReason.TOKEN_REFUSED),
        ({"nonce": "n"}, SsoReason.TOKEN_REFUSED),
        ({"jti": None}, SsoReason.TOKEN_REFUSED),
        ({"sub": None, "sid": None}, SsoReason.SUBJECT_MISSING),
        ({"key": "evil"}, SsoReason.UNKNOWN_SIGNING_KEY),
        ({"typ": "at+jwt"}, SsoReason.TOKEN_REFUSED),
    ],
)
def test_what_is_no_logout_token_ends_nothing(site: Site, changes: dict[str, Any], reason: SsoReason) -> None:
    """Each rule alone."""
    assert reason_of(site, logout_token(site, **changes)) is reason


def test_an_id_token_is_no_logout_token(site: Site) -> None:
    """Whoever has somebody's ID token cannot sign that person out."""
    verified = site.sign_in()

    assert reason_of(site, verified.token.reveal()) is SsoReason.TOKEN_REFUSED


@pytest.mark.parametrize("token", ["", "a.b.c", "é.é.é", "x" * 70_000])
def test_no_text_is_an_error_of_ours(site: Site, token: str) -> None:
    """Anybody can post there."""
    assert reason_of(site, token) in {SsoReason.MALFORMED, SsoReason.TOO_LARGE}


@pytest.mark.parametrize(
    ("said", "session", "is_meant"),
    [
        (("ada", "s1"), ("ada", "s1"), True),
        (("ada", "s1"), ("ada", "s2"), False),
        (("ada", "s1"), ("eve", "s1"), False),
        (("ada", "s1"), ("ada", None), False),
        (("ada", None), ("ada", "s2"), True),
        (("ada", None), ("eve", "s2"), False),
        (("ada", None), (None, None), False),
        ((None, "s1"), ("eve", "s1"), True),
        ((None, "s1"), ("eve", "s2"), False),
        ((None, "s1"), ("eve", None), False),
    ],
)
def test_which_sessions_are_meant(
    said: tuple[str | None, str | None],
    session: tuple[str | None, str | None],
    is_meant: bool,  # noqa: FBT001
) -> None:
    """The one of the sid, or all of the sub where there is no sid."""
    token = LogoutToken(*said, token_id="t", issued_at=0.0, expires_at=1.0)

    assert token.names(*session) is is_meant
