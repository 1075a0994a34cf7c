"""Which settings of a client are refused because strangers could come in by them."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict, Unpack

import pytest

from auth_backends.api import Secret
from auth_backends.oidc.client import OidcClient, entra_client, generic_client
from auth_backends.sso import SsoReason, SsoRefused

TENANT = "7d0c4e65-9f5a-4f0e-8a4b-1c2d3e4f5a6b"
OTHER = "11111111-2222-4333-8444-555555555555"
ENTRA = f"https://login.microsoftonline.com/{TENANT}/v2.0"


class Fields(TypedDict, total=False):
    """What the tests change of a client."""

    client_id: str
    client_secret: Secret | None
    private_key_pem: Secret | None
    scopes: tuple[str, ...]
    tenant: str | None
    allowed_algorithms: tuple[str, ...]


def client(issuer: str = "https://id.example.org", **fields: Unpack[Fields]) -> OidcClient:
    made = generic_client(
        issuer,
        "quaymaster",
        client_secret=Secret("s3cret"),
        redirect_uri="https://files.example.org/sso/x/callback",
        post_logout_redirect_uri="https://files.example.org/",
    )
    return replace(made, **fields)


def test_a_client_of_entra_is_of_one_tenant_and_knows_people_by_oid() -> None:
    """The issuer is made of the tenant, and the immutable id is the one that SCIM brings too."""
    made = entra_client(
        TENANT,
        "app",
        client_secret=Secret("s3cret"),
        redirect_uri="https://files.example.org/cb",
        post_logout_redirect_uri="https://files.example.org/",
    )

    assert (made.issuer, made.tenant, made.subject_claim) == (ENTRA, TENANT, "oid")


def test_a_generic_client_knows_people_by_sub() -> None:
    """The only claim that OpenID Connect itself calls unique and never reassigned."""
    assert (client().subject_claim, client().tenant) == ("sub", None)


@pytest.mark.parametrize(
    "issuer",
    [
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com/organizations/v2.0",
        "https://login.microsoftonline.com/consumers/v2.0",
        "https://login.microsoftonline.com/Common/v2.0",
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        "https://login.microsoftonline.us/common/v2.0",
        "https://login.microsoftonline.com/{tenantid}/v2.0",
        "https://id.example.org/{tenant}",
        ENTRA,  # no tenant beside it
        "http://id.example.org",
        "ftp://id.example.org",
        "id.example.org",
        "https://",
        "https://[::1",
        "https://user@id.example.org",
        "https://id.example.org/?a=b",
        "https://id.example.org/#x",
        "https://id.example.org\\@evil.example",
        "https://id.example.org/\n",
        "https://id.exämple.org",
    ],
)
def test_an_issuer_of_everybody_or_of_no_sure_place_is_refused(issuer: str) -> None:
    """Templates, shared tenants, http to elsewhere, and addresses that two parsers may read in two ways."""
    with pytest.raises(SsoRefused) as refused:
        client(issuer)

    assert refused.value.reason is SsoReason.NOT_CONFIGURED


@pytest.mark.parametrize(
    ("issuer", "tenant"),
    [
        (ENTRA, OTHER),
        (f"https://login.microsoftonline.com/{TENANT}", TENANT),
        (f"https://login.microsoftonline.com/{TENANT}/v2.0/", TENANT),
        (f"https://login.microsoftonline.us/{OTHER}/v2.0", TENANT),
        (ENTRA, "common"),
        (ENTRA, TENANT.upper()),
        ("https://id.example.org", "9188040d-6c67-4c5b-b112-36a304b66dad"),
        ("https://id.example.org", f"{{{TENANT}}}"),
    ],
)
def test_the_tenant_is_that_of_the_issuer(issuer: str, tenant: str) -> None:
    """A client cannot name one tenant and believe another."""
    with pytest.raises(SsoRefused) as refused:
        client(issuer, tenant=tenant)

    assert refused.value.reason is SsoReason.NOT_CONFIGURED


@pytest.mark.parametrize(
    ("issuer", "tenant"),
    [
        (ENTRA, TENANT),
        (f"https://login.microsoftonline.us/{TENANT}/v2.0", TENANT),
        ("https://id.example.org/realms/staff", None),
        ("http://127.0.0.1:8080", TENANT),
        ("http://localhost:8080/op", None),
        ("http://[::1]:8080", None),
    ],
)
def test_issuers_that_are_accepted(issuer: str, tenant: str | None) -> None:
    """One tenant anywhere, any provider over https, and this machine over http."""
    made = OidcClient(issuer, "app", Secret("s3cret"), None, "https://x/cb", "https://x/", tenant=tenant)

    assert (made.issuer, made.tenant) == (issuer, tenant)


@pytest.mark.parametrize(
    "fields",
    [
        {"client_id": ""},
        {"client_secret": None},
        {"client_secret": Secret("")},
        {"private_key_pem": Secret("-----BEGIN PRIVATE KEY-----")},
        {"scopes": ("profile", "email")},
        {"allowed_algorithms": ()},
        {"allowed_algorithms": ("RS256", "HS256")},
        {"allowed_algorithms": ("none",)},
    ],
)
def test_a_client_without_a_proof_or_with_a_weak_algorithm_is_refused(fields: Fields) -> None:
    """Exactly one proof; openid among the scopes; never an algorithm whose key the provider does not keep to itself."""
    with pytest.raises(SsoRefused) as refused:
        client(**fields)

    assert refused.value.reason is SsoReason.NOT_CONFIGURED


def test_a_client_does_not_show_its_secret() -> None:
    """Neither in logs nor in tracebacks."""
    assert "s3cret" not in repr(client())
