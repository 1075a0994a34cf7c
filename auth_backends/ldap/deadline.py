"""A moment by which something must be over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock. Every wait for a server asks what is left of it."""

    at: float
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> Self:
        """Give the moment so many seconds from now."""
        return cls(monotonic() + seconds, monotonic)

    def left(self) -> float:
        """Give the seconds that are left, never less than 0."""
        return max(0.0, self.at - self.monotonic())

    def share(self, parts: int) -> Deadline:
        """Give an earlier deadline that leaves as much time for each of the other parts."""
        return self if parts <= 1 else Deadline(self.monotonic() + self.left() / parts, self.monotonic)
