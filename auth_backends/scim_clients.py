"""Who a SCIM client is: the tokens by which identity providers come in, each for one provider alone.

A token is a text ``qms_<id>_<secret>_<checksum>``. The kind ``bearer`` is sent as such (RFC 6750);
the kind ``basic`` is a pair of the id as the user name and the text as the password (RFC 7617).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum

from auth_backends.api import Clock, Secret
from auth_backends.api_keys import SCIM_PREFIX
from auth_backends.scim_refusals import Refusals
from auth_backends.secret_texts import IssuedSecret, SecretForm
from storage.database.scim_tokens import ScimToken
from storage.database.store import Store

FORM = SecretForm(SCIM_PREFIX)
MAX_HEADER = 1024
BEARER, BASIC = "bearer", "basic"
_NOTHING = bytes(32)


class ClientRefusal(StrEnum):
    """Why a client was not let in; for the log alone."""

    NO_CREDENTIAL = "no-credential"
    MALFORMED = "malformed-token"
    UNKNOWN = "unknown-token"
    WRONG_SECRET = "wrong-secret"  # noqa: S105 - a reason, no secret
    WRONG_KIND = "wrong-kind"
    EXPIRED = "expired-token"
    REVOKED = "revoked-token"
    OTHER_PROVIDER = "token-of-another-provider"


@dataclass(frozen=True, slots=True)
class ScimClient:
    """A client that was let in; it sees this provider's people alone."""

    provider: str
    token_id: str


def issue() -> IssuedSecret:
    """Make a new token's secret."""
    return FORM.issue()


class ScimClients:
    """Thread-safe; every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._refusals = Refusals(store, clock)

    def let_in(self, authorization: str | None, provider: str | None, peer: str) -> ScimClient | ClientRefusal:
        """Say who the client is by its Authorization header; ``provider`` is the one that the path names, if it does.

        The secret is compared in constant time, and a comparison is made whether the token is known or not. A refusal
        is told to the audit trail.
        """
        found = self._judged(authorization, provider)
        if isinstance(found, ClientRefusal):
            self._refusals.tell(found.value, provider or "", peer)
        return found

    def _judged(self, authorization: str | None, provider: str | None) -> ScimClient | ClientRefusal:
        presented = _presented(authorization)
        if isinstance(presented, ClientRefusal):
            return presented
        kind, name, secret = presented
        parsed = FORM.parse(secret)
        if parsed is None or (kind == BASIC and name != parsed.id):
            return ClientRefusal.MALFORMED
        token = self._store.scim_tokens.by_id(parsed.id)
        right = parsed.proves(_NOTHING if token is None else token.digest)
        if token is None:
            return ClientRefusal.UNKNOWN
        if not right:
            return ClientRefusal.WRONG_SECRET
        now = self._clock()
        refused = _standing(token, kind, provider, now)
        if refused is not None:
            return refused
        self._store.scim_tokens.touch(token.id, now)
        return ScimClient(token.provider, token.id)


def _standing(token: ScimToken, kind: str, provider: str | None, now: float) -> ClientRefusal | None:
    if token.kind != kind:
        return ClientRefusal.WRONG_KIND
    if token.revoked_at is not None:
        return ClientRefusal.REVOKED
    if now >= token.expires_at:
        return ClientRefusal.EXPIRED
    if provider is not None and provider != token.provider:
        return ClientRefusal.OTHER_PROVIDER
    return None


def _presented(authorization: str | None) -> tuple[str, str, Secret] | ClientRefusal:
    """Take the header apart: kind, user name (of Basic), secret."""
    if not authorization:
        return ClientRefusal.NO_CREDENTIAL
    scheme, _, rest = authorization.partition(" ")
    if len(authorization) > MAX_HEADER:
        return ClientRefusal.MALFORMED
    match scheme.lower():
        case "bearer":
            return BEARER, "", Secret(rest.strip())
        case "basic":
            try:
                text = base64.b64decode(rest.strip(), validate=True).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError):
                return ClientRefusal.MALFORMED
            name, _, password = text.partition(":")
            return BASIC, name, Secret(password)
        case _:
            return ClientRefusal.NO_CREDENTIAL
