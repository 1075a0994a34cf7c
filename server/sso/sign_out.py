"""Signing out, here and at the provider. It ends sessions of the portal: keys and transfers are not its business."""

from __future__ import annotations

import time

import structlog

from auth_backends.api import Clock
from auth_backends.sso import Form, SsoReason, SsoRefused
from server.portal import Portal
from server.sso.party import Carried, LogoutAnswer, LogoutRequest
from server.sso.providers import SignInProviders
from storage.database.portal_sessions import LogoutWord, PortalSession
from storage.database.sso_flows import FLOW_S, Purpose, SsoFlow, digest_of
from storage.database.store import Store

log = structlog.get_logger(__name__)

SIGNED_OUT = "/signed-out"


class SsoSignOut:
    """Blocking and thread-safe. Every method raises StoreError when nobody can tell."""

    def __init__(self, store: Store, providers: SignInProviders, portal: Portal, *, clock: Clock = time.time) -> None:
        self._store = store
        self._providers = providers
        self._portal = portal
        self._clock = clock

    def metadata(self, provider: str) -> bytes:
        """Give our SAML metadata for this provider. Raises SsoRefused if people do not sign in there by SAML."""
        return self._providers.party(provider).metadata()

    def from_here(self, cookie: str, browser: str) -> str | Form | None:
        """End the session of this cookie, and give the address or form that ends the one at the provider, if any."""
        session = self._store.portal.find(cookie) if cookie else None
        if session is None:
            return None
        self._portal.end(session, "signed_out")
        if not session.provider:
            return None
        try:
            return self._onward(session, browser)
        except SsoRefused as refused:  # the session here has ended all the same
            log.info("sso.no_single_logout", provider=session.provider, reason=refused.reason.value)
            return None

    def from_provider(self, provider: str, carried: Carried, peer: str) -> str | Form:
        """Take a message of single logout, and give how the browser goes on. Raises SsoRefused."""
        now = self._clock()
        match self._providers.party(provider).read_logout(carried, now):
            case LogoutRequest() as request:
                self._carry_out(request.word, "single_logout", peer, now)
                return request.answer or SIGNED_OUT
            case LogoutAnswer() as answer:
                flow = self._store.sso_flows.take(answer.handle, now)
                if flow is None or flow.provider != provider or flow.purpose is not Purpose.SIGN_OUT:
                    raise SsoRefused(SsoReason.UNKNOWN_REQUEST, "no sign-out that began here waits for this answer")
                if answer.in_response_to != flow.request_id:
                    raise SsoRefused(SsoReason.UNKNOWN_REQUEST, "the answer is to another request")
                return SIGNED_OUT

    def from_back_channel(self, provider: str, token: str, peer: str) -> int:
        """Take a logout token from a provider's server, and give the number of sessions ended. Raises SsoRefused."""
        now = self._clock()
        return self._carry_out(self._providers.party(provider).read_back_channel(token, now), "back_channel", peer, now)

    def _carry_out(self, word: LogoutWord, reason: str, peer: str, now: float) -> int:
        ended = self._store.portal.end_named(word, reason, now)
        if ended is None:
            raise SsoRefused(SsoReason.REPLAYED, "this word of a sign-out has come before")
        log.info("portal.sessions_ended", provider=word.provider, users=ended.users, n=ended.sessions, reason=reason)
        self._store.audit.add(
            "portal.single_logout",
            f"sso:{word.provider}",
            ended.users[0] if len(ended.users) == 1 else "",
            "ok",
            "asked_by_provider",
            front_end="portal",
            peer=peer,
            detail={"sessions": ended.sessions, "by": reason},
        )
        return ended.sessions

    def _onward(self, session: PortalSession, browser: str) -> str | Form | None:
        party, now = self._providers.party(session.provider), self._clock()
        request_id, _ = party.new_request()
        flow = SsoFlow(
            session.provider, Purpose.SIGN_OUT, digest_of(browser), request_id, SIGNED_OUT, now, now + FLOW_S
        )
        return party.sign_out(session.logout, self._store.sso_flows.begin(flow), request_id, now)
