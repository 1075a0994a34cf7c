"""Passwords that went to a directory and whose answer nobody heard: it may have counted them as failures."""

from __future__ import annotations

import threading
from collections.abc import Callable

HELD_S = 60.0  # as long as the place of a worker that was killed while it asked


class Unanswered:
    """Counts them for each account. Thread-safe; ``monotonic`` is a clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._sent: dict[str, list[float]] = {}

    def add(self, account: str) -> None:
        """Take note of one; it is forgotten after a minute."""
        with self._lock:
            for each in list(self._sent):
                self._forget_old(each)
            self._sent.setdefault(account, []).append(self._monotonic())

    def count(self, account: str) -> int:
        """Say how many of the last minute there are."""
        with self._lock:
            self._forget_old(account)
            return len(self._sent.get(account, ()))

    def _forget_old(self, account: str) -> None:
        since = self._monotonic() - HELD_S
        kept = [at for at in self._sent.get(account, ()) if at > since]
        if kept:
            self._sent[account] = kept
        else:
            self._sent.pop(account, None)
