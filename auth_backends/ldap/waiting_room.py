"""How long callers wait for one directory, and how many of them may.

A front end has 8 to 16 threads for the sign-ins of all its users. A directory that falls silent must not hold them, so
its questions run in threads of their own, and whoever has waited for a moment may have to leave.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

MOMENT_S = 0.25
LONGEST_MOMENT_S = 1.0
SEATS = 3
_WEIGHT = 0.2  # of the latest answer in the usual time

T = TypeVar("T")


class Overdue(Exception):
    """No answer, and no reason to wait for it any longer: cannot tell."""


class Ticket:
    """Tells the work whether somebody still waits for it."""

    __slots__ = ("is_wanted",)

    def __init__(self) -> None:
        self.is_wanted = True


class WaitingRoom:
    """Runs questions to one directory, ``threads`` at a time. Thread-safe; ``monotonic`` is a clock.

    Everybody may wait for a moment: a second until the first answer came, later a quarter of one, or four times the
    usual time of an answer if that is more. Who waits for longer needs one of three seats, unless answers come in
    meanwhile. While the seats are taken and no answer comes, whoever arrives leaves at once. So a silent directory
    holds three threads of a front end, not all.
    """

    def __init__(self, name: str, threads: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"ldap-{name}")
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seated = 0
        self._answered_at = float("-inf")
        self._usual_s = 0.0

    def ask(self, work: Callable[[Ticket], T], within_s: float, *, is_verdict: bool = True) -> T:
        """Give what the work gives, or raise what it raises; Overdue after ``within_s``, or if it is no use to wait.

        Only a verdict that was given is a sign of life: a server may answer searches, and no passwords.
        """
        began = self._monotonic()
        if self._is_silent(began - self._moment_s()):
            raise Overdue("others wait for an answer already")
        ticket = Ticket()
        try:
            asked = self._pool.submit(work, ticket)
        except RuntimeError:
            raise Overdue("its settings have just changed") from None
        try:
            answer = self._waited(asked, began, within_s)
        except Overdue:
            ticket.is_wanted = False
            asked.cancel()
            raise
        if is_verdict:
            self._answered(began)
        return answer

    def close(self) -> None:
        """Take no more questions; those under way end by their own deadlines."""
        self._pool.shutdown(wait=False)

    def _waited(self, asked: Future[T], began: float, within_s: float) -> T:
        is_seated = False
        try:
            while True:
                now = self._monotonic()
                left = began + within_s - now
                if left <= 0:
                    raise Overdue("no answer in time")
                if wait([asked], timeout=min(left, self._moment_s())).done:
                    return asked.result()
                is_seated = is_seated or self._takes_seat()
                if not is_seated and self._is_silent(now):
                    raise Overdue("others wait for an answer already")
        finally:
            if is_seated:
                with self._lock:
                    self._seated -= 1

    def _takes_seat(self) -> bool:
        with self._lock:
            if self._seated >= SEATS:
                return False
            self._seated += 1
            return True

    def _is_silent(self, since: float) -> bool:
        """Whether all seats are taken and no answer came since then."""
        with self._lock:
            return self._seated >= SEATS and self._answered_at < since

    def _answered(self, began: float) -> None:
        now = self._monotonic()
        with self._lock:
            self._answered_at = now
            self._usual_s += (_WEIGHT if self._usual_s else 1.0) * (now - began - self._usual_s)

    def _moment_s(self) -> float:
        with self._lock:
            if not self._usual_s:  # nobody knows yet how quick this directory is
                return LONGEST_MOMENT_S
            return min(max(MOMENT_S, 4 * self._usual_s), LONGEST_MOMENT_S)
