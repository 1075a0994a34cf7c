"""The servers of a provider, asked in order until one answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from auth_backends.ldap.breaker import Breaker
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import (
    DirectoryUnreachable,
    HostsExhausted,
    OutcomeUnknown,
    SearchRefused,
    ServiceRefused,
)
from auth_backends.ldap.results import Result

OUT_OF_ORDER = frozenset({Result.BUSY, Result.UNAVAILABLE})
ELSEWHERE = OUT_OF_ORDER | {
    Result.OPERATIONS_ERROR,
    Result.TIME_LIMIT_EXCEEDED,
    Result.ADMIN_LIMIT_EXCEEDED,
    Result.NO_SUCH_OBJECT,
    Result.INSUFFICIENT_ACCESS,
    Result.UNWILLING_TO_PERFORM,
    Result.OTHER,
}
"""Results of a search that say more of the server than of what was looked for: one that starts, or has no copy yet."""

T = TypeVar("T")
Address = tuple[str, int]


class Hosts:
    """Thread-safe. ``monotonic`` is a clock."""

    def __init__(self, addresses: Sequence[Address], monotonic: Callable[[], float]) -> None:
        self._breakers = {address: Breaker(monotonic) for address in addresses}

    def ask(self, question: Callable[[Address, Deadline], T], deadline: Deadline) -> T:
        """Give the answer of the first server that has one. Raises DirectoryUnreachable of the last one tried.

        Each server gets a share of the time, so that one that swallows everything leaves some for the next. A
        password that went out is never sent to another server: each may count it as a failure.
        """
        last: DirectoryUnreachable | None = None
        addresses = list(self._breakers)
        for place, address in enumerate(addresses):
            breaker = self._breakers[address]
            if deadline.left() <= 0 or not breaker.may_try():
                continue
            others = sum(not self._breakers[other].is_open() for other in addresses[place + 1 :])
            try:
                answer = question(address, deadline.share(1 + others))
            except DirectoryUnreachable as error:
                if error.is_transport or (isinstance(error, SearchRefused) and error.code in OUT_OF_ORDER):
                    breaker.failed()
                else:
                    breaker.worked()
                if isinstance(error, OutcomeUnknown) or not _may_go_on(error):
                    raise
                last = error
            else:
                breaker.worked()
                return answer
        raise last or HostsExhausted("no server answered lately; they are asked again in a moment")


def _may_go_on(error: DirectoryUnreachable) -> bool:
    """Whether another server could do better. No user's password has gone out yet."""
    if isinstance(error, SearchRefused):
        return error.code in ELSEWHERE
    return error.is_transport or (isinstance(error, ServiceRefused) and not error.is_final)
