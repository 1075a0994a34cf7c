"""Connections that are kept: how many, for how long, and what becomes of those that failed."""

from __future__ import annotations

from typing import cast

import pytest

from auth_backends.ldap.connection import LdapConnection
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.dialer import Dialer
from auth_backends.ldap.errors import AnswerMissing, AnswerUnusable, SearchRefused
from auth_backends.ldap.pool import AGE_S, IDLE_S, Pool

ONE, TWO = ("one", 636), ("two", 636)


class Made:
    """A connection that only remembers what was done with it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.is_open = self.idle = True
        self.deadline = Deadline(0.0)

    def is_idle(self) -> bool:
        return self.idle

    def close(self) -> None:
        self.is_open = False


class Site:
    """A pool of such connections, and a clock that tests turn."""

    def __init__(self, size: int = 3) -> None:
        self.now = 1000.0
        self.made: list[Made] = []
        self.pool = Pool(cast("Dialer", self), size, lambda: self.now)

    def open_as_service(self, address: tuple[str, int], _: Deadline) -> Made:
        self.made.append(Made(address))
        return self.made[-1]

    def ask(self, address: tuple[str, int] = ONE, error: Exception | None = None) -> Made:
        def question(connection: LdapConnection) -> Made:
            if error is not None:
                raise error
            return cast("Made", connection)

        return self.pool.ask(address, question, Deadline.after(4.0, lambda: self.now))

    def nested(self, depth: int) -> None:
        """Use so many connections at once."""
        if depth:
            self.pool.ask(ONE, lambda _: self.nested(depth - 1), Deadline.after(4.0, lambda: self.now))

    @property
    def open(self) -> int:
        return sum(connection.is_open for connection in self.made)


def test_one_is_enough_for_one_after_the_other() -> None:
    """Each server's own."""
    site = Site()
    used = [site.ask(address) for address in (ONE, ONE, TWO, ONE, TWO)]

    assert used == [site.made[0], site.made[0], site.made[1], site.made[0], site.made[1]]


@pytest.mark.parametrize("age", [IDLE_S, AGE_S])
def test_old_ones_are_not_used(age: float) -> None:
    """Neither after a long pause nor after a long life."""
    site = Site()
    steps = 20
    for _ in range(steps):
        site.ask()
        site.now += age / steps if age == AGE_S else 0
    site.now += 0 if age == AGE_S else age
    site.ask()

    assert len(site.made) == 2
    assert not site.made[0].is_open


def test_one_that_the_server_ended_is_not_used() -> None:
    """It is closed, and another one is made."""
    site = Site()
    site.ask().idle = False
    again = site.ask()

    assert again is site.made[1]
    assert site.open == 1


def test_no_more_are_kept_than_are_wanted() -> None:
    """Those that are too many, and those that nobody used for long, are closed."""
    site = Site(size=3)
    site.nested(5)
    kept = site.open
    site.now += IDLE_S
    site.ask()

    assert (kept, site.open) == (3, 1)


def test_one_that_failed_is_closed() -> None:
    """Unless the answer was a whole one."""
    site = Site()
    for error in (AnswerUnusable("x"), RuntimeError("x")):
        with pytest.raises(type(error)):
            site.ask(error=error)
    closed = site.open
    with pytest.raises(SearchRefused):
        site.ask(error=SearchRefused("x", "h", 32))

    assert (closed, site.open) == (0, 1)


def test_a_kept_one_that_gives_no_answer_is_tried_anew_once() -> None:
    """With half of the time left for it; a fresh one that gives none is an error, and so is the end of the time."""
    site = Site()
    site.ask()
    lefts: list[float] = []

    def question(connection: LdapConnection) -> None:
        lefts.append(connection.deadline.left())
        raise AnswerMissing("x")

    with pytest.raises(AnswerMissing):
        site.pool.ask(ONE, question, Deadline.after(4.0, lambda: site.now))
    first = list(lefts)
    site.ask()

    def late(_: LdapConnection) -> None:
        site.now += 4
        lefts.append(0)
        raise AnswerMissing("x")

    with pytest.raises(AnswerMissing):
        site.pool.ask(ONE, late, Deadline.after(4.0, lambda: site.now))

    assert first == [2.0, 4.0]
    assert len(lefts) == 3


def test_the_end_of_the_pool() -> None:
    """Idle ones are closed at once, those in use when they come back."""
    site = Site()
    site.nested(2)
    site.pool.ask(ONE, lambda _: site.pool.close(), Deadline.after(4.0))
    site.ask()

    assert site.open == 0
