"""One identity provider: where people sign in, and whose SCIM client brings users and groups.

The same model serves ``[sso.NAME]`` in the TOML file and the providers that an admin keeps in the database.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from config.providers import HomeLayout, WayIn
from config.secrets import Masked
from config.sections import FilePath, Section

ENTRA_AUTHORITY = "https://login.microsoftonline.com"
_NOBODY_S_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # personal Microsoft accounts
_FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class SsoMethod(StrEnum):
    """The protocol by which people sign in there."""

    SAML = "saml"
    OIDC = "oidc"


class SsoVendor(StrEnum):
    """The kind of identity provider: it sets the names of claims and the words of the set-up guide."""

    ENTRA = "entra"
    OKTA = "okta"
    GENERIC = "generic"


def _https(text: str) -> str:
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme not in {"https", "http"} or not host or "@" in parts.netloc or parts.fragment:
        message = f"{text!r} is not an https address"
        raise ValueError(message)
    if parts.scheme == "http" and not _is_this_machine(host):
        message = f"{text!r} must begin with https://; http is for this machine alone"
        raise ValueError(message)
    return text


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fingerprint(text: str) -> str:
    plain = text.replace(":", "").replace(" ", "").lower()
    if not _FINGERPRINT.fullmatch(plain):
        message = f"{text!r} is not a SHA-256 fingerprint of 64 hex digits; SHA-1 is not accepted"
        raise ValueError(message)
    return plain


def _domain(text: str) -> str:
    plain = text.strip().lower()
    if not _DOMAIN.fullmatch(plain):
        message = f"{text!r} is not a domain such as example.org"
        raise ValueError(message)
    return plain


def _tenant(text: str) -> str:
    try:
        plain = str(UUID(text))
    except ValueError:
        plain = ""
    if plain in {"", _NOBODY_S_TENANT}:
        message = f"{text!r} is not the id of one tenant of Entra ID; common and organizations are not accepted"
        raise ValueError(message)
    return plain


def _date(text: str) -> str:
    if not _DATE.fullmatch(text):
        message = f"{text!r} is not a date such as 2027-03-31"
        raise ValueError(message)
    return text


Https = Annotated[str, AfterValidator(_https)]


class SsoProvider(Section):
    """An identity provider such as Entra ID or Okta: people sign in there, and its SCIM client brings and ends them."""

    method: SsoMethod
    """How its users prove who they are, ``saml`` or ``oidc``: their passwords are refused everywhere here."""
    vendor: SsoVendor = SsoVendor.GENERIC
    """The kind of identity provider: it sets the names of claims, and the words of the set-up guide."""
    display_name: Annotated[str, Field(max_length=100)] | None = None
    """What the button on the sign-in page says behind "Sign in with". Default: the provider's name."""
    domains: frozenset[Annotated[str, AfterValidator(_domain)]] = frozenset()
    """Mail domains whose people are sent straight here from the sign-in page once they typed their name."""
    tenant: Annotated[str, AfterValidator(_tenant)] | None = None
    """Entra ID's directory (tenant) id. Nobody of another tenant comes in; OpenID Connect needs it with Entra ID."""
    jit: bool = False
    """Whether who signs in for the first time becomes a user, with the default group and no privileges. It does not
    count while the provider's SCIM client has a token."""
    token_groups: bool = False
    """Whether the groups in a response put its user into groups that SCIM has told us, and take them out again."""
    metadata_url: Https | None = None
    """SAML: where the provider publishes its metadata; fetched again every hour, and the last good copy kept."""
    metadata_file: FilePath | None = None
    """SAML: a file with the provider's metadata, in place of the address. A new certificate needs a new file."""
    idp_entity_id: str | None = None
    """SAML: the provider's entity ID (issuer). Needed with fingerprints, and where metadata hold several providers."""
    idp_sso_url: Https | None = None
    """SAML with fingerprints: where people are sent to sign in."""
    idp_slo_url: Https | None = None
    """SAML with fingerprints: where people are sent to sign out."""
    fingerprints: frozenset[Annotated[str, AfterValidator(_fingerprint)]] = frozenset()
    """SAML: SHA-256 fingerprints of signing certificates, in place of metadata. Nothing follows a new certificate."""
    entity_id_suffix: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """SAML: stands behind our entity ID, so that several applications of one tenant differ."""
    idp_initiated: bool = False
    """SAML: whether the provider may send people who did not begin here, as from a page of tiles. It makes it possible
    to sign somebody in as another without their noticing."""
    issuer: Https | None = None
    """OpenID Connect: the issuer. Default with Entra ID: that of the tenant."""
    client_id: Annotated[str, Field(max_length=256)] | None = None
    """OpenID Connect: the application's id at the provider."""
    client_secret: Annotated[str, Field(max_length=4096), Masked()] | None = None
    """OpenID Connect: the application's secret. In the TOML file, name a place: ``file:/path`` or ``env:NAME``."""
    client_secret_expires: Annotated[str, AfterValidator(_date)] | None = None
    """OpenID Connect: the day on which the secret runs out, as YYYY-MM-DD; warned of 60, 30 and 7 days before."""
    private_key_file: FilePath | None = None
    """OpenID Connect: a PEM key that signs our requests for tokens (private_key_jwt), in place of a secret."""
    graph_groups: bool = False
    """OpenID Connect with Entra ID: whether Microsoft Graph is asked for the groups of who has too many for a token."""
    subject_claim: Annotated[str, Field(max_length=256)] | None = None
    """The claim or attribute with the immutable id that users are linked by. Default: that of the vendor."""
    login_claim: Annotated[str, Field(max_length=256)] | None = None
    """The claim or attribute with the login name of a new user. Default: that of the vendor."""
    name_claim: Annotated[str, Field(max_length=256)] | None = None
    """The claim or attribute with the display name. Default: that of the vendor."""
    email_claim: Annotated[str, Field(max_length=256)] | None = None
    """The claim or attribute with the e-mail address. Default: that of the vendor."""
    groups_claim: Annotated[str, Field(max_length=256)] | None = None
    """The claim or attribute with the ids of groups. Default: that of the vendor."""
    ca_file: FilePath | None = None
    """PEM file with the authorities that the provider's server is checked against. Default: the well-known ones."""
    private_hosts: bool = False
    """Whether the provider may have an address inside the own network. Leave it off for providers on the internet."""
    default_group: str | None = None
    """A group of Quaymaster's own that every new user of this provider is put into; it is made if it is missing."""
    protocols: frozenset[WayIn] = frozenset()
    """Ways in that a new user gets (sftp, ftps, webdav, api, portal); empty means any. An admin may change them."""
    home_layout: HomeLayout = HomeLayout.NAME
    """What a new user's home folder is called: the login ``name``, or an ``id`` of ours that never changes."""
    max_disabled_percent: Annotated[int, Field(ge=1, le=100)] = 10
    """When more than this share of the users would lose access within a day, the rest waits for an admin."""
    max_disabled_count: Annotated[int, Field(ge=1, le=100000)] = 20
    """So many are disabled without asking, whatever their share."""
    max_requests_per_s: Annotated[int, Field(ge=50, le=100000)] = 500
    """SCIM requests a second that one worker takes from this provider; more are told to come again in a second."""

    @property
    def signs_in(self) -> bool:
        """Whether people can sign in there; without these settings only its SCIM client comes."""
        if self.method is SsoMethod.OIDC:
            return self.client_id is not None
        return bool(self.metadata_url or self.metadata_file or self.fingerprints)

    @property
    def oidc_issuer(self) -> str | None:
        """The issuer of OpenID Connect, that of the tenant where none is set."""
        if self.issuer is None and self.vendor is SsoVendor.ENTRA and self.tenant is not None:
            return f"{ENTRA_AUTHORITY}/{self.tenant}/v2.0"
        return self.issuer

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        saml, oidc = _set(self, _OF_SAML), _set(self, _OF_OIDC)
        if self.method is SsoMethod.SAML and oidc:
            message = f"{oidc[0]} is for the method oidc"
            raise ValueError(message)
        if self.method is SsoMethod.OIDC and saml:
            message = f"{saml[0]} is for the method saml"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = _set(self, ("metadata_url", "metadata_file", "fingerprints"))
        if len(sources) > 1:
            message = f"{' and '.join(sources)} exclude each other"
            raise ValueError(message)
        if self.fingerprints and not (self.idp_entity_id and self.idp_sso_url):
            message = "fingerprints need idp_entity_id and idp_sso_url too"
            raise ValueError(message)
        if not self.fingerprints and (self.idp_sso_url or self.idp_slo_url):
            message = "idp_sso_url and idp_slo_url go with fingerprints; metadata say them themselves"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _whole_client(self) -> Self:
        if self.method is not SsoMethod.OIDC or self.client_id is None:
            if self.client_secret or self.private_key_file:
                message = "client_secret and private_key_file need client_id"
                raise ValueError(message)
            return self
        if (self.client_secret is None) == (self.private_key_file is None):
            message = "client_id needs either client_secret or private_key_file"
            raise ValueError(message)
        if self.oidc_issuer is None:
            message = "client_id needs issuer, or tenant with the vendor entra"
            raise ValueError(message)
        if self.graph_groups and self.tenant is None:
            message = "graph_groups needs tenant"
            raise ValueError(message)
        return self


_OF_SAML = (
    "metadata_url",
    "metadata_file",
    "idp_entity_id",
    "idp_sso_url",
    "idp_slo_url",
    "fingerprints",
    "entity_id_suffix",
    "idp_initiated",
)
_OF_OIDC = ("issuer", "client_id", "client_secret", "client_secret_expires", "private_key_file", "graph_groups")


def _set(provider: SsoProvider, fields: tuple[str, ...]) -> list[str]:
    return [field for field in fields if getattr(provider, field)]
