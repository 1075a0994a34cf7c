"""How we prove to a token endpoint who we are: by the client's secret or by a signed statement (RFC 7523)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import ssl
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from auth_backends.api import Secret
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.discovery import Discovery
from auth_backends.sso import SsoReason, SsoRefused

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MIN_RSA_BITS = 2048
_LIFETIME_S = 300
_WRONG_KEY = "the private key must be PEM without a password, RSA of 2048 bits at least or P-256"
_PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z ]{0,20}PRIVATE KEY)-----[^-]+-----END \1-----", re.ASCII)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClientProof:
    """What goes with a request to the token endpoint."""

    fields: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)


def client_proof(client: OidcClient, discovery: Discovery, now: float) -> ClientProof:
    """Give the proof that this provider takes, made at Unix second ``now``. Raises SsoRefused (not_configured).

    A provider that does not say what it takes takes HTTP Basic (OpenID Connect Discovery 1.0 section 3).
    """
    if client.private_key_pem is not None:
        _demand("private_key_jwt" in (discovery.token_auth_methods or ("private_key_jwt",)), "a private key")
        statement = _statement(client, client.private_key_pem, discovery, now)
        fields = {"client_id": client.client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": statement}
        return ClientProof(fields, {})
    secret = client.client_secret.reveal() if client.client_secret is not None else ""
    methods = discovery.token_auth_methods or ("client_secret_basic",)
    if "client_secret_basic" in methods:
        pair = f"{quote_plus(client.client_id)}:{quote_plus(secret)}"  # RFC 6749 section 2.3.1
        return ClientProof({}, {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})
    _demand("client_secret_post" in methods, "a client secret")
    return ClientProof({"client_id": client.client_id, "client_secret": secret}, {})


def _statement(client: OidcClient, pem: Secret, discovery: Discovery, now: float) -> str:
    key = _key(pem)
    thumbprint = _thumbprint(pem)
    header = {"alg": _algorithm(key, discovery, with_certificate=thumbprint is not None), "typ": "JWT"}
    header |= {"x5t#S256": thumbprint} if thumbprint is not None else {"kid": key.thumbprint()}
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": discovery.token_endpoint,
        "jti": secrets.token_urlsafe(24),
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + _LIFETIME_S,
    }
    return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def _algorithm(key: RSAKey | ECKey, discovery: Discovery, *, with_certificate: bool) -> str:
    """PS256 where it is named, and for the certificates of Entra ID (Microsoft Learn, "Certificate credentials")."""
    if isinstance(key, ECKey):
        return "ES256"
    named = discovery.token_auth_algorithms
    return "PS256" if "PS256" in named or (with_certificate and not named) else "RS256"


def _key(pem: Secret) -> RSAKey | ECKey:
    found = _PRIVATE_KEY.search(pem.reveal())
    for kind in (RSAKey, ECKey) if found is not None else ():
        try:
            key = kind.import_key(found[0] if found is not None else "")
        except (JoseError, ValueError, TypeError):
            continue
        if isinstance(key, ECKey) and key.curve_name != "P-256":
            continue
        if isinstance(key, RSAKey) and key.raw_value.key_size < MIN_RSA_BITS:
            continue
        return key
    raise SsoRefused(SsoReason.NOT_CONFIGURED, _WRONG_KEY)


def _thumbprint(pem: Secret) -> str | None:
    found = _CERTIFICATE.search(pem.reveal())
    if found is None:
        return None
    try:
        certificate = ssl.PEM_cert_to_DER_cert(found[0])
    except (ValueError, binascii.Error):
        raise SsoRefused(SsoReason.NOT_CONFIGURED, "the certificate beside the private key cannot be read") from None
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def _demand(possible: bool, what: str) -> None:  # noqa: FBT001 - what is demanded
    if not possible:
        raise SsoRefused(SsoReason.NOT_CONFIGURED, f"the provider's token endpoint does not take {what}")
