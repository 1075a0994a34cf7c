"""The sessions of the portal: opened from the broker's decision, and judged again by every request.

A session is a row and belongs to no process, so that what ends it counts on every worker with the next request.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from auth_backends.api import Clock, Factor, FrontEnd, Granted, Principal, Reason
from auth_backends.broker import Broker
from config.settings import PortalSettings
from server.peers import peer_address
from storage.database.portal_sessions import TOUCH_INTERVAL_S, PortalSession
from storage.database.records import User
from storage.database.store import Store

log = structlog.get_logger(__name__)

SUBJECT = "subject"
"""Where a session keeps the immutable id that its provider vouched for, beside what single logout needs."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who makes a request to the portal, with the present rights of the user."""

    user: User
    session: PortalSession


class Portal:
    """Blocking and thread-safe. Every method raises StoreError when nobody can tell.

    ``is_gone`` says of an identity provider whether the site does not know it any more.
    """

    def __init__(
        self,
        store: Store,
        broker: Broker,
        settings: PortalSettings,
        *,
        clock: Clock = time.time,
        is_gone: Callable[[str], bool] = lambda _provider: False,
    ) -> None:
        self._store = store
        self._broker = broker
        self._settings = settings
        self._clock = clock
        self._is_gone = is_gone

    def open(self, granted: Granted, provider: str, subject: str = "", logout: Mapping[str, str] | None = None) -> str:
        """Open a session for who was let in, and give its cookie.

        ``provider`` is who vouched for ``subject``; both are empty for password sign-ins.
        """
        principal, now = granted.principal, self._clock()
        ends = [now + self._settings.session_s, *([granted.not_after] if granted.not_after is not None else [])]
        session = PortalSession(
            id=uuid.uuid4().hex,
            user_id=principal.user.id,
            user_name=principal.user.name,
            epoch=granted.epoch,
            factor=principal.factor.value,
            method=principal.user.method,
            provider=provider,
            peer=str(principal.peer or ""),
            opened_at=now,
            seen_at=now,
            expires_at=min(ends),
            password_version=principal.password_version,
            logout={**(logout or {}), SUBJECT: subject} if provider else {},
        )
        cookie = self._store.portal.open(session)
        log.info("portal.session_opened", session=session.id, user=session.user_name, factor=session.factor)
        return cookie

    def visitor(self, cookie: str | None, peer: str) -> Visitor | None:
        """Give who has this cookie and comes from there, or None if the session is over: then it ends for good."""
        session = None if not cookie else self._store.portal.find(cookie)
        if session is None:
            return None
        now = self._clock()
        if now >= session.expires_at or now - session.seen_at >= self._settings.idle_s:
            self.end(session, "expired")
            return None
        user = self._store.users.by_id(session.user_id)
        reason = Reason.UNKNOWN_USER if user is None else self._why_over(user, session, peer)
        if user is None or reason is not None:
            self.end(session, "" if reason is None else reason.value)
            return None
        every_s = min(TOUCH_INTERVAL_S, self._settings.idle_s / 4)
        self._store.portal.touch(session, now, user.epoch, every_s=every_s)
        return Visitor(user, session)

    def _why_over(self, user: User, session: PortalSession, peer: str) -> Reason | None:
        if session.provider and user.provider != session.provider:  # what one provider said is nothing to another
            return Reason.METHOD_CHANGED
        if session.provider and self._is_gone(session.provider):  # removed or renamed: an admin trusts it no more
            return Reason.NO_BACKEND
        if session.provider and user.epoch != session.epoch and not self._is_linked(user, session):
            return Reason.NOT_LINKED
        return self._broker.still_valid(user, _principal(user, session, peer))

    def refusal_of(self, user: User, peer: str) -> Reason | None:
        """Say why an identity provider's word would not let this user in from there, or None."""
        place = peer_address(peer)
        return self._broker.still_valid(user, Principal(user, Factor.SSO, None, front_end=FrontEnd.PORTAL, peer=place))

    def _is_linked(self, user: User, session: PortalSession) -> bool:
        """Whether the one for whom the provider vouched is this user still; to be asked when something has changed."""
        linked = self._store.users.by_identity(session.provider, session.logout.get(SUBJECT, ""))
        return linked is not None and linked.id == user.id

    def replace(self, cookie: str | None) -> None:
        """End the session of a cookie in whose place the browser gets another."""
        session = None if not cookie else self._store.portal.find(cookie)
        if session is not None:
            self.end(session, "replaced")

    def end(self, session: PortalSession, reason: str) -> bool:
        """End a session on all workers; False if it had ended."""
        now = self._clock()
        ended = self._store.portal.end(session.id, reason, now)
        if ended:
            log.info("portal.session_ended", session=session.id, user=session.user_name, reason=reason)
        return ended


def _principal(user: User, session: PortalSession, peer: str) -> Principal:
    """Who was let in, as far as a session keeps it: with the method of that time, so that a change of it ends it.

    The place is that of the request: a cookie that was carried away opens nothing outside of the user's networks.
    """
    return Principal(
        replace(user, method=session.method),
        Factor(session.factor),
        None,
        front_end=FrontEnd.PORTAL,
        peer=peer_address(peer),
        password_version=session.password_version,
    )
