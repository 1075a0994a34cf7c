"""Passwords that went to a directory and whose answer nobody heard: it may have counted them as failures."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

HELD_S = 60.0  # as long as the place of a worker that was killed while it asked


class Unanswered:
    """Counts them for each account. Thread-safe; ``monotonic`` is a clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._sent: dict[str, list[float]] = defaultdict(list)

    def count(self, account: str) -> int:
        """Say how many of the last minute there are."""
        with self._lock:
            return len(self._recent(account))

    def sent(self, account: str) -> float:
        """Take note that a password is about to go out; give what :meth:`heard` wants."""
        with self._lock:
            at = self._monotonic()
            self._recent(account)
            self._sent[account].append(at)
            return at

    def heard(self, account: str, sent: float) -> None:
        """Take note that its answer was heard by whoever counts failures."""
        with self._lock:
            kept = self._sent.get(account, [])
            if sent in kept:
                kept.remove(sent)
            if not kept:
                self._sent.pop(account, None)

    def _recent(self, account: str) -> list[float]:
        since = self._monotonic() - HELD_S
        kept = [at for at in self._sent.get(account, ()) if at > since]
        if kept:
            self._sent[account] = kept
        else:
            self._sent.pop(account, None)
        return kept
