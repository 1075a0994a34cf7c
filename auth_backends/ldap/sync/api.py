"""The front door of the sync: what it is asked, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from storage.database.sync_log import Mode, Outcome, SyncItem

LEASE_PREFIX = "sync:"


class SyncBusy(Exception):
    """Another process runs the sync of this provider right now."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How to run. ``approve`` is the number of a held run whose disables an admin has looked at and wants."""

    full: bool = False
    dry_run: bool = False
    approve: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did, or would do. ``items`` hold the differences of a dry run or of a held one, else what was done.

    ``run_id`` is None for a dry run, which leaves nothing behind. ``counts`` has seen, groups,
    created, changed, disabled, deleted, unchanged, skipped. ``detail`` is a sentence for people.
    """

    provider: str
    mode: Mode
    outcome: Outcome
    counts: Mapping[str, int]
    detail: str
    run_id: int | None = None
    items: tuple[SyncItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: a stage in words for people, and how many were done of it."""

    stage: str
    done: int = 0


Listener = Callable[[Progress], None]


def unheard(progress: Progress) -> None:
    """Tell nobody."""
