"""Which published keys may sign ID tokens."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey

from auth_backends.api import Secret
from auth_backends.oidc.client import OidcClient, generic_client
from auth_backends.oidc.key_sets import MAX_KEYS, usable_keys
from auth_backends.sso import SsoReason, SsoRefused

TENANT = "7d0c4e65-9f5a-4f0e-8a4b-1c2d3e4f5a6b"
RSA = RSAKey.generate_key(2048).as_dict(private=False)
EC = ECKey.generate_key("P-256").as_dict(private=False)
CLIENT = generic_client(
    "https://id.example.org",
    "app",
    client_secret=Secret("s"),
    redirect_uri="https://x/cb",
    post_logout_redirect_uri="https://x/",
)
ENTRA = replace(CLIENT, issuer=f"https://login.microsoftonline.com/{TENANT}/v2.0", tenant=TENANT)


def small_rsa() -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return dict(RSAKey.generate_key(1024).as_dict(private=False))


def ids(*keys: object, client: OidcClient = CLIENT) -> list[str | None]:
    """Give the ids of the usable ones among these and a good one."""
    good = {**EC, "kid": "good"}
    return [key.id for key in usable_keys({"keys": [*keys, good]}, client)]


@pytest.mark.parametrize(
    "key",
    [
        {**RSA, "kid": "k"},
        {**RSA, "kid": "k", "use": "sig", "alg": "RS256", "key_ops": ["verify"]},
        {**RSA, "kid": "k", "x5c": ["not looked at"], "x5u": "http://evil.example", "jku": "http://evil.example"},
        {**EC, "kid": "k", "alg": "ES256"},
        {**RSA, "kid": "k", "issuer": "https://id.example.org"},
    ],
)
def test_keys_that_may_sign(key: dict[str, object]) -> None:
    """RSA of 2048 bits at least and P-256, for signatures; what else stands beside them is not looked at."""
    assert ids(key) == ["k", "good"]


@pytest.mark.parametrize(
    "key",
    [
        {**RSA, "kid": "k", "use": "enc"},
        {**RSA, "kid": "k", "key_ops": ["encrypt"]},
        {**RSA, "kid": "k", "key_ops": "verify"},
        {**RSA, "kid": 7},
        {**RSA, "kid": "k", "alg": 7},
        {**RSA, "kid": "k", "n": 7},
        {**RSA, "kid": "k", "n": "?"},
        {**RSA, "kid": "k", "kty": "EC"},
        {**RSA, "kid": "k", "issuer": "https://evil.example"},
        {**RSA, "kid": "k", "issuer": 7},
        {**EC, "kid": "k", "x": EC["y"]},
        {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "k"},
        {**OctKey.generate_key(256).as_dict(private=True), "kid": "k"},
        {"kid": "k"},
        "text",
        None,
    ],
)
def test_keys_that_may_not_sign_are_left_out(key: object) -> None:
    """One strange key does not make the others useless, and no secret key is ever taken."""
    assert ids(key) == ["good"]


def test_a_small_rsa_key_is_left_out() -> None:
    """1024 bits can be factored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)

        assert ids({**small_rsa(), "kid": "k"}) == ["good"]


@pytest.mark.parametrize(
    ("issuer", "taken"),
    [
        ("https://login.microsoftonline.com/{tenantid}/v2.0", True),
        (f"https://login.microsoftonline.com/{TENANT}/v2.0", True),
        ("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", False),
    ],
)
def test_a_key_of_entra_counts_for_the_issuer_that_it_names(issuer: str, taken: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """Keys of personal accounts are published beside those of tenants."""
    assert ids({**RSA, "kid": "k", "issuer": issuer}, client=ENTRA) == (["k", "good"] if taken else ["good"])


@pytest.mark.parametrize(
    ("key", "algorithm", "fits"),
    [
        (RSA, "RS256", True),
        (RSA, "PS256", True),
        (RSA, "ES256", False),
        (RSA, "HS256", False),
        (RSA, "none", False),
        ({**RSA, "alg": "RS256"}, "PS256", False),
        ({**RSA, "alg": "PS256"}, "PS256", True),
        (EC, "ES256", True),
        (EC, "RS256", False),
        ({**EC, "alg": "ES384"}, "ES256", False),
    ],
)
def test_a_key_serves_its_own_algorithms(key: dict[str, object], algorithm: str, fits: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """A public key is never a shared secret, and a key for one algorithm is not used with another."""
    (published,) = usable_keys({"keys": [key]}, CLIENT)

    assert published.fits(algorithm) is fits


@pytest.mark.parametrize("keys", [None, {}, "x", [{**RSA, "kid": str(n)} for n in range(MAX_KEYS + 1)]])
def test_what_is_no_list_of_some_keys_is_refused(keys: object) -> None:
    """And so is a list that is made to keep us busy."""
    with pytest.raises(SsoRefused) as refused:
        usable_keys({"keys": keys}, CLIENT)

    assert refused.value.reason is SsoReason.MALFORMED


@pytest.mark.parametrize("keys", [[], [{**RSA, "use": "enc"}]])
def test_a_set_without_a_usable_key_is_refused(keys: list[object]) -> None:
    """The last good copy is better than nothing."""
    with pytest.raises(SsoRefused) as refused:
        usable_keys({"keys": keys}, CLIENT)

    assert refused.value.reason is SsoReason.UNKNOWN_SIGNING_KEY
