"""The bridge between asyncio and the blocking core."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Iterator

import pytest

from server.runtime.bridge import ABROAD_THREADS, Bridge


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = Bridge(1, 1)
    yield bridge
    bridge.shutdown()


def test_results_and_exceptions_come_back(bridge: Bridge) -> None:
    """A call's result is given and its exception raised, from either pool."""

    async def scenario() -> int:
        with pytest.raises(ZeroDivisionError):
            await bridge.auth(divmod, 1, 0)
        return await bridge.io(max, 1, 2)

    assert asyncio.run(scenario()) == 2


def test_a_cancelled_await_does_not_lose_the_outcome(bridge: Bridge) -> None:
    """The call runs to its end and its result reaches ``abandoned``, even if it had not started."""
    gate, settled = threading.Event(), threading.Event()
    results: list[str] = []

    def settle(result: str) -> None:
        results.append(result)
        settled.set()

    async def scenario() -> None:
        blocker = asyncio.create_task(bridge.auth(gate.wait, 10))
        queued = asyncio.create_task(bridge.auth(lambda: "session", abandoned=settle))
        await asyncio.sleep(0)
        queued.cancel()
        with pytest.raises(asyncio.CancelledError):
            await queued
        gate.set()
        await blocker

    asyncio.run(scenario())

    assert settled.wait(10)
    assert results == ["session"]


def test_the_pools_do_not_starve_each_other(bridge: Bridge) -> None:
    """A sign-in that hangs in every auth thread does not hold up files."""
    gate = threading.Event()

    async def scenario() -> str:
        hanging = asyncio.create_task(bridge.auth(gate.wait, 10))
        await asyncio.sleep(0)
        answer = await asyncio.wait_for(bridge.io(lambda: "read"), 5)
        gate.set()
        await hanging
        return answer

    assert asyncio.run(scenario()) == "read"


def test_a_failing_call_that_nobody_awaits_does_not_harm_the_pool(bridge: Bridge) -> None:
    """An exception of an abandoned call is swallowed into the log and the thread serves on."""
    gate = threading.Event()

    def fail() -> None:
        gate.wait(10)
        raise RuntimeError

    async def scenario() -> str:
        doomed = asyncio.create_task(bridge.io(fail))
        await asyncio.sleep(0)
        doomed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doomed
        gate.set()
        return await bridge.io(lambda: "still here")

    assert asyncio.run(scenario()) == "still here"


def test_the_failure_of_an_abandoned_call_is_no_unretrieved_exception() -> None:
    """It is logged once by the bridge, and not again by asyncio with a traceback."""
    complaints: list[dict[str, object]] = []
    started, go_on = threading.Event(), threading.Event()

    def fails() -> None:
        started.set()
        go_on.wait(5)
        raise OSError("gone")

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        bridge = Bridge(1, 1)
        task = asyncio.create_task(bridge.io(fails))
        await asyncio.to_thread(started.wait, 5)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        go_on.set()
        await asyncio.to_thread(bridge.shutdown)
        del task
        gc.collect()

    asyncio.run(scenario())
    gc.collect()

    assert complaints == []


def test_what_waits_for_other_servers_holds_up_no_sign_in(bridge: Bridge) -> None:
    """Passwords are checked while every step that goes abroad hangs, which are many at a time."""
    gate = threading.Event()

    async def scenario() -> int:
        hanging = [asyncio.create_task(bridge.abroad(gate.wait, 10)) for _ in range(ABROAD_THREADS + 1)]
        answer = await bridge.auth(max, 1, 2)
        gate.set()
        await asyncio.gather(*hanging)
        return answer

    assert asyncio.run(scenario()) == 2
