"""One signed-in SSH connection: its session, its open files, its channels, and whether it is idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from server.runtime.bridge import Bridge
from server.sftp.handles import OpenFiles

if TYPE_CHECKING:
    from server.sessions import Session

log = structlog.get_logger(__name__)

FAREWELL_S = 30.0  # how long requests that were received before a disconnect may take to end


class Client:
    """Lives on the event loop from sign-in until every request that was received has ended."""

    def __init__(
        self, session: Session, bridge: Bridge, *, idle_s: float, max_open_files: int, goodbye: Callable[[str], None]
    ) -> None:
        self.session = session
        self.bridge = bridge
        self.files = OpenFiles(session.workspace)
        self.max_open_files = max_open_files
        self.handles = 0  # open over all channels; the worker drains when it is 0
        self.idle = asyncio.Event()  # set while no handle is open and no request runs
        self.idle.set()
        self._idle_s = idle_s
        self._goodbye = goodbye
        self._loop = asyncio.get_running_loop()
        self._running = 0
        self._last = self._loop.time()
        self._serving: set[asyncio.Task[None]] = set()
        self._timer = self._loop.call_later(idle_s, self._check_idle)

    @property
    def name(self) -> str:
        """The user's login name."""
        return self.session.principal.user.name

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one request as running, and the connection as active when it begins and ends."""
        self._running += 1
        self.idle.clear()
        self._last = self._loop.time()
        try:
            yield
        finally:
            self._running -= 1
            self._last = self._loop.time()
            self._settle()

    def opened(self) -> None:
        """Note a handle that was opened."""
        self.handles += 1
        self.idle.clear()

    def closed(self, count: int = 1) -> None:
        """Note handles that were closed."""
        self.handles -= count
        self._settle()

    def serve(self, task: asyncio.Task[None]) -> None:
        """Note a channel's task; the session ends after all of them."""
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def leave(self, reason: str) -> None:
        """End the session once the requests that were received before the disconnect have ended.

        A CLOSE that was received counts even if the client did not wait for its answer; everything
        else that is open by then is aborted. After a revocation nothing is left to be done.
        """
        self._timer.cancel()
        if self._serving:
            await asyncio.wait(self._serving, timeout=FAREWELL_S)
        await self.bridge.io(self.session.end, reason)

    def _settle(self) -> None:
        if not self.handles and not self._running:
            self.idle.set()

    def _check_idle(self) -> None:
        quiet = self._loop.time() - self._last
        if quiet >= self._idle_s and not self._running:
            log.info("sftp.idle", session=self.session.id, user=self.name)
            self._goodbye("Closed after a long time without any request.")
            return
        wait = self._idle_s if self._running else self._idle_s - quiet
        self._timer = self._loop.call_later(wait, self._check_idle)
