"""The attack list "OIDC" by tokens from a provider's token endpoint: signatures and keys."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc.jwk import RSAKey

from auth_backends.sso import SsoReason
from tests.support.oidc_provider_double import Claims, ec_key, raw_token, rsa_key, signed
from tests.support.oidc_site import Site


def hmac_by(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


@pytest.mark.parametrize("spelling", ["none", "None", "NONE", "nOnE", ""])
def test_o1_no_signature(site: Site, spelling: str) -> None:
    """The algorithm none, however it is spelt, with and without a key id."""
    for header in ({"alg": spelling}, {"alg": spelling, "kid": "one", "typ": "JWT"}):
        site.provider.make = lambda claims, header=header: raw_token(header, claims, lambda _: b"")
        assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


def test_o1_signature_cut_off(site: Site) -> None:
    """A proper header whose signature is gone, or is that of another token."""
    site.provider.make = lambda claims: site.provider.token(claims).rpartition(".")[0] + "."
    assert site.reason() is SsoReason.BAD_SIGNATURE

    other = signed({"sub": "other"}, rsa_key("one")).rpartition(".")[2]
    site.provider.make = lambda claims: f"{site.provider.token(claims).rpartition('.')[0]}.{other}"
    assert site.reason() is SsoReason.BAD_SIGNATURE


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_o2_the_public_key_as_a_shared_secret(site: Site, algorithm: str) -> None:
    """Everybody knows the public key, in PEM, DER and JSON; it must never be a secret."""
    key = rsa_key("one")
    public: list[bytes] = [
        key.as_pem(private=False),
        key.as_der(private=False),
        json.dumps(key.as_dict(private=False)).encode(),
    ]
    for secret in public:
        site.provider.make = lambda claims, secret=secret: raw_token(
            {"alg": algorithm, "kid": "one"}, claims, hmac_by(secret)
        )
        assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


def test_o2_the_client_secret_as_a_shared_secret(site: Site) -> None:
    """HS256 by the client's own secret is in the standard, and not permitted here."""
    site.provider.make = lambda claims: raw_token(
        {"alg": "HS256"}, claims, hmac_by(site.provider.client_secret.encode())
    )

    assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS512"])
def test_o2_other_algorithms(site: Site, algorithm: str) -> None:
    """A valid signature of an algorithm that is not on the list."""
    site.provider.algorithm = algorithm

    assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


@pytest.mark.parametrize("algorithm", [None, 5, ["RS256"], {"a": 1}, "rs256", "RS256 "])
def test_o2_an_algorithm_that_is_none(site: Site, algorithm: object) -> None:
    """Whatever stands there, it is no error of ours."""
    site.provider.make = lambda claims: raw_token({"alg": algorithm, "kid": "one"}, claims, lambda _: b"x" * 256)

    assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


def _certificate_of(key: RSAKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil")])
    now = dt.datetime.now(dt.UTC)
    certificate = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key)
    certificate = certificate.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    made = certificate.sign(key.private_key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


def test_o3_a_key_in_the_header(site: Site) -> None:
    """The attacker's key comes with the token, as jwk, jku, x5u or x5c: not looked at, and no address is asked."""
    evil = rsa_key("evil")
    address = f"{site.provider.origin}/evil-keys"
    public = evil.as_dict(private=False)
    for header in (
        {"jwk": public},
        {"jku": address},
        {"x5u": address},
        {"x5c": [_certificate_of(evil)]},
        {"jwk": public, "jku": address, "x5u": address, "x5c": [_certificate_of(evil)]},
    ):
        site.provider.make = lambda claims, header=header: signed(claims, evil, kid="one", **header)
        assert site.reason() is SsoReason.BAD_SIGNATURE
        site.provider.make = lambda claims, header=header: signed(claims, evil, kid="evil", **header)
        assert site.reason() is SsoReason.UNKNOWN_SIGNING_KEY

    assert site.provider.hits["/evil-keys"] == 0


def test_o3_a_key_in_the_header_of_an_honest_token_does_no_harm(site: Site) -> None:
    """Some providers send x5t or x5c along."""
    certificate = _certificate_of(rsa_key("one"))
    site.provider.make = lambda claims: signed(claims, rsa_key("one"), x5c=[certificate], x5t="abc")

    assert site.sign_in().person.subject == "sub-of-ada"


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"b64": False}])
def test_o3_extensions_that_are_not_understood(site: Site, header: Claims) -> None:
    """RFC 7515 section 4.1.11."""
    site.provider.make = lambda claims: signed(claims, rsa_key("one"), **header)

    assert site.reason() is SsoReason.MALFORMED


def test_o4_a_key_of_another_kind_under_the_same_id(site: Site) -> None:
    """An EC signature named after an RSA key."""
    site.provider.make = lambda claims: signed(claims, ec_key("ec"), "ES256", kid="one")

    assert site.reason() is SsoReason.UNKNOWN_SIGNING_KEY
