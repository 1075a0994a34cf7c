"""Sign-ins that have begun at an identity provider and not come back yet, and answers that were used.

A flow is taken once, by whichever worker gets the answer; an assertion or token lets somebody in once.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from sqlalchemy import delete, func, insert, select

from storage.database.engine import Database
from storage.database.errors import Conflict
from storage.database.sso_tables import sso_flows, sso_used

HANDLE_BYTES = 32
FLOW_S = 600.0
"""Seconds that a person has to sign in at the provider."""
MAX_FLOWS = 100_000
"""So many are kept; each is a request that needs no credential."""


class Purpose(StrEnum):
    """What a flow is for."""

    SIGN_IN = "sign_in"
    TEST = "test"
    SIGN_OUT = "sign_out"


@dataclass(frozen=True, slots=True)
class SsoFlow:
    """One request to a provider. ``browser`` is the digest of the cookie of the browser that it was made for.

    ``request_id`` is the ID of a SAML request or the nonce of OpenID Connect; ``return_to`` a path of ours.
    Times are Unix seconds.
    """

    provider: str
    purpose: Purpose
    browser: bytes
    request_id: str
    return_to: str
    created_at: float
    expires_at: float
    code_verifier: str = field(default="", repr=False)


class SsoFlows:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, flow: SsoFlow) -> str:
        """Keep a flow and give its handle, 43 characters that only its browser and the provider see.

        Where too many are open the oldest go: who begins them by the thousand shortens the time that a person has to
        sign in, and stops nobody from beginning.
        """
        handle = secrets.token_urlsafe(HANDLE_BYTES)
        row = asdict(flow) | {"digest": digest_of(handle), "purpose": flow.purpose.value}
        with self._database.write() as connection:
            kept = connection.execute(select(func.count()).select_from(sso_flows)).scalar_one()
            if kept >= MAX_FLOWS:
                oldest = select(sso_flows.c.digest).order_by(sso_flows.c.expires_at).limit(kept - MAX_FLOWS + 1)
                connection.execute(delete(sso_flows).where(sso_flows.c.digest.in_(oldest)))
            connection.execute(insert(sso_flows), row)
        return handle

    def take(self, handle: str, now: float) -> SsoFlow | None:
        """Give the flow of this handle and forget it, or None if there is none (any more)."""
        mine = delete(sso_flows).where(sso_flows.c.digest == digest_of(handle)).returning(*sso_flows.c)
        with self._database.write() as connection:
            row = connection.execute(mine).one_or_none()
        if row is None or now >= row.expires_at:
            return None
        values = {name: value for name, value in row._mapping.items() if name != "digest"}  # noqa: SLF001 - its public name
        return replace(SsoFlow(**values), purpose=Purpose(row.purpose))

    def use(self, provider: str, id: str, expires_at: float) -> bool:  # noqa: A002 - the standard's name
        """Note that this assertion or token lets somebody in; False if it did before."""
        row = {"provider": provider, "digest": digest_of(id), "expires_at": expires_at}
        try:
            with self._database.write() as connection:
                connection.execute(insert(sso_used), row)
        except Conflict:
            return False
        return True

    def prune(self, now: float) -> int:
        """Forget what has run out; the number is given."""
        with self._database.write() as connection:
            flows = connection.execute(delete(sso_flows).where(sso_flows.c.expires_at <= now)).rowcount
            return flows + connection.execute(delete(sso_used).where(sso_used.c.expires_at <= now)).rowcount


def digest_of(secret: str) -> bytes:
    """Give what is kept of a handle or cookie of 256 random bits: SHA-256 needs no salt there."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
