"""While a sync runs: its progress at a terminal, and a Ctrl-C that ends it between two pages."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.text import Text

from auth_backends.ldap.sync.api import Progress

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def telling(name: str) -> Iterator[Callable[[Progress], None]]:
    """Show on standard error where the run is, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _progress: None
        return
    with Console(stderr=True).status(f"{name}: asking the directory") as status:

        def tell(progress: Progress) -> None:
            done = f" {progress.done}" if progress.done else ""
            status.update(Text(f"{name}: {progress.stage}{done}"))

        yield tell


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C or SIGTERM end the run in good order; a second one ends the process.

    Gives a function that says whether to stop. What the run did until then stays, and the next run goes on.
    """
    stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield stopping.is_set
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        yield stopping.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
