"""The bridge from asyncio front ends to the blocking core: pools of threads, and no other way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

ABROAD_THREADS = 16  # they mostly wait; made when they are needed


class Bridge:
    """Run blocking calls of the core for an event loop; its kinds of calls cannot starve each other.

    A call that was handed over always runs to its end, also when the task that awaits it is
    cancelled: a client that hangs up neither stops a bind at the directory nor hides its outcome.
    """

    def __init__(self, auth_threads: int, io_threads: int, provision_threads: int = 1) -> None:
        self._auth = ThreadPoolExecutor(auth_threads, thread_name_prefix="auth")
        self._io = ThreadPoolExecutor(io_threads, thread_name_prefix="io")
        self._provision = ThreadPoolExecutor(provision_threads, thread_name_prefix="provision")
        self._look_ups = ThreadPoolExecutor(provision_threads, thread_name_prefix="look-up")
        self._abroad = ThreadPoolExecutor(ABROAD_THREADS, thread_name_prefix="abroad")

    async def auth(self, call: Callable[..., T], *args: object, abandoned: Callable[[T], object] | None = None) -> T:
        """Run a sign-in step; see :meth:`io` for ``abandoned``."""
        return await _handed_over(self._auth, partial(call, *args), abandoned)

    async def io(self, call: Callable[..., T], *args: object, abandoned: Callable[[T], object] | None = None) -> T:
        """Run a file operation and give its result, or raise what it raised.

        If the awaiting task is cancelled meanwhile, the call still runs to its end; then
        ``abandoned`` gets the result (in the worker thread), so that an opened file is closed and
        a session ended. An exception that nobody awaits any more is logged.
        """
        return await _handed_over(self._io, partial(call, *args), abandoned)

    async def provision(self, call: Callable[..., T], *args: object) -> T:
        """Run a change that an identity provider asks for; a leaver must not wait for slow file operations."""
        return await _handed_over(self._provision, partial(call, *args), None)

    async def look_up(self, call: Callable[..., T], *args: object) -> T:
        """Run a question of an identity provider: what takes long must not hold up its changes."""
        return await _handed_over(self._look_ups, partial(call, *args), None)

    async def abroad(self, call: Callable[..., T], *args: object) -> T:
        """Run a step that may wait for somebody else's server: passwords and files wait for none."""
        return await _handed_over(self._abroad, partial(call, *args), None)

    def shutdown(self, *, wait: bool = True) -> None:
        """Take no more calls; with ``wait``, return when those in hand have ended."""
        self._auth.shutdown(wait=wait)
        self._io.shutdown(wait=wait)
        self._provision.shutdown(wait=wait)
        self._look_ups.shutdown(wait=wait)
        self._abroad.shutdown(wait=wait)


async def _handed_over(pool: ThreadPoolExecutor, call: Callable[[], T], abandoned: Callable[[T], object] | None) -> T:
    work = pool.submit(call)
    outcome = asyncio.wrap_future(work)
    try:
        # shield: wrap_future would cancel a call that still waits for a thread, and it would be lost
        return await asyncio.shield(outcome)
    except asyncio.CancelledError:
        outcome.add_done_callback(_look_at)
        work.add_done_callback(partial(_settle, abandoned))
        raise


def _look_at(outcome: asyncio.Future[T]) -> None:
    """Take note of an exception that nobody awaits; asyncio would log it with a traceback."""
    if not outcome.cancelled():
        outcome.exception()


def _settle(abandoned: Callable[[T], object] | None, work: Future[T]) -> None:
    """See an outcome through that nobody awaits any more."""
    if work.cancelled():
        return
    error = work.exception()
    if error is not None:
        log.warning("bridge.abandoned_call_failed", error=type(error).__name__)
        return
    if abandoned is None:
        return
    try:
        abandoned(work.result())
    except Exception:
        log.exception("bridge.abandoned_result_not_settled")
