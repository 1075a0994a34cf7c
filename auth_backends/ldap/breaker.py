"""A circuit breaker for each server: who fails again and again is left alone for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable

FAILURES = 3
OPEN_S = 10.0


class Breaker:
    """Three failures in a row open it for ten seconds; then one caller probes.

    Thread-safe; ``monotonic`` is a clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until = 0.0

    def may_try(self) -> bool:
        """Whether to ask the server now. After the pause one caller may, and all others wait for how it went."""
        with self._lock:
            if self._failures < FAILURES:
                return True
            now = self._monotonic()
            if now < self._open_until:
                return False
            self._open_until = now + OPEN_S
            return True

    def worked(self) -> None:
        """The server answered."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """The server did not answer, or not as a directory does."""
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES:
                self._open_until = self._monotonic() + OPEN_S

    def is_open(self) -> bool:
        """Whether the server is left alone right now; asking changes nothing."""
        with self._lock:
            return self._failures >= FAILURES and self._monotonic() < self._open_until
