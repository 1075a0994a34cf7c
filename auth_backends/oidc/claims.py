"""Claims that ID tokens and logout tokens share: who made it, for whom, and when."""

from __future__ import annotations

from auth_backends.oidc.checks import CheckList
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.documents import printable
from auth_backends.sso import SsoReason

MAX_ID = 255
_LATEST = 253402300800  # the year 10000


def check_issuer(claims: dict[str, object], client: OidcClient, checks: CheckList) -> None:
    """``iss`` is the issuer, letter by letter (OpenID Connect Core 1.0 section 3.1.3.7). Raises SsoRefused."""
    said = printable(claims.get("iss"), 200) or "nothing"
    passed = claims.get("iss") == client.issuer
    checks.demand("issuer", passed, SsoReason.WRONG_ISSUER, f"the token is of the issuer {said}", said)


def check_audience(claims: dict[str, object], client: OidcClient, checks: CheckList) -> None:
    """``aud`` names us; ``azp`` is us if it is said, and is said if ``aud`` names others too. Raises SsoRefused."""
    audience, authorized = claims.get("aud"), claims.get("azp")
    named = audience if isinstance(audience, list) else [audience]
    passed = client.client_id in named and all(isinstance(one, str) for one in named)
    said = printable(" ".join(str(one) for one in named), 200)
    checks.demand("audience", passed, SsoReason.WRONG_AUDIENCE, f"the token is for {said}", said)
    passed = authorized == client.client_id or (authorized is None and len(named) == 1)
    said = printable(authorized, 200) or "nobody named"
    checks.demand("authorized party", passed, SsoReason.WRONG_AUDIENCE, f"the token was made for {said}", said)


def check_times(claims: dict[str, object], client: OidcClient, checks: CheckList, now: float) -> tuple[float, float]:
    """Give ``iat`` and ``exp`` in Unix seconds; both must be there and fit ``now``. Raises SsoRefused."""
    issued, expires = _moment(claims, "iat", checks), _moment(claims, "exp", checks)
    begins = _moment(claims, "nbf", checks) if "nbf" in claims else issued
    late, early = now - expires, max(issued, begins) - now
    checks.demand("not expired", late < client.max_skew_s, SsoReason.OUT_OF_TIME, f"the token ran out {late:.0f} s ago")
    complaint = f"the token is from {early:.0f} s in the future; compare the clocks"
    checks.demand("not from the future", early <= client.max_skew_s, SsoReason.OUT_OF_TIME, complaint)
    return issued, expires


def text_claim(claims: dict[str, object], name: str) -> str | None:
    """Give a claim that is an id: text, not empty, of at most 255 printable characters; or None."""
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not value.isprintable() or value != value.strip():
        return None
    return value


def _moment(claims: dict[str, object], name: str, checks: CheckList) -> float:
    value = claims.get(name)
    passed = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST
    reason = SsoReason.MALFORMED if name in claims else SsoReason.OUT_OF_TIME
    checks.demand(f"{name} is a time", passed, reason, f"the token's {name} is missing or no time")
    return float(value) if isinstance(value, int | float) else 0.0
