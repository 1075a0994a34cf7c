"""What the sync keeps: where it stands with each provider, its runs with what they did, and open conflicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from storage.database.engine import Database
from storage.database.errors import StoreUnavailable
from storage.database.names import shown
from storage.database.tables import sync_conflicts, sync_items, sync_runs, sync_states

MAX_DETAIL = 2000


class Mode(StrEnum):
    """What a run reads: everything, or what changed since the last one."""

    FULL = "full"
    INCREMENTAL = "incremental"


class Outcome(StrEnum):
    """How a run ended. ``held`` waits for an admin; ``interrupted`` died and its work goes on in the next run."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    HELD = "held"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class SyncState:
    """Where the sync stands with a provider. ``cursor`` is the directory's own; times are Unix seconds.

    ``settings`` is a fingerprint of the provider's settings at the last full run: others ask for a new one.
    """

    provider: str
    cursor: Mapping[str, object] = field(default_factory=dict)
    full_at: float = 0.0
    next_at: float = 0.0
    settings: str = ""


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One run; ``counts`` has seen, created, changed, disabled, deleted, skipped, groups."""

    id: int
    provider: str
    mode: Mode
    actor: str
    outcome: Outcome
    started_at: float
    finished_at: float | None
    counts: dict[str, int]
    detail: str


@dataclass(frozen=True, slots=True)
class SyncItem:
    """What a run did, or would have done, with one person or group, and why it left one out."""

    action: str
    subject: str
    external_id: str
    reason: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SyncConflict:
    """A person or group of a provider that an admin must decide about; it is never merged with anybody."""

    provider: str
    external_id: str
    name: str
    reason: str
    hint: str = ""
    since: float = 0.0


class SyncTable:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Where it stands --------------------------------------------------------------------------------

    def state(self, provider: str) -> SyncState:
        """Give where the sync stands; all zero before the first run."""
        with self._database.read() as connection:
            row = connection.execute(select(sync_states).where(sync_states.c.provider == provider)).one_or_none()
        if row is None:
            return SyncState(provider)
        return SyncState(provider, dict(row.cursor), row.full_at, row.next_at, row.settings)

    def keep_state(self, state: SyncState) -> None:
        """Remember where it stands."""
        row = {
            "provider": state.provider,
            "cursor": dict(state.cursor),
            "full_at": state.full_at,
            "next_at": state.next_at,
            "settings": state.settings,
        }
        with self._database.write() as connection:
            connection.execute(delete(sync_states).where(sync_states.c.provider == state.provider))
            connection.execute(insert(sync_states), row)

    # Runs -------------------------------------------------------------------------------------------

    def begin(self, provider: str, mode: Mode, actor: str, now: float) -> int:
        """Open a run and give its number; runs of this provider that never ended are marked as interrupted."""
        row: dict[str, object] = {
            "provider": provider,
            "mode": mode.value,
            "actor": actor,
            "outcome": Outcome.RUNNING.value,
            "started_at": now,
            "counts": {},
            "detail": "",
        }
        open_runs = (sync_runs.c.provider == provider, sync_runs.c.outcome == Outcome.RUNNING.value)
        with self._database.write() as connection:
            ended = {"outcome": Outcome.INTERRUPTED.value, "finished_at": now}
            connection.execute(update(sync_runs).where(*open_runs).values(**ended))
            key = connection.execute(insert(sync_runs), row).inserted_primary_key
        if key is None:
            raise StoreUnavailable("The database gave no number for the run.")
        return int(key[0])

    def progress(self, run_id: int, counts: Mapping[str, int], items: Sequence[SyncItem] = ()) -> None:
        """Keep what the run did so far."""
        with self._database.write() as connection:
            connection.execute(update(sync_runs).where(sync_runs.c.id == run_id).values(counts=dict(counts)))
            _add_items(connection, run_id, items)

    def finish(self, run_id: int, outcome: Outcome, counts: Mapping[str, int], detail: str, now: float) -> None:
        """Close a run."""
        values = {
            "outcome": outcome.value,
            "finished_at": now,
            "counts": dict(counts),
            "detail": shown(detail, MAX_DETAIL),
        }
        with self._database.write() as connection:
            connection.execute(update(sync_runs).where(sync_runs.c.id == run_id).values(**values))

    def runs(self, provider: str | None = None, *, limit: int = 20) -> list[SyncRun]:
        """Give the newest runs, newest first."""
        query = select(sync_runs).order_by(sync_runs.c.id.desc()).limit(limit)
        if provider is not None:
            query = query.where(sync_runs.c.provider == provider)
        with self._database.read() as connection:
            return [_run_of(row) for row in connection.execute(query)]

    def run(self, run_id: int) -> SyncRun | None:
        """Give one run, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(sync_runs).where(sync_runs.c.id == run_id)).one_or_none()
        return None if row is None else _run_of(row)

    def items(self, run_id: int, *, limit: int = 1000) -> list[SyncItem]:
        """Give what a run did, in its order."""
        query = select(sync_items).where(sync_items.c.run_id == run_id).order_by(sync_items.c.id).limit(limit)
        with self._database.read() as connection:
            return [
                SyncItem(row.action, row.subject, row.external_id, row.reason, dict(row.detail))
                for row in connection.execute(query)
            ]

    def prune(self, before: float) -> int:
        """Forget runs that began before a time, with their items; the newest of each provider stays."""
        newest = select(func.max(sync_runs.c.id)).group_by(sync_runs.c.provider)
        old = (sync_runs.c.started_at < before, sync_runs.c.id.not_in(newest))
        with self._database.write() as connection:
            return connection.execute(delete(sync_runs).where(*old)).rowcount

    # Conflicts --------------------------------------------------------------------------------------

    def conflicts(self, provider: str | None = None) -> list[SyncConflict]:
        """Give what waits for an admin's decision, ordered by name."""
        query = select(sync_conflicts).order_by(sync_conflicts.c.provider, sync_conflicts.c.name)
        if provider is not None:
            query = query.where(sync_conflicts.c.provider == provider)
        with self._database.read() as connection:
            return [
                SyncConflict(row.provider, row.external_id, row.name, row.reason, row.hint, row.since)
                for row in connection.execute(query)
            ]

    def settle_conflicts(self, provider: str, found: Sequence[SyncConflict], settled: Sequence[str]) -> None:
        """Keep the conflicts that a run found, each with the time when it was first seen, and drop the settled ones."""
        gone = [*settled, *(conflict.external_id for conflict in found)]
        with self._database.write() as connection:
            mine = sync_conflicts.c.provider == provider
            known = {
                row.external_id: row.since
                for row in connection.execute(select(sync_conflicts.c.external_id, sync_conflicts.c.since).where(mine))
            }
            for start in range(0, len(gone), 500):
                chunk = gone[start : start + 500]
                connection.execute(delete(sync_conflicts).where(mine, sync_conflicts.c.external_id.in_(chunk)))
            rows = [
                {
                    "provider": provider,
                    "external_id": conflict.external_id,
                    "name": shown(conflict.name),
                    "reason": shown(conflict.reason, 1000),
                    "hint": shown(conflict.hint, 1000),
                    "since": known.get(conflict.external_id, conflict.since),
                }
                for conflict in {conflict.external_id: conflict for conflict in found}.values()
            ]
            if rows:
                connection.execute(insert(sync_conflicts), rows)


def _add_items(connection: Connection, run_id: int, items: Sequence[SyncItem]) -> None:
    rows = [
        {
            "run_id": run_id,
            "action": item.action,
            "subject": shown(item.subject),
            "external_id": shown(item.external_id, 1000),
            "reason": shown(item.reason, 1000),
            "detail": dict(item.detail),
        }
        for item in items
    ]
    if rows:
        connection.execute(insert(sync_items), rows)


def _run_of(row: Row[Any]) -> SyncRun:
    return SyncRun(
        id=row.id,
        provider=row.provider,
        mode=Mode(row.mode),
        actor=row.actor,
        outcome=Outcome(row.outcome),
        started_at=row.started_at,
        finished_at=row.finished_at,
        counts=dict(row.counts),
        detail=row.detail,
    )
