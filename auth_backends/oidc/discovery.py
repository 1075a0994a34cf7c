"""What a provider says of itself under /.well-known (OpenID Connect Discovery 1.0), as far as we use it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from auth_backends.oidc.client import ALGORITHMS, OidcClient
from auth_backends.oidc.documents import json_object, printable
from auth_backends.outgoing import Fetcher, FetchFailed, is_this_machine
from auth_backends.sso import SsoReason, SsoRefused

MAX_DOCUMENT = 256 * 1024
WELL_KNOWN = "/.well-known/openid-configuration"
_PUBLISHED = {
    "issuer": "issuer",
    "authorization_endpoint": "authorization_endpoint",
    "token_endpoint": "token_endpoint",
    "jwks_uri": "jwks_uri",
    "end_session_endpoint": "end_session_endpoint",
    "userinfo_endpoint": "userinfo_endpoint",
    "iss_parameter_supported": "authorization_response_iss_parameter_supported",
    "token_auth_methods": "token_endpoint_auth_methods_supported",
    "token_auth_algorithms": "token_endpoint_auth_signing_alg_values_supported",
}


@dataclass(frozen=True, slots=True)
class Discovery:
    """Where a provider takes what. ``iss_parameter_supported`` is that of RFC 9207.

    ``token_auth_methods`` and ``token_auth_algorithms`` are what the token endpoint takes; empty where it does not say.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    iss_parameter_supported: bool = False
    token_auth_methods: tuple[str, ...] = ()
    token_auth_algorithms: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Write it down by its names in the standard, so that the last good copy survives an outage and a restart."""
        members = {published: getattr(self, name) for name, published in _PUBLISHED.items()}
        return json.dumps({published: value for published, value in members.items() if value not in {None, ()}})


def discover(client: OidcClient, fetcher: Fetcher) -> Discovery:
    """Fetch the document of the client's issuer. Raises SsoRefused: unreachable, another issuer, unusable."""
    try:
        fetched = fetcher.get(client.issuer.rstrip("/") + WELL_KNOWN, max_bytes=MAX_DOCUMENT)
    except FetchFailed as failed:
        raise SsoRefused(SsoReason.PROVIDER_UNREACHABLE, f"discovery: {failed.reason}") from None
    return discovery_of(fetched.body, client.issuer)


def discovery_of(text: str | bytes, issuer: str) -> Discovery:
    """Read a document that was fetched, or that ``to_json`` wrote. Raises SsoRefused: another issuer, unusable."""
    document = json_object(text, "the provider's discovery")
    if document.get("issuer") != issuer:  # OpenID Connect Discovery 1.0 section 4.3
        said = printable(document.get("issuer"), 200)
        raise SsoRefused(SsoReason.WRONG_ISSUER, f"discovery says issuer {said!r} in place of {issuer!r}")
    _check_abilities(document)
    return Discovery(
        issuer=issuer,
        authorization_endpoint=_address(document, "authorization_endpoint", issuer),
        token_endpoint=_address(document, "token_endpoint", issuer),
        jwks_uri=_address(document, "jwks_uri", issuer),
        end_session_endpoint=_perhaps(document, "end_session_endpoint", issuer),
        userinfo_endpoint=_perhaps(document, "userinfo_endpoint", issuer),
        iss_parameter_supported=document.get(_PUBLISHED["iss_parameter_supported"]) is True,
        token_auth_methods=_names(document, _PUBLISHED["token_auth_methods"]),
        token_auth_algorithms=_names(document, _PUBLISHED["token_auth_algorithms"]),
    )


def _check_abilities(document: dict[str, object]) -> None:
    challenges = _names(document, "code_challenge_methods_supported")
    if challenges and "S256" not in challenges:
        raise SsoRefused(SsoReason.NOT_CONFIGURED, "the provider does not offer PKCE with S256 (RFC 7636)")
    algorithms = _names(document, "id_token_signing_alg_values_supported")
    if algorithms and not set(algorithms) & set(ALGORITHMS):
        named = printable(", ".join(algorithms), 200)
        raise SsoRefused(
            SsoReason.NOT_CONFIGURED, f"the provider signs ID tokens by {named} only; that is not accepted"
        )


def _address(document: dict[str, object], name: str, issuer: str) -> str:
    if (found := _perhaps(document, name, issuer)) is None:
        raise SsoRefused(SsoReason.MALFORMED, f"discovery has no {name} that is an https address")
    return found


def _perhaps(document: dict[str, object], name: str, issuer: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and may_name(issuer, value) else None


def may_name(issuer: str, address: str) -> bool:
    """Whether an issuer may name this address: https, or http on this machine where the issuer is such too."""
    if any(not "!" <= letter <= "~" or letter == "\\" for letter in address):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc or parts.fragment:
        return False
    on_this_machine = issuer.startswith("http://") and is_this_machine(parts.hostname)
    return parts.scheme == "https" or (parts.scheme == "http" and on_this_machine)


def _names(document: dict[str, object], name: str) -> tuple[str, ...]:
    value = document.get(name)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
