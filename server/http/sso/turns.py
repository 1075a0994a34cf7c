"""So many at a time for each identity provider: one whose servers are slow holds up nobody who signs in elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

AT_ONCE = 6
"""Of the threads of a worker that may wait for other servers, so many wait for one provider."""
WAIT_S = 8.0


class NoTurn(Exception):
    """Too many wait for this provider: nobody can tell now."""


class Turns:
    """Belongs to one event loop. Nothing is kept of a provider for which nobody waits: strangers make up names."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, provider: str) -> AsyncIterator[None]:
        """Hold one of the provider's turns. Raises NoTurn if none was free in time."""
        turns = self._turns.setdefault(provider, asyncio.Semaphore(self._at_once))
        try:
            async with asyncio.timeout(WAIT_S):
                await turns.acquire()
        except TimeoutError:
            raise NoTurn from None
        try:
            yield
        finally:
            turns.release()
