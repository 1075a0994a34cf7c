"""Where the portal is served. What serves it is loaded with its first request: it would double a worker's start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.http.listener import Receive, Scope, Send
from server.runtime.bridge import Bridge
from server.services import Services

if TYPE_CHECKING:
    from starlette.applications import Starlette

EXACT = frozenset({b"/sign-in", b"/sign-out", b"/signed-out", b"/account", b"/portal.css"})
BELOW = (b"/sso/", b"/account/")


def is_portal(path: bytes) -> bool:
    """Whether a raw path belongs to the portal."""
    return path in EXACT or path.startswith(BELOW)


class PortalMount:
    """Hands requests to the portal's application, which is made for the first of them."""

    def __init__(self, services: Services, bridge: Bridge) -> None:
        self._services = services
        self._bridge = bridge
        self._application: Starlette | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        async with self._loading:
            if self._application is None:
                self._application = await self._bridge.auth(self._load)
        await self._application(scope, receive, send)

    def _load(self) -> Starlette:
        from server.http.portal.application import portal_application  # noqa: PLC0415 - see above

        return portal_application(self._services, self._bridge)
