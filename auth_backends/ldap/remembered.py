"""A small memory of what a directory said."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

MAX_ENTRIES = 10_000

T = TypeVar("T")


class Remembered(Generic[T]):
    """Values that are asked for again after ``fresh_s``. Thread-safe and bounded; ``monotonic`` is a clock."""

    def __init__(self, fresh_s: float, monotonic: Callable[[], float], max_entries: int = MAX_ENTRIES) -> None:
        self._fresh_s = fresh_s
        self._monotonic = monotonic
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def get(self, key: str, ask: Callable[[], T]) -> T:
        """Give what is known, or ask and remember; what ``ask`` raises is raised and not remembered."""
        kept = self.known(key)
        if kept is not None and self._monotonic() - kept[0] < self._fresh_s:
            return kept[1]
        value = ask()
        self.put(key, value)
        return value

    def fresh(self, key: str) -> tuple[T] | None:
        """Give what is known and not too old, as a tuple of one, or None."""
        kept = self.known(key)
        return (kept[1],) if kept is not None and self._monotonic() - kept[0] < self._fresh_s else None

    def known(self, key: str) -> tuple[float, T] | None:
        """Give what is known, however old, with when it was learnt."""
        with self._lock:
            return self._kept.get(key)

    def put(self, key: str, value: T) -> None:
        """Remember a value; the oldest goes when there are too many."""
        with self._lock:
            self._kept[key] = (self._monotonic(), value)
            self._kept.move_to_end(key)
            while len(self._kept) > self._max_entries:
                self._kept.popitem(last=False)
