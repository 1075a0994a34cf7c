"""What all connections of one SFTP worker share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from config.settings import Settings
from server.runtime.bridge import Bridge
from server.sftp.limits import StartupGate

if TYPE_CHECKING:
    from server.sftp.authentication import Doorman
    from server.sign_in import SignIn

T = TypeVar("T")


class Site:
    """Lives on the worker's event loop."""

    def __init__(self, settings: Settings, sign_in: SignIn, bridge: Bridge) -> None:
        self.settings = settings
        self.sign_in = sign_in
        self.bridge = bridge
        self.startups = StartupGate(settings.sftp.max_unauthenticated, settings.sftp.max_unauthenticated_per_network)
        self.doormen: set[Doorman] = set()
        self.draining = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something that outlives the connection it began for; the worker waits for it before it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def settled(self, timeout_s: float) -> None:
        """Wait until nothing spawned is left, at most so long."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self._tasks and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
