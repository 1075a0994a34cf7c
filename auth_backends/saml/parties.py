"""The two parties of SAML sign-in, and what an application takes from an assertion."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from auth_backends.api import Secret

RSA_BITS = 3072
YEARS = 10
MAX_SKEW_S = 180.0
_MICROSOFT = "http://schemas.microsoft.com/identity/claims"
_XMLSOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """An identity provider as its metadata (or an admin) describe it.

    ``certificates`` are DER; ``fingerprints`` SHA-256 in lower-case hex, which count where there are no certificates.
    ``logout_issuers`` may issue messages of single logout besides ``entity_id``. The addresses of single logout are
    for HTTP redirect and, with ``post``, for HTTP POST.
    """

    entity_id: str
    sso_url: str
    slo_url: str | None = None
    slo_response_url: str | None = None
    slo_post_url: str | None = None
    slo_post_response_url: str | None = None
    certificates: tuple[bytes, ...] = ()
    fingerprints: frozenset[str] = frozenset()
    logout_issuers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ServiceProvider:
    """We, as one identity provider knows us. The key is RSA; it signs our requests and decrypts assertions."""

    entity_id: str
    acs_url: str
    slo_url: str
    private_key_pem: Secret = field(repr=False)
    certificate_pem: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Which attributes of an assertion mean what. ``tenant`` None accepts any.

    ``overage_attribute`` stands where a person has too many groups to name.
    ``tenant_attribute`` is looked at only where a tenant is set.
    """

    subject_attribute: str
    login_attribute: str
    display_name_attribute: str
    email_attribute: str
    groups_attribute: str
    tenant: str | None = None
    tenant_attribute: str = f"{_MICROSOFT}/tenantid"
    overage_attribute: str = "http://schemas.microsoft.com/claims/groups.link"
    max_skew_s: float = MAX_SKEW_S


ENTRA_RULES = Rules(
    subject_attribute=f"{_MICROSOFT}/objectidentifier",
    login_attribute=f"{_XMLSOAP}/name",
    display_name_attribute=f"{_MICROSOFT}/displayname",
    email_attribute=f"{_XMLSOAP}/emailaddress",
    groups_attribute="http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
)
"""Entra ID's names (Microsoft Learn, "Customize SAML token claims"); the object id never changes."""

GENERIC_RULES = Rules(
    subject_attribute="uid",
    login_attribute="uid",
    display_name_attribute="displayName",
    email_attribute="mail",
    groups_attribute="groups",
)
"""Names that many providers use; an admin says which attribute never changes."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key for SAML with its certificate, both PEM."""

    private_key_pem: Secret
    certificate_pem: str


def new_key_pair(common_name: str, now: float) -> KeyPair:
    """Make a key and a certificate that it signs itself. Providers compare the certificate and trust no authority."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    begins = dt.datetime.fromtimestamp(now, dt.UTC) - dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + dt.timedelta(days=365 * YEARS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(Secret(private.decode()), certificate.public_bytes(serialization.Encoding.PEM).decode())
