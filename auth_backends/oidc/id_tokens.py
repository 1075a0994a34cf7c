"""From an ID token to a person (OpenID Connect Core 1.0 sections 2 and 3.1.3.7; Microsoft Learn, "ID token claims")."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from auth_backends.api import Secret
from auth_backends.oidc.checks import CheckList
from auth_backends.oidc.claims import check_audience, check_issuer, check_times, text_claim
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.documents import printable, same_text
from auth_backends.oidc.signed import Signed, verified_signature
from auth_backends.oidc.signing_keys import KeySource
from auth_backends.sso import Check, Person, SsoReason

TYPES = frozenset({"jwt", "id_token+jwt"})
_NOT_SHOWN = frozenset({"nonce", "at_hash", "c_hash", "aio", "rh"})


@dataclass(frozen=True, slots=True)
class VerifiedIdToken:
    """A person, believed. ``sub`` and ``sid`` are what a provider's own logout names; times are Unix seconds.

    ``token_id`` is the same for each copy of the token and for no other token: the key of a replay cache.
    ``groups_overage`` says that the provider left the groups out because they are too many. ``token`` is the hint for
    logout at the provider.
    """

    person: Person
    sub: str
    sid: str | None
    issued_at: float
    expires_at: float
    token_id: str
    groups_overage: bool
    checks: tuple[Check, ...]
    token: Secret = field(repr=False)


def verify_id_token(
    token: str,
    *,
    client: OidcClient,
    keys: KeySource,
    nonce: str,
    now: float,
    access_token: str | None = None,
    before: tuple[Check, ...] = (),
) -> VerifiedIdToken:
    """Believe an ID token that answers our request with this nonce, at Unix second ``now``, or raise SsoRefused.

    ``access_token`` is what came beside it, and ``before`` the checks that were made already.
    """
    checks = CheckList(before)
    signed = verified_signature(token, TYPES, client=client, keys=keys, checks=checks)
    claims = signed.claims
    check_issuer(claims, client, checks)
    check_audience(claims, client, checks)
    issued, expires = check_times(claims, client, checks, now)
    _check_nonce(claims, nonce, checks)
    tenant = _checked_tenant(claims, client, checks)
    _check_access_token(signed, access_token, checks)
    sub, subject = text_claim(claims, "sub"), text_claim(claims, client.subject_claim)
    checks.demand("sub", sub is not None, SsoReason.SUBJECT_MISSING, "the token has no sub")
    missing = f"the token has no {client.subject_claim}, by which users are linked"
    checks.demand("subject", subject is not None, SsoReason.SUBJECT_MISSING, missing, subject or "")
    overage = _overage(claims, client)
    groups = None if overage else _groups(claims.get(client.groups_claim))
    checks.note("groups", _groups_in_words(groups, overage=overage))
    person = Person(
        subject=subject or "",
        tenant=tenant,
        login=printable(claims.get(client.login_claim)) or subject or "",
        display_name=printable(claims.get(client.display_name_claim)),
        email=printable(claims.get(client.email_claim)),
        groups=groups,
        claims=shown_claims(claims),
    )
    return VerifiedIdToken(
        person=person,
        sub=sub or "",
        sid=text_claim(claims, "sid"),
        issued_at=issued,
        expires_at=expires,
        token_id=signed.digest,
        groups_overage=overage,
        checks=checks.done,
        token=Secret(token),
    )


def shown_claims(claims: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Give the claims as an admin sees them: each a tuple of texts, without what is of use to a thief only."""
    return {
        printable(name, 100): tuple(_shown(one) for one in (value if isinstance(value, list) else [value]))
        for name, value in claims.items()
        if name not in _NOT_SHOWN
    }


def _shown(value: object) -> str:
    return printable(value, 1000) if isinstance(value, str) else json.dumps(value)[:1000]


def _check_nonce(claims: dict[str, object], nonce: str, checks: CheckList) -> None:
    checks.demand(
        "nonce",
        same_text(claims.get("nonce"), nonce),
        SsoReason.WRONG_NONCE,
        "the token does not answer this browser's request",
    )


def _checked_tenant(claims: dict[str, object], client: OidcClient, checks: CheckList) -> str | None:
    said = text_claim(claims, "tid")
    if client.tenant is not None:
        complaint = f"the person is of the tenant {said or 'that nobody named'}"
        checks.demand("tenant", said == client.tenant, SsoReason.WRONG_TENANT, complaint, said or "")
    return said


def _check_access_token(signed: Signed, access_token: str | None, checks: CheckList) -> None:
    said = signed.claims.get("at_hash")
    if said is None or access_token is None:  # section 3.1.3.6: optional in the code flow
        return
    # The hash is that of the signature's algorithm, and all of ours are with SHA-256.
    digest = hashlib.sha256(access_token.encode(errors="surrogatepass")).digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    complaint = "the access token belongs to another ID token"
    checks.demand("access token's hash", same_text(said, expected), SsoReason.TOKEN_REFUSED, complaint)


def _overage(claims: dict[str, object], client: OidcClient) -> bool:
    """Whether the groups are elsewhere (Microsoft Learn, "Groups overage claim"); where to is not looked at."""
    elsewhere = claims.get("_claim_names")
    named = isinstance(elsewhere, dict) and not {"groups", client.groups_claim}.isdisjoint(elsewhere)
    return named or claims.get("hasgroups") not in (None, False, "false")


def _groups(value: object) -> frozenset[str] | None:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, str) and one and one.isprintable() for one in listed):
        return None
    return frozenset(listed)


def _groups_in_words(groups: frozenset[str] | None, *, overage: bool) -> str:
    if overage:
        return "too many for a token: nothing is concluded"
    return "not said: nothing is concluded" if groups is None else f"{len(groups)} groups"
