"""Where SCIM is served. What serves it is loaded with the first request: its libraries double a worker's start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.http.listener import Receive, Scope, Send
from server.runtime.bridge import Bridge
from server.services import Services

if TYPE_CHECKING:
    from server.http.scim.endpoint import ScimEndpoint

MOUNT = "/scim/v2"


def is_below_mount(path: bytes) -> bool:
    """Whether a raw path belongs to SCIM."""
    mount = MOUNT.encode()
    return path == mount or path.startswith(mount + b"/")


class ScimMount:
    """Hands requests to the endpoint, which is made for the first of them."""

    def __init__(self, services: Services, bridge: Bridge) -> None:
        self._services = services
        self._bridge = bridge
        self._endpoint: ScimEndpoint | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        async with self._loading:
            if self._endpoint is None:
                self._endpoint = await self._bridge.provision(self._load)
        await self._endpoint(scope, receive, send)

    async def close(self) -> None:
        """Let the endpoint write what it has still to write."""
        if self._endpoint is not None:
            await self._endpoint.close()

    def _load(self) -> ScimEndpoint:
        from server.http.scim.endpoint import ScimEndpoint  # noqa: PLC0415 - see above

        return ScimEndpoint(self._services, self._bridge)
