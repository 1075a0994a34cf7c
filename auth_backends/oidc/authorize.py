"""The address at the provider where a browser is sent (OpenID Connect Core 1.0 section 3.1.2.1, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from urllib.parse import urlencode

from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.discovery import Discovery

_VERIFIER_BYTES = 48


def new_code_verifier() -> str:
    """Give a fresh PKCE verifier: 64 characters, 384 random bits."""
    return secrets.token_urlsafe(_VERIFIER_BYTES)


def code_challenge(code_verifier: str) -> str:
    """Give the S256 challenge of a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def authorization_url(
    client: OidcClient,
    discovery: Discovery,
    *,
    state: str,
    nonce: str,
    code_verifier: str,
    prompt: str | None = None,
    login_hint: str | None = None,
    domain_hint: str | None = None,
) -> str:
    """Give the address that asks for a code. ``prompt`` "login" makes the provider ask for the credential again.

    ``domain_hint`` is Entra ID's own; other providers ignore what they do not know.
    """
    parameters = {
        "response_type": "code",
        "response_mode": "query",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "scope": " ".join(client.scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": code_challenge(code_verifier),
        "code_challenge_method": "S256",
    }
    hints = {"prompt": prompt, "login_hint": login_hint, "domain_hint": domain_hint}
    return with_query(discovery.authorization_endpoint, parameters | {k: v for k, v in hints.items() if v})


def with_query(address: str, parameters: dict[str, str]) -> str:
    """Put parameters behind an address that may have some already."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters, errors='replace')}"
