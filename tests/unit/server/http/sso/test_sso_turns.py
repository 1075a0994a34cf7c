"""What strangers at the addresses of a provider can take from everybody else: turns, and looks at refused answers."""

from __future__ import annotations

import asyncio

import pytest

from server.http.sso import turns
from server.http.sso.turns import AT_ONCE, NoTurn, Turns
from server.sso import refusals
from server.sso.refusals import WINDOW_S, Refusals


def test_a_provider_has_so_many_turns_and_another_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits too long is told so; a turn that ended is free."""
    monkeypatch.setattr(turns, "WAIT_S", 0.05)

    async def scenario() -> list[str]:
        held, release, said = Turns(), asyncio.Event(), []

        async def hold() -> None:
            async with held.turn("slow"):
                await release.wait()

        holders = [asyncio.create_task(hold()) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(NoTurn):
            async with held.turn("slow"):
                said.append("came in")
        async with held.turn("quick"):
            said.append("another provider")
        release.set()
        await asyncio.gather(*holders)
        async with held.turn("slow"):
            said.append("free again")
        return said

    assert asyncio.run(scenario()) == ["another provider", "free again"]


def test_nothing_is_kept_of_who_waits_no_more() -> None:
    """Strangers make up names of providers."""

    async def scenario() -> int:
        held = Turns()
        for number in range(100):
            async with held.turn(f"made-up-{number}"):
                pass
        return len(held._turns)

    assert asyncio.run(scenario()) == 0


def test_a_turn_is_given_back_by_who_fails() -> None:
    """Also by a request that was cancelled."""

    async def scenario() -> str:
        held = Turns()
        for _ in range(2 * AT_ONCE):
            with pytest.raises(ZeroDivisionError):
                async with held.turn("slow"):
                    raise ZeroDivisionError
        async with asyncio.timeout(1), held.turn("slow"):
            return "free"

    assert asyncio.run(scenario()) == "free"


class Clock:
    """Seconds that a test turns."""

    now = 5.0

    def __call__(self) -> float:
        return self.now


def test_a_network_has_its_share_of_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours have theirs, and a minute later so has it."""
    monkeypatch.setattr(refusals, "AT_MOST", 3)
    clock = Clock()
    limit = Refusals(clock)
    before = []
    for last in (1, 2, 3):
        before.append(limit.too_many("192.0.2.9"))
        limit.count(f"192.0.2.{last}")

    assert before == [False] * 3
    assert (limit.too_many("192.0.2.200"), limit.too_many("::ffff:192.0.2.1"), limit.too_many("192.0.3.1")) == (
        True,
        True,
        False,
    )
    clock.now += WINDOW_S
    assert not limit.too_many("192.0.2.9")
