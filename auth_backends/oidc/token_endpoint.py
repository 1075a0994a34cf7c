"""From a code to tokens (RFC 6749 section 4.1.3 with RFC 7636), and what the provider says when it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from auth_backends.api import Secret
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.client_proof import client_proof
from auth_backends.oidc.discovery import Discovery
from auth_backends.oidc.documents import json_object, printable
from auth_backends.outgoing import Fetched, Fetcher, FetchFailed
from auth_backends.sso import SsoReason, SsoRefused

MAX_ANSWER = 256 * 1024
MAX_CODE = 8192
_OK = 200
_SERVER_ERROR = 500
_TOO_MANY = 429
_SECRET_FIELDS = frozenset({"code", "code_verifier", "client_secret", "client_assertion"})
_MICROSOFT_CODE = re.compile(r"\bAADSTS(\d{4,9})\b", re.ASCII)
_SENTENCES = {
    "7000222": "the client secret has expired; make a new one in Entra ID and set client_secret",
    "7000215": "the client secret is wrong; it must be the secret's value, not its id",
    "700016": "Entra ID knows no application with this client_id in this tenant",
    "700027": "Entra ID does not know the certificate of private_key_file, or it has run out",
    "50011": "the redirect URI is not registered for the application",
}  # Microsoft Learn, "Microsoft Entra authentication and authorization error codes"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was worth. The access token is for checking the ID token; nothing is called with it."""

    id_token: Secret
    access_token: Secret | None


def exchange_code(
    client: OidcClient, discovery: Discovery, fetcher: Fetcher, *, code: str, code_verifier: str, now: float
) -> Tokens:
    """Give the provider the code and the PKCE verifier. Raises SsoRefused.

    ``not_configured`` where the client's settings are wrong, ``token_refused`` where the code is, and
    ``provider_unreachable`` where nobody can tell.
    """
    if not 0 < len(code) <= MAX_CODE or not code.isascii() or not code.isprintable():
        raise SsoRefused(SsoReason.MALFORMED, f"a code has 1 to {MAX_CODE} printable characters (RFC 6749 A.11)")
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": code_verifier,
    }
    answer = token_request(client, discovery, fetcher, fields, now)
    id_token, access_token = answer.get("id_token"), answer.get("access_token")
    if not isinstance(id_token, str):
        raise SsoRefused(SsoReason.MALFORMED, "the token endpoint gave no ID token")
    return Tokens(Secret(id_token), Secret(access_token) if isinstance(access_token, str) else None)


def token_request(
    client: OidcClient, discovery: Discovery, fetcher: Fetcher, fields: Mapping[str, str], now: float
) -> dict[str, object]:
    """Post fields with the client's proof and give the answer. Raises SsoRefused, in words without a secret."""
    proof = client_proof(client, discovery, now)
    sent = {**fields, **proof.fields}
    try:
        fetched = fetcher.post_form(discovery.token_endpoint, sent, headers=proof.headers, max_bytes=MAX_ANSWER)
    except FetchFailed as failed:
        raise SsoRefused(SsoReason.PROVIDER_UNREACHABLE, f"token endpoint: {failed.reason}") from None
    if fetched.status != _OK:
        raise _refusal(fetched, sent)
    return json_object(fetched.body, "the token endpoint's answer")


def _refusal(fetched: Fetched, sent: Mapping[str, str]) -> SsoRefused:
    if fetched.status >= _SERVER_ERROR or fetched.status == _TOO_MANY:
        return SsoRefused(SsoReason.PROVIDER_UNREACHABLE, f"the token endpoint answered {fetched.status}")
    try:
        answer = json_object(fetched.body, "the token endpoint's answer")
    except SsoRefused:
        answer = {}
    error = printable(answer.get("error"), 60) or str(fetched.status)
    description = printable(answer.get("error_description"), 2000)
    for name in _SECRET_FIELDS & sent.keys():
        description = description.replace(sent[name], "***")
    return SsoRefused(_reason(error), said_no(error, description))


def _reason(error: str) -> SsoReason:
    wrong_client = {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
    return SsoReason.NOT_CONFIGURED if error in wrong_client else SsoReason.TOKEN_REFUSED


def said_no(error: str, description: str) -> str:
    """Put a provider's refusal into words; Entra ID's commonest mistakes of a set-up into ours."""
    code = _MICROSOFT_CODE.search(description)
    if code is not None and code[1] in _SENTENCES:
        return f"{_SENTENCES[code[1]]} ({code[0]})"
    return f"the provider said {error}{': ' if description else ''}{description[:300]}"
