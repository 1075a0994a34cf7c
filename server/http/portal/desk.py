"""What the portal's pages are made with: the services, the pages, and who asks."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from starlette.requests import Request
from starlette.responses import Response

from server.http.portal import cookies
from server.http.portal.pages import Pages, sent_to
from server.portal import Visitor
from server.runtime.bridge import Bridge
from server.services import Services
from server.sso.addresses import origin_of
from server.sso.desk import SingleSignOn
from storage.database.names import shown

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that a route needs."""

    services: Services
    bridge: Bridge
    pages: Pages
    sso: SingleSignOn

    async def visitor(self, request: Request) -> Visitor | None:
        """Give who asks, or None. Raises StoreError."""
        return await self.bridge.auth(self.sso.portal.visitor, cookies.session_of(request), peer_of(request))

    def is_from_here(self, request: Request) -> bool:
        """Whether a form was posted by a page of ours: browsers name its origin (Fetch standard, section 3.2)."""
        origin, ours = request.headers.get("origin"), origin_of(self.services.settings)
        if origin != ours:  # a site whose portal.public_url is not what browsers use finds out here
            log.info("portal.other_origin", origin=shown(origin or ""), expected=ours, path=request.url.path)
        return origin == ours

    async def enter(self, request: Request, response: Response, cookie: str) -> None:
        """Give a new session to the browser; the one that it had is over, as nobody could end that any more."""
        await self.bridge.auth(self.sso.portal.replace, cookies.session_of(request))
        cookies.set_session(response, cookie)


def peer_of(request: Request) -> str:
    """Give the address of the client."""
    return request.client.host if request.client is not None else ""


def to_sign_in() -> Response:
    """Send the browser to the sign-in page."""
    return sent_to("/sign-in")
