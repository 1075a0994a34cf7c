"""The ASGI application of the HTTPS port: which path belongs to whom."""

from __future__ import annotations

import structlog

from server.http.listener import AsgiApp, Receive, Scope, Send
from server.http.portal.mount import is_portal
from server.http.scim.mount import is_below_mount as is_below_scim
from server.runtime.bridge import Bridge
from server.webdav.dav_server import CAPABILITIES
from server.webdav.urls import is_below_mount
from server.webdav.wsgi_bridge import send_text
from storage.database.store import Store, StoreError

log = structlog.get_logger(__name__)

WELCOME = "This is a Quaymaster file server. WebDAV clients connect to /dav/, and browsers to /sign-in."


class HttpApplication:
    """Answers health itself and hands /dav/, /scim/v2 and the portal's pages on."""

    def __init__(self, store: Store, bridge: Bridge, dav: AsgiApp, scim: AsgiApp, portal: AsgiApp) -> None:
        self._store = store
        self._bridge = bridge
        self._dav = dav
        self._scim = scim
        self._portal = portal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: bytes = scope["raw_path"]
        if is_below_mount(path):
            await self._dav(scope, receive, send)
            return
        if is_below_scim(path):
            await self._scim(scope, receive, send)
            return
        if is_portal(path):
            await self._portal(scope, receive, send)
            return
        method = scope["method"]
        if method == "OPTIONS":  # Windows and Office ask here before they look at /dav/
            await send_text(send, 200, "", CAPABILITIES)
            return
        status, text = await self._answer(method, path)
        allow = [("Allow", "GET, HEAD, OPTIONS")] if status == 405 else []  # noqa: PLR2004 - RFC 9110 15.5.6
        await send_text(send, status, "" if method == "HEAD" else text, allow)

    async def _answer(self, method: str, path: bytes) -> tuple[int, str]:
        if path not in {b"/", b"/healthz", b"/readyz"}:
            return 404, "There is nothing here."
        if method not in {"GET", "HEAD"}:
            return 405, "This method is not served here."
        match path:
            case b"/healthz":
                return 200, "ok"
            case b"/readyz":
                return await self._ready()
            case _:
                return 200, WELCOME

    async def _ready(self) -> tuple[int, str]:
        """Whether the user store answers; without it nobody can sign in."""
        try:
            await self._bridge.io(self._store.ping)
        except StoreError as error:
            log.warning("http.not_ready", error=type(error).__name__)
            return 503, "The user store does not answer."
        return 200, "ready"
