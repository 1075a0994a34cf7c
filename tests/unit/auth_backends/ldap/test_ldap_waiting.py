"""Breakers, servers in order, memories, and how long callers wait."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from auth_backends.ldap.breaker import Breaker
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import (
    AnswerMissing,
    DirectoryUnreachable,
    HostsExhausted,
    NotConnected,
    OutcomeUnknown,
    SearchRefused,
    ServiceRefused,
)
from auth_backends.ldap.hosts import Address, Hosts
from auth_backends.ldap.remembered import Remembered
from auth_backends.ldap.unanswered import Unanswered
from auth_backends.ldap.waiting_room import LONGEST_MOMENT_S, MOMENT_S, SEATS, Overdue, Ticket, WaitingRoom
from tests.support.waiting import eventually

ONE, TWO, THREE = ("one", 636), ("two", 636), ("three", 636)


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


# Deadlines and breakers --------------------------------------------------------------------------


def test_deadlines(clock: Clock) -> None:
    """What is left never falls below nothing; a share leaves as much for each of the others."""
    deadline = Deadline.after(6.0, clock)
    shares = [deadline.share(parts).left() for parts in (0, 1, 2, 3)]
    clock.now += 7

    assert shares == [6.0, 6.0, 3.0, 2.0]
    assert deadline.left() == 0.0


def test_a_breaker_opens_after_three_failures_in_a_row(clock: Clock) -> None:
    """An answer in between starts anew."""
    breaker = Breaker(clock)
    for _ in range(2):
        breaker.failed()
    breaker.worked()
    for _ in range(2):
        breaker.failed()
    assert breaker.may_try()
    breaker.failed()

    assert not breaker.may_try()
    assert breaker.is_open()


def test_one_probe_at_a_time(clock: Clock) -> None:
    """After ten seconds one may ask; the others wait for how it went, or ten seconds more."""
    breaker = Breaker(clock)
    for _ in range(3):
        breaker.failed()
    clock.now += 10
    tries = [breaker.may_try() for _ in range(3)]
    clock.now += 10
    later = breaker.may_try()
    breaker.worked()

    assert tries == [True, False, False]
    assert later
    assert [breaker.may_try() for _ in range(3)] == [True] * 3


def test_a_failed_probe_opens_it_again(clock: Clock) -> None:
    """For as long as before."""
    breaker = Breaker(clock)
    for _ in range(3):
        breaker.failed()
    clock.now += 10
    breaker.may_try()
    breaker.failed()
    clock.now += 9.9

    assert not breaker.may_try()


# Servers in order --------------------------------------------------------------------------------


Answers = dict[Address, DirectoryUnreachable | str]


def asked(hosts: Hosts, answers: Answers, deadline: Deadline) -> tuple[str | DirectoryUnreachable, list[Address]]:
    order: list[Address] = []

    def question(address: Address, _: Deadline) -> str:
        order.append(address)
        answer = answers[address]
        if isinstance(answer, DirectoryUnreachable):
            raise answer
        return answer

    try:
        return hosts.ask(question, deadline), order
    except DirectoryUnreachable as error:
        return error, order


@pytest.mark.parametrize(
    ("error", "goes_on"),
    [
        (NotConnected("x"), True),
        (AnswerMissing("x"), True),
        (ServiceRefused("x", "h", 51, is_final=False), True),
        (ServiceRefused("x", "h", 49, is_final=True), False),
        (OutcomeUnknown("x"), False),
        (SearchRefused("x", "h", 12), False),
    ],
)
def test_who_is_asked_next(error: DirectoryUnreachable, goes_on: bool, clock: Clock) -> None:  # noqa: FBT001 - a parameter
    """Another server, if it could do better, and never after a password went out."""
    hosts = Hosts([ONE, TWO], clock)
    answer, order = asked(hosts, {ONE: error, TWO: "yes"}, Deadline.after(5, clock))

    assert (answer, order) == (("yes", [ONE, TWO]) if goes_on else (error, [ONE]))


def test_a_server_that_failed_lately_is_left_out(clock: Clock) -> None:
    """And its share of the time goes to the others; the error of the last one tried is told."""
    hosts = Hosts([ONE, TWO, THREE], clock)
    down: Answers = {ONE: NotConnected("1"), TWO: NotConnected("2"), THREE: "yes"}
    orders = [asked(hosts, down, Deadline.after(5, clock))[1] for _ in range(4)]
    shares: list[float] = []
    hosts.ask(lambda _, share: shares.append(share.left()), Deadline.after(5, clock))
    down[THREE] = last = NotConnected("3")
    told = [asked(hosts, down, Deadline.after(5, clock))[0] for _ in range(4)]

    assert orders == [[ONE, TWO, THREE]] * 3 + [[THREE]]
    assert shares == [5.0]
    assert told[:3] == [last] * 3
    assert isinstance(told[3], HostsExhausted)


def test_no_time_is_no_question(clock: Clock) -> None:
    """Nobody is asked when the deadline has passed."""
    answer, order = asked(Hosts([ONE], clock), {ONE: "yes"}, Deadline.after(0, clock))

    assert isinstance(answer, HostsExhausted)
    assert order == []


def test_errors_name_the_server() -> None:
    """For an admin."""
    assert str(NotConnected("no connection", "dc1:636")) == "dc1:636: no connection"
    assert str(HostsExhausted("nobody")) == "nobody"


# Memories ----------------------------------------------------------------------------------------


def test_remembered(clock: Clock) -> None:
    """Asked once while it is fresh; no failure is remembered; what is old is known but not fresh; the oldest goes."""
    memory: Remembered[int] = Remembered(10.0, clock, max_entries=2)
    answers = iter([1, 2])

    def fails() -> int:
        raise NotConnected("x")

    with pytest.raises(NotConnected):
        memory.get("a", fails)
    first = [memory.get("a", lambda: next(answers)) for _ in range(2)]
    clock.now += 10
    old = memory.fresh("a"), memory.known("a")
    again = memory.get("a", lambda: next(answers))
    memory.put("b", 7)
    memory.put("c", 8)

    assert (first, again) == ([1, 1], 2)
    assert old == (None, (1000.0, 1))
    assert (memory.known("a"), memory.fresh("b"), memory.fresh("c")) == (None, (7,), (8,))


def test_unanswered(clock: Clock) -> None:
    """Each account's own, for a minute."""
    unanswered = Unanswered(clock)
    unanswered.add("alice")
    clock.now += 30
    unanswered.add("alice")
    unanswered.add("bob")
    before = unanswered.count("alice"), unanswered.count("bob"), unanswered.count("carol")
    clock.now += 31
    after = unanswered.count("alice"), unanswered.count("bob")
    clock.now += 60
    unanswered.add("carol")

    assert (before, after) == ((2, 1, 0), (1, 1))
    assert [unanswered.count(name) for name in ("alice", "bob", "carol")] == [0, 0, 1]


# Waiting -----------------------------------------------------------------------------------------


class Desk:
    """A directory whose answers the test gives, and the callers that wait for them."""

    def __init__(self, threads: int = 32) -> None:
        self.room = WaitingRoom("test", threads)
        self.answering = threading.Event()
        self.tickets: list[Ticket] = []
        self.front_end = ThreadPoolExecutor(32)

    def work(self, ticket: Ticket) -> str:
        self.tickets.append(ticket)
        self.answering.wait(20)
        return "answer"

    def ask(self, within_s: float = 10.0) -> str:
        try:
            return self.room.ask(self.work, within_s)
        except Overdue as error:
            return str(error)

    def close(self) -> None:
        self.answering.set()
        self.room.close()
        self.front_end.shutdown()


@pytest.fixture
def desk() -> object:
    made = Desk()
    yield made
    made.close()


def test_few_wait_for_a_silent_directory(desk: Desk) -> None:
    """Of sixteen, three stay; the others leave, and their work knows; who comes then leaves at once."""
    callers = [desk.front_end.submit(desk.ask) for _ in range(16)]
    eventually(lambda: sum(each.done() for each in callers) == 16 - SEATS, what="the others to leave")
    newcomer = desk.ask()
    seen = len(desk.tickets)  # nothing was done for the newcomer
    desk.answering.set()
    told = [each.result() for each in callers]
    after = desk.ask()

    assert told.count("answer") == SEATS
    assert newcomer == "others wait for an answer already"
    assert seen == 16
    assert sum(ticket.is_wanted for ticket in desk.tickets[:seen]) == SEATS
    assert after == "answer"


def test_nobody_leaves_while_answers_come(desk: Desk) -> None:
    """A directory that is slow but answers is waited for by everybody."""
    room = desk.room
    over = threading.Event()
    answers: list[bool] = []

    def others() -> None:
        while not over.is_set():
            answers.append(room.ask(lambda _: over.wait(MOMENT_S / 10), 5.0))

    other = threading.Thread(target=others)
    other.start()
    callers = [desk.front_end.submit(desk.ask) for _ in range(8)]
    eventually(lambda: len(desk.tickets) == 8, what="the callers to be served")
    eventually(lambda: len(answers) > 50, what="several moments to pass")
    waiting = sum(not each.done() for each in callers)
    desk.answering.set()
    told = [each.result() for each in callers]
    over.set()
    other.join()

    assert waiting == 8
    assert told == ["answer"] * 8


def test_other_answers_are_no_sign_of_life(desk: Desk) -> None:
    """A directory that answers searches and no passwords holds few callers all the same."""
    callers = [desk.front_end.submit(desk.ask) for _ in range(8)]
    over = threading.Event()

    def searches() -> None:
        while not over.is_set():
            with contextlib.suppress(Overdue):
                desk.room.ask(lambda _: None, 1.0, is_verdict=False)
            over.wait(MOMENT_S / 50)

    other = threading.Thread(target=searches)
    other.start()
    try:
        eventually(lambda: sum(each.done() for each in callers) == 8 - SEATS, what="the others to leave")
    finally:
        over.set()
        other.join()


def test_it_is_over_in_time(desk: Desk) -> None:
    """Whoever stays leaves at the end of the time."""
    assert desk.ask(within_s=0.1) == "no answer in time"
    assert desk.ask(within_s=MOMENT_S * 1.5) == "no answer in time"


def test_errors_of_the_work_are_the_callers(desk: Desk) -> None:
    """They are raised as they are; a closed room is no answer."""

    def fails(_: Ticket) -> str:
        raise TimeoutError("of the work")

    with pytest.raises(TimeoutError, match="of the work"):
        desk.room.ask(fails, 1.0)
    desk.room.close()
    assert desk.ask() == "its settings have just changed"


def test_a_slow_directory_has_longer_moments(clock: Clock) -> None:
    """Four times the usual time of an answer, a second at most, and that until the first one came."""
    room = WaitingRoom("test", 1, clock)

    def took(seconds: float) -> Callable[[Ticket], None]:
        def work(_: Ticket) -> None:
            clock.now += seconds

        return work

    moments = [room._moment_s()]
    for seconds in (0.01, 0.2, 3.0):
        room.ask(took(seconds), 10.0)
        moments.append(round(room._moment_s(), 3))
    room.close()

    assert moments == [LONGEST_MOMENT_S, MOMENT_S, MOMENT_S, LONGEST_MOMENT_S]


@pytest.mark.parametrize("code", [1, 3, 11, 32, 50, 51, 52, 53, 80])
def test_a_server_that_cannot_search_is_no_answer_of_the_directory(code: int, clock: Clock) -> None:
    """One that starts, or has no copy yet: the next one is asked, and it is asked first again as soon as it can."""
    asked: list[str] = []

    def question(address: Address, _: Deadline) -> str:
        asked.append(address[0])
        if address == ONE:
            raise SearchRefused("refused", "one:636", code)
        return address[0]

    hosts = Hosts((ONE, TWO), clock)

    assert hosts.ask(question, Deadline.after(5.0, clock)) == "two"
    assert asked == ["one", "two"]


def test_a_search_that_is_wrong_everywhere_is_asked_once(clock: Clock) -> None:
    """What a server says of the question itself, another one would say, too."""
    asked: list[str] = []

    def question(address: Address, _: Deadline) -> str:
        asked.append(address[0])
        raise SearchRefused("refused", "one:636", 12)

    with pytest.raises(SearchRefused):
        Hosts((ONE, TWO), clock).ask(question, Deadline.after(5.0, clock))

    assert asked == ["one"]
