"""How we prove to a token endpoint who we are; the provider's side is verified with its own half of the key."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import replace
from urllib.parse import unquote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from auth_backends.api import Secret
from auth_backends.oidc.client import OidcClient, generic_client
from auth_backends.oidc.client_proof import ASSERTION_TYPE, client_proof
from auth_backends.oidc.discovery import Discovery
from auth_backends.sso import SsoReason, SsoRefused

NOW = 2_000_000_000.0
DISCOVERY = Discovery(
    issuer="https://id.example.org",
    authorization_endpoint="https://id.example.org/authorize",
    token_endpoint="https://id.example.org/token",
    jwks_uri="https://id.example.org/keys",
)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def client(secret: str | None = None, key: str | None = None, name: str = "quaymaster") -> OidcClient:
    return generic_client(
        "https://id.example.org",
        name,
        client_secret=None if secret is None else Secret(secret),
        private_key_pem=None if key is None else Secret(key),
        redirect_uri="https://x/cb",
        post_logout_redirect_uri="https://x/",
    )


def pem(key: Key, encryption: KeySerializationEncryption | None = None) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode()


def certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "quaymaster")])
    begins = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + dt.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )


def test_a_secret_goes_by_http_basic_encoded_as_a_form() -> None:
    """RFC 6749 section 2.3.1; this is also what a provider takes that does not say what it takes."""
    proof = client_proof(client("p:ä/+ %", name="our app"), DISCOVERY, NOW)

    scheme, _, pair = proof.headers["authorization"].partition(" ")
    name, _, secret = base64.b64decode(pair).decode("ascii").partition(":")
    assert (scheme, unquote_plus(name), unquote_plus(secret)) == ("Basic", "our app", "p:ä/+ %")
    assert proof.fields == {}


def test_a_secret_goes_in_the_form_where_nothing_else_is_taken() -> None:
    """As client_secret_post."""
    proof = client_proof(client("s3cret"), replace(DISCOVERY, token_auth_methods=("client_secret_post",)), NOW)

    assert proof.fields == {"client_id": "quaymaster", "client_secret": "s3cret"}
    assert proof.headers == {}


@pytest.mark.parametrize(
    ("settings", "methods"),
    [
        ({"secret": "s3cret"}, ("private_key_jwt", "none")),
        ({"key": pem(RSA_KEY)}, ("client_secret_basic", "client_secret_post")),
    ],
)
def test_what_the_provider_does_not_take_is_not_sent(settings: dict[str, str], methods: tuple[str, ...]) -> None:
    """An admin reads it instead."""
    with pytest.raises(SsoRefused) as refused:
        client_proof(client(**settings), replace(DISCOVERY, token_auth_methods=methods), NOW)

    assert refused.value.reason is SsoReason.NOT_CONFIGURED


@pytest.mark.parametrize(
    ("key", "named", "algorithm"),
    [
        (RSA_KEY, (), "RS256"),
        (RSA_KEY, ("RS256", "PS256"), "PS256"),
        (RSA_KEY, ("RS256",), "RS256"),
        (EC_KEY, (), "ES256"),
    ],
)
def test_a_key_signs_who_we_are(key: Key, named: tuple[str, ...], algorithm: str) -> None:
    """RFC 7523 section 3: issuer and subject are we, the audience is the token endpoint, for some minutes, once."""
    discovery = replace(DISCOVERY, token_auth_algorithms=named)
    proofs = [client_proof(client(key=pem(key)), discovery, NOW) for _ in range(2)]

    kind = RSAKey if key is RSA_KEY else ECKey
    public = kind.import_key(kind.import_key(pem(key)).as_dict(private=False))
    tokens = [jwt.decode(proof.fields["client_assertion"], public, algorithms=[algorithm]) for proof in proofs]
    claims = dict(tokens[0].claims)
    assert claims.pop("jti") != tokens[1].claims["jti"]
    assert claims == {
        "iss": "quaymaster",
        "sub": "quaymaster",
        "aud": "https://id.example.org/token",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 300,
    }
    assert tokens[0].header["kid"] == public.thumbprint()
    assert proofs[0].fields["client_assertion_type"] == ASSERTION_TYPE
    assert proofs[0].headers == {}


@pytest.mark.parametrize("first", ["key", "certificate"])
def test_a_certificate_beside_the_key_is_named_by_its_digest(first: str) -> None:
    """As Entra ID wants it: PS256 and x5t#S256, wherever in the file the certificate stands."""
    made = certificate(RSA_KEY)
    parts = [pem(RSA_KEY), made.public_bytes(Encoding.PEM).decode()]
    text = "\n".join(parts if first == "key" else reversed(parts))

    proof = client_proof(client(key=text), DISCOVERY, NOW)

    public = RSAKey.import_key(RSAKey.import_key(pem(RSA_KEY)).as_dict(private=False))
    header = jwt.decode(proof.fields["client_assertion"], public, algorithms=["PS256"]).header
    digest = hashlib.sha256(made.public_bytes(Encoding.DER)).digest()
    assert header["x5t#S256"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert "kid" not in header


@pytest.mark.parametrize(
    "text",
    [
        "no key",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505 - that is the point
        pem(RSA_KEY, BestAvailableEncryption(b"password")),
        certificate(RSA_KEY).public_bytes(Encoding.PEM).decode(),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_key_that_cannot_sign_is_refused_in_words(text: str) -> None:
    """Small, of another curve, with a password, or none."""
    with pytest.raises(SsoRefused) as refused:
        client_proof(client(key=text), DISCOVERY, NOW)

    assert refused.value.reason is SsoReason.NOT_CONFIGURED
    assert "private key" in refused.value.detail


def test_a_broken_certificate_is_refused_in_words() -> None:
    """It would be named by a wrong digest, and nobody would know why the provider says no."""
    broken = pem(RSA_KEY) + "\n-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"

    with pytest.raises(SsoRefused) as refused:
        client_proof(client(key=broken), DISCOVERY, NOW)

    assert refused.value.reason is SsoReason.NOT_CONFIGURED
    assert "certificate" in refused.value.detail


def test_a_proof_does_not_show_what_it_holds() -> None:
    """Neither in logs nor in tracebacks."""
    proof = client_proof(client("s3cret"), replace(DISCOVERY, token_auth_methods=("client_secret_post",)), NOW)

    assert "s3cret" not in repr(proof)
