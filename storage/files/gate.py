"""Gate: counts the operations inside one open handle, so that closing never pulls it away under one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Gate:
    """Admits operations until it is shut; what shuts it down runs when the last one has left.

    Without it a late ``pwrite`` could land in a descriptor number that another file has by then.
    """

    __slots__ = ("_condition", "_inside", "_last", "_lock", "_refusal")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # taken directly where nothing waits: that is the hot path
        self._condition = threading.Condition(self._lock)
        self._inside = 0
        self._refusal: Callable[[], Exception] | None = None
        self._last: Callable[[], None] | None = None

    @property
    def shut(self) -> bool:
        """Whether operations are refused by now."""
        return self._refusal is not None

    def enter(self) -> None:
        """Begin one operation, or raise what the gate was shut with; pair with :meth:`leave`."""
        with self._lock:
            if self._refusal is not None:
                raise self._refusal()
            self._inside += 1

    def leave(self) -> None:
        """End one operation; the last one out of a shut gate runs what was left to do."""
        last = None
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._refusal is not None:
                last, self._last = self._last, None
                self._condition.notify_all()
        if last is not None:
            last()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Run a block as one operation."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def shut_and_wait(self, refusal: Callable[[], Exception]) -> bool:
        """Shut and wait until nobody is inside; False if it was shut already (then nothing is owed)."""
        with self._condition:
            if self._refusal is not None:
                return False
            self._refusal = refusal
            self._condition.wait_for(lambda: self._inside == 0)
            return True

    def shut_and_then(self, refusal: Callable[[], Exception], action: Callable[[], None], *, wait_s: float = 0) -> bool:
        """Shut, and run ``action`` once nobody is inside: here, or on the last operation's way out.

        Waits up to ``wait_s`` for that. False if the gate was shut already; then ``action`` is dropped.
        """
        with self._condition:
            if self._refusal is not None:
                return False
            self._refusal = refusal
            if self._inside:
                self._last = action
                deadline = time.monotonic() + wait_s
                while self._inside and (left := deadline - time.monotonic()) > 0:
                    self._condition.wait(left)
                return True
        action()
        return True
