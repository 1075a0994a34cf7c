"""What is kept of a provider's answers for admins: the checks, the claims, and what came without its secrets."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

import structlog

from auth_backends.api import Decision, Granted
from auth_backends.sso import Check, SsoRefused
from server.sso.party import Reply, Vouched
from storage.database.sso_answers import SsoAnswer
from storage.database.sso_flows import Purpose
from storage.database.store import Store

log = structlog.get_logger(__name__)

MAX_BODY = 64 * 1024
MASK = "[redacted]"
_SECRET_ELEMENTS = re.compile(
    r"(<(?P<tag>(?:[\w.-]{1,64}:)?(?:SignatureValue|CipherValue|X509Certificate|DigestValue))\b[^>]{0,1000}>)[^<]*",
    re.DOTALL,
)


class Answers:
    """Blocking and thread-safe. Every method raises StoreError; each gives the number of the kept answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def refused(
        self,
        reply: Reply,
        purpose: Purpose,
        refused: SsoRefused,
        at: float,
    ) -> int:
        """Keep an answer that was not believed."""
        log.warning("sso.refused", provider=reply.provider, reason=refused.reason.value, peer=reply.peer)
        self._store.audit.add(
            "sign_in",
            f"sso:{reply.provider}",
            "",
            "refused",
            f"sso_{refused.reason.value}",
            front_end="portal",
            peer=reply.peer,
            at=at,
        )
        return self._store.sso_answers.add(
            SsoAnswer(
                provider=reply.provider,
                purpose=purpose.value,
                outcome="refused",
                reason=refused.reason.value,
                detail=refused.detail,
                peer=reply.peer,
                at=at,
                checks=[_shown(check) for check in refused.checks],
                body=redacted(reply.fields),
            )
        )

    def not_let_in(self, reply: Reply, vouched: Vouched, decision: Decision, note: str, at: float) -> int:
        """Keep an answer that was believed, of somebody who may not come in; the broker has written the audit event."""
        reason = "granted" if isinstance(decision, Granted) else decision.reason.value
        return self._store.sso_answers.add(
            SsoAnswer(
                provider=reply.provider,
                purpose=Purpose.SIGN_IN.value,
                outcome="not_let_in",
                reason=reason,
                detail=note,
                peer=reply.peer,
                at=at,
                subject=vouched.person.subject,
                checks=[_shown(check) for check in vouched.checks],
                claims=vouched.person.claims,
            )
        )

    def tested(self, reply: Reply, vouched: Vouched, user: Check, at: float) -> int:
        """Keep what a test sign-in has shown; nobody is signed in by it."""
        return self._store.sso_answers.add(
            SsoAnswer(
                provider=reply.provider,
                purpose=Purpose.TEST.value,
                outcome="ok" if user.passed else "not_let_in",
                reason="",
                detail=user.detail,
                peer=reply.peer,
                at=at,
                subject=vouched.person.subject,
                checks=[_shown(check) for check in (*vouched.checks, user)],
                claims=vouched.person.claims,
            )
        )


def redacted(answer: Mapping[str, str]) -> str:
    """Give a SAML response as XML without signatures, certificates and what is encrypted; of codes nothing is kept."""
    response = answer.get("SAMLResponse", "")[:MAX_BODY]
    if not response:
        return "\n".join(f"{name}={MASK}" for name in sorted(answer) if len(name) <= 64)[:MAX_BODY]  # noqa: PLR2004 - a sane name
    try:
        text = base64.b64decode(response + "=" * (-len(response) % 4)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return "not base64"
    return _SECRET_ELEMENTS.sub(rf"\1{MASK}", text)


def _shown(check: Check) -> dict[str, object]:
    return {"name": check.name, "passed": check.passed, "detail": check.detail}
