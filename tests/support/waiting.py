"""Wait for a condition with a deadline, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

STEP_S = 0.02


def eventually(condition: Callable[[], object], *, what: str, within_s: float = 15.0) -> float:
    """Wait until ``condition`` is true and give the seconds it took; fail the test after ``within_s``."""
    start = time.monotonic()
    pause = threading.Event()
    while not condition():
        assert time.monotonic() - start < within_s, f"waited {within_s} s in vain for {what}"
        pause.wait(STEP_S)
    return time.monotonic() - start
