"""The SFTP worker: one event loop, one listening socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from socket import socket
from typing import TYPE_CHECKING, Final

import structlog
import uvloop

from server.runtime.bridge import Bridge
from server.sftp.algorithms import connection_options
from server.sftp.authentication import Doorman
from server.sftp.connection import Connection
from server.sftp.site import Site

if TYPE_CHECKING:
    from server.services import Control, Services

log = structlog.get_logger(__name__)

AUTH_THREADS: Final = 16  # binds at a slow directory wait here, and hold up nothing else
IO_THREADS: Final = 16
BACKLOG: Final = 512
SETTLE_S: Final = 3.0  # how long ended connections may take to abort and to close their sessions
SHUTTING_DOWN: Final = "The server is shutting down."


def run(services: Services, sockets: Sequence[socket], control: Control) -> None:
    """Serve SFTP on the one socket until drained. Blocks."""
    (listener,) = sockets
    logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it logs commands, paths and names at INFO
    bridge = Bridge(AUTH_THREADS, IO_THREADS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(services, listener, control, bridge))
    finally:
        bridge.shutdown()


async def _serve(services: Services, listener: socket, control: Control, bridge: Bridge) -> None:
    loop = asyncio.get_running_loop()
    site = Site(services.settings, services.sign_in, bridge)
    options = connection_options(services.keys.ssh_host_keys, lambda: Doorman(site))
    server = await loop.create_server(lambda: Connection(loop, options), sock=listener, backlog=BACKLOG)
    drain: asyncio.Future[float] = loop.create_future()

    def begin_drain(grace_s: float) -> None:
        if not drain.done():
            drain.set_result(grace_s)

    def on_drain(grace_s: float) -> None:
        loop.call_soon_threadsafe(begin_drain, grace_s)

    control.on_drain(on_drain)
    log.info("sftp.serving", address=listener.getsockname())
    control.ready()

    grace_s = await drain
    site.draining = True
    server.close()
    log.info("sftp.draining", connections=len(site.doormen), grace_s=grace_s)
    await asyncio.gather(*(_dismiss(doorman, grace_s) for doorman in list(site.doormen)))
    await site.settled(SETTLE_S)
    log.info("sftp.drained")


async def _dismiss(doorman: Doorman, grace_s: float) -> None:
    """Let a connection's transfers end within the grace, then end it; what is open by then is aborted."""
    client = doorman.client
    if client is not None:
        try:
            await asyncio.wait_for(client.idle.wait(), grace_s)
        except TimeoutError:
            log.warning("sftp.drain_timeout", session=client.session.id)
            doorman.abort()
            return
    doorman.say_goodbye(SHUTTING_DOWN)
