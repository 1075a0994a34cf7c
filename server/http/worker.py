"""The http role: one event loop that serves the HTTPS port until it is drained."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence

import structlog
import uvloop

from server.http.app import HttpApplication
from server.http.listener import Listener, Tls
from server.http.portal.mount import PortalMount
from server.http.scim.mount import ScimMount
from server.runtime.bridge import Bridge
from server.services import Control, Services
from server.webdav.endpoint import DavEndpoint

log = structlog.get_logger(__name__)

AUTH_THREADS = 8
PROVISION_THREADS = 4
LAST_WORDS_S = 2.0  # for what was cut at the end of the grace


def run(services: Services, sockets: Sequence[socket.socket], control: Control) -> None:
    """Serve on the given listening sockets until drained."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(services, sockets, control))


async def _serve(services: Services, sockets: Sequence[socket.socket], control: Control) -> None:
    loop = asyncio.get_running_loop()
    draining: asyncio.Future[float] = loop.create_future()
    bridge = Bridge(AUTH_THREADS, services.settings.http.dav_threads, PROVISION_THREADS)
    dav = DavEndpoint(services, bridge)
    scim = ScimMount(services, bridge)
    app = HttpApplication(services.store, bridge, dav, scim, PortalMount(services, bridge))
    tls = Tls(services.keys.tls_certificate, services.keys.tls_key)
    listeners = [Listener(app, one, tls) for one in sockets]

    def begin_drain(grace_s: float) -> None:
        if not draining.done():
            draining.set_result(grace_s)

    def drain(grace_s: float) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it was drained already
            loop.call_soon_threadsafe(begin_drain, grace_s)

    sweeper = asyncio.create_task(dav.sweep())
    for listener in listeners:
        listener.start()
    control.on_drain(drain)
    control.ready()
    grace_s = await draining
    for listener in listeners:
        listener.stop()
    for one in sockets:
        one.close()  # while any process has it open, the kernel goes on taking connections for nobody
    ended = asyncio.gather(*(listener.ended() for listener in listeners))
    await asyncio.wait([ended], timeout=grace_s)
    if not ended.done():
        log.warning("http.grace_over")
    await dav.close()
    await asyncio.wait([ended], timeout=LAST_WORDS_S)
    sweeper.cancel()
    await scim.close()
    bridge.shutdown(wait=False)
