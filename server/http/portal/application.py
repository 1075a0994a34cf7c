"""The portal as one application: its pages, and sign-in by identity providers."""

from __future__ import annotations

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from server.http.portal.account import AccountRoutes
from server.http.portal.desk import Desk
from server.http.portal.pages import HEADERS, Pages
from server.http.portal.sign_in import SignInRoutes
from server.http.sso.routes import SsoRoutes
from server.own_keys import OwnKeys
from server.runtime.bridge import Bridge
from server.services import Services
from storage.database.store import StoreError

log = structlog.get_logger(__name__)

UNAVAILABLE = "The service cannot answer right now; try again in a few seconds."


def portal_application(services: Services, bridge: Bridge) -> Starlette:
    """Put the portal together."""
    pages = Pages()
    desk = Desk(services, bridge, pages, services.single_sign_on())

    async def stylesheet(request: Request) -> Response:  # noqa: ARG001 - every route's signature
        return pages.stylesheet()

    async def unavailable(request: Request, error: Exception) -> Response:
        log.warning("portal.store_unavailable", path=request.url.path, error=type(error).__name__)
        return PlainTextResponse(UNAVAILABLE, 503, HEADERS | {"Retry-After": "5"})

    async def refused(request: Request, error: Exception) -> Response:  # noqa: ARG001 - every handler's signature
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = HEADERS | dict((error.headers or {}) if isinstance(error, HTTPException) else {})
        words = "There is nothing here." if status == 404 else "This request is not served here."  # noqa: PLR2004 - RFC 9110 15.5.5
        return PlainTextResponse(words, status, headers)

    application = Starlette(
        routes=[
            Route("/portal.css", stylesheet, methods=["GET"]),
            *SignInRoutes(desk).routes(),
            *AccountRoutes(desk, OwnKeys(services.store, services.settings)).routes(),
            *SsoRoutes(desk).routes(),
        ],
        exception_handlers={StoreError: unavailable, HTTPException: refused, Exception: refused},
    )
    # Starlette 1.10 would send "/account/" to whatever host the request names.
    application.router.redirect_slashes = False
    return application
