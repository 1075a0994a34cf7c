"""We, as one OpenID provider knows us, and what an application takes from an ID token."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID

from auth_backends.api import Secret
from auth_backends.outgoing import is_this_machine
from auth_backends.sso import SsoReason, SsoRefused

MICROSOFT = "https://login.microsoftonline.com"
ALGORITHMS = ("RS256", "PS256", "ES256")
_SHARED = frozenset({"common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"})


@dataclass(frozen=True, slots=True)
class OidcClient:
    """A client of one issuer. Construction raises SsoRefused (not_configured) for what could let strangers in.

    Exactly one of ``client_secret`` and ``private_key_pem`` is set; the PEM text may hold our certificate behind the
    key. ``tenant`` is Entra ID's directory id: tokens of any other are refused. ``subject_claim`` names the claim that
    never changes; ``login_claim``, ``display_name_claim`` and ``email_claim`` are for display.
    """

    issuer: str
    client_id: str
    client_secret: Secret | None = field(repr=False)
    private_key_pem: Secret | None = field(repr=False)
    redirect_uri: str
    post_logout_redirect_uri: str
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    tenant: str | None = None
    subject_claim: str = "sub"
    login_claim: str = "preferred_username"
    display_name_claim: str = "name"
    email_claim: str = "email"
    groups_claim: str = "groups"
    max_skew_s: float = 180.0
    allowed_algorithms: tuple[str, ...] = ALGORITHMS

    def __post_init__(self) -> None:
        _check_form(self.issuer)
        _check_tenant(self.issuer, self.tenant)
        if not self.client_id:
            raise _unusable("the client has no id")
        if bool(self.client_secret) == bool(self.private_key_pem):
            raise _unusable("the client needs a secret or a private key, and not both")
        if "openid" not in self.scopes:
            raise _unusable("the scope openid is missing")
        if not self.allowed_algorithms or not set(self.allowed_algorithms) <= set(ALGORITHMS):
            raise _unusable(f"ID tokens may be signed by {', '.join(ALGORITHMS)} and nothing else")


def entra_client(
    tenant: str,
    client_id: str,
    *,
    client_secret: Secret | None = None,
    private_key_pem: Secret | None = None,
    redirect_uri: str,
    post_logout_redirect_uri: str,
) -> OidcClient:
    """Give the client of one tenant of Entra ID (Microsoft Learn, "ID token claims reference").

    ``oid`` is the same for a person in all applications of a tenant, and what SCIM is to bring as externalId.
    Raises SsoRefused.
    """
    return OidcClient(
        issuer=f"{MICROSOFT}/{tenant}/v2.0",
        client_id=client_id,
        client_secret=client_secret,
        private_key_pem=private_key_pem,
        redirect_uri=redirect_uri,
        post_logout_redirect_uri=post_logout_redirect_uri,
        tenant=tenant,
        subject_claim="oid",
    )


def generic_client(
    issuer: str,
    client_id: str,
    *,
    client_secret: Secret | None = None,
    private_key_pem: Secret | None = None,
    redirect_uri: str,
    post_logout_redirect_uri: str,
) -> OidcClient:
    """Give the client of a provider that keeps to the standard: people are known by ``sub``. Raises SsoRefused."""
    return OidcClient(
        issuer=issuer,
        client_id=client_id,
        client_secret=client_secret,
        private_key_pem=private_key_pem,
        redirect_uri=redirect_uri,
        post_logout_redirect_uri=post_logout_redirect_uri,
    )


def _check_form(issuer: str) -> None:
    if any(not "!" <= letter <= "~" or letter in "{}\\" for letter in issuer):
        raise _unusable(f"{issuer!r} is a template, not an issuer")
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
    except ValueError:
        raise _unusable(f"{issuer!r} is no issuer") from None
    if parts.scheme not in {"https", "http"} or not host or "@" in parts.netloc or "?" in issuer or "#" in issuer:
        raise _unusable(f"{issuer!r} is no issuer")  # OpenID Connect Discovery 1.0 section 3
    if parts.scheme == "http" and not is_this_machine(host):
        raise _unusable(f"{issuer!r} must begin with https://")


def _check_tenant(issuer: str, tenant: str | None) -> None:
    segments = urlsplit(issuer).path.lower().split("/")
    microsoft = issuer.lower().startswith(f"{MICROSOFT}/")
    if not _SHARED.isdisjoint(segments):
        raise _unusable(f"{issuer!r} is open to everybody's accounts; name one tenant")
    if tenant is None:
        if microsoft:
            raise _unusable("the issuer is Entra ID's, but no tenant is set")
        return
    if _uuid(tenant) != tenant or tenant in _SHARED:
        raise _unusable(f"{tenant!r} is not the id of one tenant")
    named = {found for found in map(_uuid, segments) if found is not None}
    if named - {tenant} or (microsoft and issuer != f"{MICROSOFT}/{tenant}/v2.0"):
        raise _unusable(f"{issuer!r} is not the issuer of the tenant {tenant}")


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _unusable(detail: str) -> SsoRefused:
    return SsoRefused(SsoReason.NOT_CONFIGURED, detail)
