"""A place for one worker, kept through crashes and reloads, and when it is filled again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from server.runtime.process import WorkerProcess
from server.runtime.roles import Role

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 30.0
HEALTHY_S = 60.0  # a worker that served this long has paid off the crashes before it


@dataclass(slots=True)
class Backoff:
    """How long to wait before a worker is started again: doubles with each crash, up to 30 s."""

    failures: int = 0

    def failed(self, served_s: float) -> float:
        """Note a crash after ``served_s`` seconds of service; give the delay in seconds."""
        self.failures = 1 if served_s >= HEALTHY_S else self.failures + 1
        return min(FIRST_DELAY_S * 2.0 ** (self.failures - 1), LONGEST_DELAY_S)


@dataclass(slots=True)
class Slot:
    """One place: the worker that serves, its successor in a reload, and predecessors that still drain."""

    role: Role
    number: int
    start: Callable[[Role, int], WorkerProcess]
    current: WorkerProcess | None = None
    incoming: WorkerProcess | None = None
    draining: list[WorkerProcess] = field(default_factory=list)
    restart_at: float | None = None
    previous: str | None = None
    backoff: Backoff = field(default_factory=Backoff)

    def processes(self) -> list[WorkerProcess]:
        """Every process that is alive or not reaped yet."""
        present = [process for process in (self.current, self.incoming) if process is not None]
        return [*present, *self.draining]

    def fill(self) -> WorkerProcess:
        """Start a worker here."""
        self.restart_at = None
        self.current = self.start(self.role, self.number)
        return self.current

    def lost(self, process: WorkerProcess) -> bool:
        """Take an ended process off; whether the place now has nobody, and a restart was set."""
        if process in self.draining:
            self.draining.remove(process)
            return False
        if process is self.incoming:
            self.incoming = None
            return False
        self.previous = process.name
        self.current, self.incoming = self.incoming, None
        if self.current is not None:
            return False
        now = time.monotonic()
        served_s = 0.0 if process.ready_at is None else now - process.ready_at
        self.restart_at = now + self.backoff.failed(served_s)
        return True

    def promote(self) -> WorkerProcess | None:
        """Put the successor in place once it is ready; give the predecessor, which must drain."""
        old, self.current, self.incoming = self.current, self.incoming, None
        if old is not None:
            self.draining.append(old)
        return old
