"""From a provider's answer to a session of the portal: each step once, in a fixed order, and failing closed.

Flow, browser, verification, one-time use, just-in-time user, broker, session. What was refused is kept for admins;
the browser is told the same whatever the reason.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from auth_backends.api import Clock, Decision, FrontEnd, Granted, Reason, SsoAssertion, TryLater
from auth_backends.sso import Check, SsoReason, SsoRefused
from config.sso import SsoProvider
from server.default_group import default_group
from server.sso.answers import Answers
from server.sso.party import Hints, Reply, Vouched
from server.sso.providers import SignInProviders
from storage.database.jit_changes import SignInJit
from storage.database.records import Method
from storage.database.sso_flows import FLOW_S, Purpose, SsoFlow, digest_of
from storage.database.store import Conflict, InvalidChange, Store

if TYPE_CHECKING:
    from server.portal import Portal
    from server.sign_in import SignIn

log = structlog.get_logger(__name__)

MAX_HANDLE = 100


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Come in: the session's cookie, and where the person wanted to go."""

    cookie: str
    return_to: str


@dataclass(frozen=True, slots=True)
class Tested:
    """A test sign-in ended; the kept answer of this number says how."""

    number: int


@dataclass(frozen=True, slots=True)
class NotSignedIn:
    """Stay out; the kept answer of this number says why, to an admin. ``later`` means that nobody could tell."""

    number: int
    later: bool = False


Outcome = SignedIn | Tested | NotSignedIn


class SsoSignIn:
    """Blocking and thread-safe. Every method raises StoreError when nobody can tell."""

    def __init__(
        self, store: Store, providers: SignInProviders, sign_in: SignIn, portal: Portal, *, clock: Clock = time.time
    ) -> None:
        self._store = store
        self._providers = providers
        self._sign_in = sign_in
        self._portal = portal
        self._answers = Answers(store)
        self._clock = clock

    def begin(self, provider: str, browser: str, return_to: str, purpose: Purpose, hints: Hints) -> str:
        """Give the address at the provider where this browser is sent. Raises SsoRefused, too."""
        party, now = self._providers.party(provider), self._clock()
        request_id, code_verifier = party.new_request()
        flow = SsoFlow(provider, purpose, digest_of(browser), request_id, return_to, now, now + FLOW_S, code_verifier)
        return party.begin(flow, self._store.sso_flows.begin(flow), hints, now)

    def finish(self, reply: Reply) -> Outcome:
        """Take the answer that a browser brought."""
        flow: SsoFlow | None = None
        try:
            self._providers.settings(reply.provider)
        except SsoRefused:  # nothing is kept under a name that a stranger made up
            return NotSignedIn(0)
        try:
            flow = self._flow(reply)
            vouched = self._providers.party(reply.provider).finish(reply.fields, flow, self._clock())
            self._use(reply.provider, vouched)
        except SsoRefused as refused:
            purpose = Purpose.SIGN_IN if flow is None else flow.purpose
            number = self._answers.refused(reply, purpose, refused, self._clock())
            if purpose is Purpose.TEST:
                return Tested(number)
            return NotSignedIn(number, later=refused.reason is SsoReason.PROVIDER_UNREACHABLE)
        if flow is not None and flow.purpose is Purpose.TEST:
            return Tested(self._answers.tested(reply, vouched, self._tried(reply, vouched), self._clock()))
        return self._let_in(reply, vouched, flow)

    # The steps --------------------------------------------------------------------------------------

    def _flow(self, reply: Reply) -> SsoFlow | None:
        """Give the flow that this answer belongs to; None where the provider may begin, and did."""
        known = 0 < len(reply.handle) <= MAX_HANDLE
        flow = self._store.sso_flows.take(reply.handle, self._clock()) if known else None
        if flow is None:
            if self._providers.party(reply.provider).unsolicited:
                return None
            raise SsoRefused(SsoReason.UNKNOWN_REQUEST, "no sign-in that began here waits for this answer")
        if flow.provider != reply.provider or flow.purpose is Purpose.SIGN_OUT:
            raise SsoRefused(SsoReason.UNKNOWN_REQUEST, f"the sign-in had begun at {flow.provider}")
        if flow.browser != digest_of(reply.browser):
            raise SsoRefused(SsoReason.OTHER_BROWSER, "the sign-in had begun in another browser")
        return flow

    def _use(self, provider: str, vouched: Vouched) -> None:
        if not self._store.sso_flows.use(provider, vouched.once, vouched.until):
            raise SsoRefused(SsoReason.REPLAYED, "the answer has let somebody in before", vouched.checks)

    def _let_in(self, reply: Reply, vouched: Vouched, flow: SsoFlow | None) -> Outcome:
        note = self._provision(reply.provider, vouched)
        decision = self._decide(reply, vouched)
        if not isinstance(decision, Granted):
            number = self._answers.not_let_in(reply, vouched, decision, note, self._clock())
            return NotSignedIn(number, later=isinstance(decision, TryLater))
        cookie = self._portal.open(decision, reply.provider, vouched.person.subject, vouched.logout)
        return SignedIn(cookie, flow.return_to if flow is not None else "/account")

    def _provision(self, provider: str, vouched: Vouched) -> str:
        """Make or follow the user as the provider's settings say; give why it was refused, if it was."""
        settings = self._providers.settings(provider)
        make = settings.jit and not self._scim_is_on(provider)
        groups = vouched.person.groups if settings.token_groups else None
        if not make and groups is None:
            return ""
        try:
            group = self._default_group(settings.default_group if make else None)
            change = _change(provider, settings, vouched, groups, make=make, default_group=group)
            self._store.apply(change, actor=f"sso:{provider}")
        except (Conflict, InvalidChange) as error:
            log.info("sso.not_provisioned", provider=provider, subject=vouched.person.subject, reason=error.message)
            return error.message
        return ""

    def _decide(self, reply: Reply, vouched: Vouched) -> Decision:
        person = vouched.person
        claims: dict[str, object] = {name: list(values) for name, values in person.claims.items()}
        assertion = SsoAssertion(reply.provider, person.subject, claims)
        return self._sign_in.authenticate(FrontEnd.PORTAL, assertion, reply.peer)

    def _scim_is_on(self, provider: str) -> bool:
        now = self._clock()
        return any(token.is_live(now) for token in self._store.scim_tokens.list(provider))

    def _default_group(self, name: str | None) -> str | None:
        return default_group(self._store, name, lambda change: self._store.apply(change, actor="sso"), Conflict)

    def _tried(self, reply: Reply, vouched: Vouched) -> Check:
        """Say which user a test sign-in would be, and whether that user could come in."""
        user = self._store.users.by_identity(reply.provider, vouched.person.subject)
        if user is not None:
            told = f"{user.name}, {user.status}, method {user.method}"
            elsewhere = user.provider != reply.provider
            refusal = Reason.NOT_LINKED if elsewhere else self._portal.refusal_of(user, reply.peer)
            return Check("user", refusal is None, told if refusal is None else f"{told}: {refusal.value}")
        if self._providers.settings(reply.provider).jit and not self._scim_is_on(reply.provider):
            return Check("user", passed=True, detail=f"a new user {vouched.person.login} would be made")
        return Check("user", passed=False, detail="nobody is linked to this subject, and none would be made")


def _change(
    provider: str,
    settings: SsoProvider,
    vouched: Vouched,
    groups: frozenset[str] | None,
    *,
    make: bool,
    default_group: str | None,
) -> SignInJit:
    person = vouched.person
    return SignInJit(
        provider,
        Method(settings.method.value),
        person.subject,
        person.login,
        person.display_name,
        person.email,
        groups,
        make=make,
        home_by_id=settings.home_layout.value == "id",
        protocols=frozenset(settings.protocols),
        default_group=default_group,
    )
