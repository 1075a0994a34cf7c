"""Signing out: at the provider (RP-Initiated Logout 1.0), and by the provider's word (Back-Channel Logout 1.0)."""

from __future__ import annotations

from dataclasses import dataclass

from auth_backends.oidc.authorize import with_query
from auth_backends.oidc.checks import CheckList
from auth_backends.oidc.claims import check_audience, check_issuer, check_times, text_claim
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.discovery import Discovery
from auth_backends.oidc.signed import verified_signature
from auth_backends.oidc.signing_keys import KeySource
from auth_backends.sso import SsoReason

TYPES = frozenset({"jwt", "logout+jwt"})
EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """A provider says that somebody signed out: the session ``sid``, or all of ``sub`` where there is no ``sid``.

    ``token_id`` is its ``jti``, for a replay cache until ``expires_at`` (Unix seconds).
    """

    sub: str | None
    sid: str | None
    token_id: str
    issued_at: float
    expires_at: float


def verify_logout_token(token: str, *, client: OidcClient, keys: KeySource, now: float) -> LogoutToken:
    """Believe a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6), or raise SsoRefused."""
    checks = CheckList()
    signed = verified_signature(token, TYPES, client=client, keys=keys, checks=checks)
    claims = signed.claims
    check_issuer(claims, client, checks)
    check_audience(claims, client, checks)
    issued, expires = check_times(claims, client, checks, now)
    events = claims.get("events")
    is_logout = isinstance(events, dict) and isinstance(events.get(EVENT), dict)
    checks.demand("event", is_logout, SsoReason.TOKEN_REFUSED, "the token is not about a logout")
    checks.demand("no nonce", "nonce" not in claims, SsoReason.TOKEN_REFUSED, "the token is an ID token")
    token_id, sub, sid = (text_claim(claims, name) for name in ("jti", "sub", "sid"))
    checks.demand("jti", token_id is not None, SsoReason.TOKEN_REFUSED, "the token has no jti")
    plain = all(value is not None for name, value in (("sub", sub), ("sid", sid)) if name in claims)
    checks.demand("sub and sid", plain, SsoReason.TOKEN_REFUSED, "the token's sub or sid is no id")  # never the wider
    somebody = sub is not None or sid is not None
    checks.demand("sub or sid", somebody, SsoReason.SUBJECT_MISSING, "the token says nobody's sub or sid")
    return LogoutToken(sub, sid, token_id or "", issued, expires)


def logout_url(client: OidcClient, discovery: Discovery, id_token_hint: str | None, state: str | None) -> str | None:
    """Give the address where a browser signs out at the provider, or None if it has none."""
    if discovery.end_session_endpoint is None:
        return None
    parameters = {
        "client_id": client.client_id,
        "post_logout_redirect_uri": client.post_logout_redirect_uri,
        "id_token_hint": id_token_hint,
        "state": state,
    }
    return with_query(discovery.end_session_endpoint, {name: value for name, value in parameters.items() if value})
