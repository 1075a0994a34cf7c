"""The moves of a batch, one after the other, each a transaction of its own; what is done stays, whatever comes next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from rich.console import Console
from rich.text import Text

from server.cli.context import Site
from server.cli.sync.progress import interruptible
from server.cli.user.migrate.plan import Candidate
from storage.database.errors import Conflict, InvalidChange, NotFoundInStore, StoreUnavailable
from storage.database.migration_changes import UndoMigration
from storage.database.migrations_log import Migration
from storage.database.records import Method

REFUSALS = (Conflict, InvalidChange, NotFoundInStore)


@dataclass(slots=True)
class Outcome:
    """What came of a batch: ``done`` has the numbers of the moves and ``failed`` why not.

    Both by the user's id, or where moves are undone by the number of the move.
    """

    batch: str
    done: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    stopped: str = ""


def new_batch() -> str:
    """Give a name for those who move together."""
    return uuid4().hex[:12]


def move_all(
    site: Site, ready: Sequence[Candidate], to: str, method: Method, *, keep_groups: bool, stop_after: int
) -> Outcome:
    """Move these users, until so many were refused, somebody interrupts, or the database is gone."""
    outcome = Outcome(new_batch())
    with interruptible() as stopping, telling(len(ready)) as tell:
        for number, candidate in enumerate(ready):
            if stopping():
                outcome.stopped = "interrupted"
                break
            tell(number)
            change = candidate.change(to, method, keep_groups=keep_groups, batch=outcome.batch)
            try:
                applied = site.apply(change)
            except REFUSALS as error:
                outcome.failed[candidate.user.id] = error.message
                if len(outcome.failed) >= stop_after:
                    outcome.stopped = f"stopped after {_errors(len(outcome.failed))}"
                    break
            except StoreUnavailable as error:
                outcome.stopped = f"the database cannot be reached: {error.message}"
                break
            else:
                outcome.done[candidate.user.id] = int(str(applied.detail["migration"]))
    return outcome


def undo_all(site: Site, moves: Sequence[Migration]) -> Outcome:
    """Take these moves back, until somebody interrupts or the database is gone."""
    outcome = Outcome("")
    directories = {listed.name for listed in site.directories()}
    with interruptible() as stopping, telling(len(moves)) as tell:
        for number, move in enumerate(moves):
            if stopping():
                outcome.stopped = "interrupted"
                break
            tell(number)
            if move.from_provider and move.from_provider not in directories:
                outcome.failed[str(move.id)] = f"The directory {move.from_provider!r} is not set up any more."
                continue
            try:
                site.apply(UndoMigration(move.id))
            except REFUSALS as error:
                outcome.failed[str(move.id)] = error.message
            except StoreUnavailable as error:
                outcome.stopped = f"the database cannot be reached: {error.message}"
                break
            else:
                outcome.done[str(move.id)] = move.id
    return outcome


@contextmanager
def telling(count: int) -> Iterator[Callable[[int], None]]:
    """Show on standard error how many are done, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _number: None
        return
    with Console(stderr=True).status(f"0 of {count}") as status:
        yield lambda number: status.update(Text(f"{number} of {count}"))


def _errors(count: int) -> str:
    return "1 error" if count == 1 else f"{count} errors"
