"""Searches that no index can answer: bounded in time and number, and always behind everything else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from server.http.scim.errors import ScimError
from server.http.scim.queries.paging import Page

T = TypeVar("T")

BATCH = 100
AT_ONCE = 2  # in one process; more would only slow each other, and whoever is to be put out
LIMIT_S = 20.0
STEP_BACK_S = 0.001  # after each batch: others of this process are served meanwhile

_running = threading.BoundedSemaphore(AT_ONCE)


@dataclass(slots=True)
class Found(Generic[T]):
    """How many match in all, and those of the page; the others are forgotten at once."""

    page: Page
    total: int = 0
    rows: list[T] = field(default_factory=list)

    def add(self, row: T) -> None:
        """Count one that matches."""
        if self.page.offset <= self.total < self.page.offset + self.page.limit:
            self.rows.append(row)
        self.total += 1


def scan(rows: Iterable[T], matching: Callable[[list[T]], Iterator[T]], page: Page) -> Found[T]:
    """Match all rows, a batch at a time. Raises ScimError (tooMany) where it would take too long."""
    deadline = time.monotonic() + LIMIT_S
    if not _running.acquire(timeout=LIMIT_S):
        raise _too_many()
    try:
        found: Found[T] = Found(page)
        left = iter(rows)
        while batch := list(islice(left, BATCH)):
            for row in matching(batch):
                found.add(row)
            if time.monotonic() > deadline:
                raise _too_many()
            time.sleep(STEP_BACK_S)
        return found
    finally:
        _running.release()


def _too_many() -> ScimError:
    indexed = "id, userName, externalId or emails, or for groups id, displayName, externalId or members"
    return ScimError(400, f"This search takes too long; filter by {indexed}.", "tooMany")
