"""One run of the sync: read, compare, ask whether it may, apply; then remember where to read on.

A run that dies has changed nothing twice: every run compares the directory with what is there, and
the place to read on from is kept only at the end. One run of a provider at a time, over all nodes.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import SystemRandom

import structlog

from auth_backends.ldap.connection import LdapConnection
from auth_backends.ldap.directory import Directory
from auth_backends.ldap.errors import DirectoryUnreachable
from auth_backends.ldap.sync.api import LEASE_PREFIX, Listener, Report, SyncBusy, Wish, unheard
from auth_backends.ldap.sync.apply import Applier, batches
from auth_backends.ldap.sync.cursor import Cursor
from auth_backends.ldap.sync.guard import SHOWN, Guard
from auth_backends.ldap.sync.people import PersonReader
from auth_backends.ldap.sync.plan import Action, Step
from auth_backends.ldap.sync.planning import Comparison, Places, Plan
from auth_backends.ldap.sync.snapshot import Reading, Snapshot
from config.ldap import LdapProvider
from storage.database.records import Owner
from storage.database.store import Store, StoreError, StoreUnavailable
from storage.database.sync_log import Mode, Outcome, SyncItem, SyncState

log = structlog.get_logger(__name__)

LEASE_S = 180.0  # a page may take a minute
BEAT_S = 10.0
RETRY_S = 300.0
JITTER = 0.1


class Stopped(Exception):
    """The process ends, or another one took the run over: the next run goes on."""


@dataclass(slots=True)
class Lease:
    """The right to run this provider's sync, kept by beats."""

    store: Store
    name: str
    holder: str
    stopping: Callable[[], bool]
    beaten_at: float = 0.0

    def beat(self) -> None:
        """Keep the lease; raises Stopped if the process ends or the lease was lost."""
        if self.stopping():
            raise Stopped("the server is stopping")
        now = time.monotonic()
        if now - self.beaten_at >= BEAT_S:
            if not self.store.leases.take(LEASE_PREFIX + self.name, self.holder, LEASE_S):
                raise Stopped("another process has taken over")
            self.beaten_at = now


def synchronise(
    store: Store,
    name: str,
    provider: LdapProvider,
    wish: Wish,
    *,
    actor: str,
    holder: str,
    listen: Listener = unheard,
    stopping: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
) -> Report:
    """Run the sync of one provider once.

    ``holder`` names this process in the lease. A directory that cannot be read gives a Report with the outcome FAILED.
    Raises SyncBusy while another process runs it, and StoreError if the database cannot tell.
    """
    lease = Lease(store, name, holder, stopping)
    if not store.leases.take(LEASE_PREFIX + name, holder, LEASE_S):
        raise SyncBusy(f"The sync of {name!r} is running already.")
    lease.beaten_at = time.monotonic()
    try:
        return Run(store, name, provider, wish, actor, lease, listen, clock).go()
    finally:
        store.leases.release(LEASE_PREFIX + name, holder)


@dataclass(slots=True)
class Run:
    """The state of one run."""

    store: Store
    name: str
    provider: LdapProvider
    wish: Wish
    actor: str
    lease: Lease
    listen: Listener
    clock: Callable[[], float]
    mode: Mode = Mode.FULL
    run_id: int | None = None
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = Guard(self.store, self.name, self.provider, self.wish.approve)

    def go(self) -> Report:
        """Do it."""
        now = self.clock()
        state = self.store.syncs.state(self.name)
        settings = fingerprint(self.store, self.name, self.provider)
        cursor = Cursor.read(state.cursor)
        full_due = now - state.full_at >= self.provider.full_sync_interval_s
        if not (self.wish.full or full_due or cursor is None or state.settings != settings):
            self.mode = Mode.INCREMENTAL
        if not self.wish.dry_run:
            self.run_id = self.store.syncs.begin(self.name, self.mode, self.actor, now)
        try:
            with self._snapshot(cursor, now) as (snapshot, places):
                return self._compared(snapshot, places, replace(state, settings=settings), now)
        except DirectoryUnreachable as error:
            return self._failed(Outcome.FAILED, f"The directory cannot be read: {error}", state)
        except Stopped as stopped:
            return self._failed(Outcome.INTERRUPTED, f"The run was interrupted: {stopped}.", state)
        except StoreUnavailable:
            raise
        except StoreError as error:
            return self._failed(Outcome.FAILED, f"The user store refused: {error.message}", state)
        except Exception as error:
            self._failed(Outcome.FAILED, f"The run failed: {type(error).__name__}.", state)
            raise

    # Reading ----------------------------------------------------------------------------------------

    @contextmanager
    def _snapshot(self, cursor: Cursor | None, now: float) -> Iterator[tuple[Snapshot, Places]]:
        """Read the directory; give what was read, and a way to ask it again where people are."""
        directory = Directory(self.provider)
        try:
            reader = PersonReader(self.provider, directory.preset, directory.domain(), directory.service_account_id())

            def reading(connection: LdapConnection) -> Reading:
                return Reading(connection, self.provider, directory.preset, reader, self.listen, self.lease.beat, now)

            def places(external_ids: Sequence[str], *, everywhere: bool) -> dict[str, str]:
                return directory.ask(
                    lambda connection: reading(connection).places(external_ids, everywhere=everywhere), directory.soon()
                )

            with directory.reader() as connection:
                snapshot = self._read(reading(connection), cursor)
            try:
                yield snapshot, places
            finally:
                snapshot.close()
        finally:
            directory.close()

    def _read(self, reading: Reading, cursor: Cursor | None) -> Snapshot:
        if self.mode is Mode.INCREMENTAL and cursor is not None:
            pending = [conflict.external_id for conflict in self.store.syncs.conflicts(self.name)]
            snapshot = reading.changes(cursor, pending, self._linked)
            if snapshot is not None:
                return snapshot
        self.mode = Mode.FULL
        return reading.everything(cursor)

    def _linked(self, external_ids: Sequence[str]) -> set[str]:
        return set(self.store.sources.people(self.name, Owner.LDAP, external_ids))

    # Comparing --------------------------------------------------------------------------------------

    def _compared(self, snapshot: Snapshot, places: Places, state: SyncState, now: float) -> Report:
        beat = self.lease.beat
        comparison = Comparison(self.store, self.name, self.provider, snapshot, self.listen, beat, now, places)
        plan = comparison.plan()
        try:
            held = self.guard.reason(plan, snapshot, now)
            if self.wish.dry_run:
                return self._previewed(plan, snapshot, held)
            if held is not None:
                return self._waiting(plan, snapshot, held)
            return self._applied(plan, snapshot, state, now)
        finally:
            plan.close()

    # Ends -------------------------------------------------------------------------------------------

    def _applied(self, plan: Plan, snapshot: Snapshot, state: SyncState, now: float) -> Report:
        assert self.run_id is not None  # noqa: S101 - only a dry run has none
        applier = Applier(self.store, self.name, self.provider, self.run_id, self.listen, self.lease.beat, now)
        applier.counts["seen"] = len(snapshot.seen)
        if self.guard.approved is not None:
            applier.counts["approved"] = self.guard.approved
            subject, why = f"provider:{self.name}", f"run {self.guard.approved}"
            self.store.audit.add("sync.approved", self.actor, subject, "approved", why, detail={"run": self.run_id})
        applier.known_groups(plan.linked)
        applier.steps(_pages(plan.ending), "leavers ended")
        if snapshot.groups is not None:
            applier.groups(snapshot.groups, plan.linked, plan.taken)
        applier.steps(batches(plan.others), "people brought up to date")
        applier.departed_groups(plan.gone)
        self.store.syncs.settle_conflicts(self.name, applier.conflicts, self._settled(snapshot))
        full_at = now if snapshot.complete else state.full_at
        cursor = snapshot.cursor.kept()
        self.store.syncs.keep_state(replace(state, cursor=cursor, full_at=full_at, next_at=self._next()))
        detail = _sentence(applier.counts)
        self.store.syncs.finish(self.run_id, Outcome.DONE, applier.counts, detail, self.clock())
        log.info("sync.done", provider=self.name, run=self.run_id, mode=self.mode.value, **applier.counts)
        return self._report(Outcome.DONE, applier.counts, detail, tuple(self.store.syncs.items(self.run_id)))

    def _settled(self, snapshot: Snapshot) -> list[str]:
        """Whatever was read again is settled, unless it was found again."""
        kept = {conflict.external_id for conflict in self.store.syncs.conflicts(self.name)}
        if snapshot.complete:
            return sorted(kept)
        read = snapshot.seen | (snapshot.asked if snapshot.groups is not None else set())
        return sorted(kept & read)

    def _waiting(self, plan: Plan, snapshot: Snapshot, why: str) -> Report:
        assert self.run_id is not None  # noqa: S101 - only a dry run has none
        counts = _planned(plan, snapshot)
        items = tuple(_item(step) for step in plan.ending) + _departing(plan)
        detail = f"{why} Nothing was changed. Look at: quaymaster sync log {self.name} --run {self.run_id}; then "
        detail += f"correct the directory, or: quaymaster sync run {self.name} --full --approve {self.run_id}"
        self.store.syncs.progress(self.run_id, counts, items)
        self.store.syncs.keep_state(replace(self.store.syncs.state(self.name), next_at=self._next()))
        self.store.syncs.finish(self.run_id, Outcome.HELD, counts, detail, self.clock())
        self.store.audit.add("sync.held", self.actor, f"provider:{self.name}", "held", why, detail={"run": self.run_id})
        log.warning("sync.held", provider=self.name, run=self.run_id, why=why)
        return self._report(Outcome.HELD, counts, detail, items)

    def _previewed(self, plan: Plan, snapshot: Snapshot, held: str | None) -> Report:
        items = [_item(step) for step in plan.ending]
        for page in plan.others.pages(1000):
            items += [_item(step) for step in page[: max(0, SHOWN - len(items))]]
        known = {group.identity.external_id: group.name for group in plan.linked}
        for external_id in sorted(plan.taken):
            group = (snapshot.groups or {}).get(external_id)
            if group is not None and external_id not in known:
                items.append(SyncItem(Action.CREATE_GROUP, group.name, external_id))
            elif group is not None and known[external_id] != group.name:
                renamed = {"name": {"old": known[external_id], "new": group.name}}
                items.append(SyncItem(Action.RENAME_GROUP, group.name, external_id, detail=renamed))
        items += _departing(plan)
        counts = _planned(plan, snapshot)
        detail = f"Nothing was changed. {held or ''}".rstrip()
        return self._report(Outcome.HELD if held else Outcome.DONE, counts, detail, tuple(items))

    def _failed(self, outcome: Outcome, detail: str, state: SyncState) -> Report:
        if self.run_id is not None:
            run = self.store.syncs.run(self.run_id)
            counts = {} if run is None else run.counts
            self.store.syncs.finish(self.run_id, outcome, counts, detail, self.clock())
            soon = self.clock() + (min(RETRY_S, self.provider.sync_interval_s) if outcome is Outcome.FAILED else 0.0)
            self.store.syncs.keep_state(replace(state, next_at=soon))
            log.warning("sync.failed", provider=self.name, run=self.run_id, outcome=outcome.value, why=detail)
            return self._report(outcome, counts, detail, ())
        return self._report(outcome, {}, detail, ())

    def _report(
        self, outcome: Outcome, counts: dict[str, int] | Counter[str], detail: str, items: tuple[SyncItem, ...]
    ) -> Report:
        return Report(self.name, self.mode, outcome, dict(counts), detail, self.run_id, items)

    def _next(self) -> float:
        """When the next run is due: many sites, or many providers, must not all come at the same minute."""
        jitter = 1.0 + JITTER * (2.0 * SystemRandom().random() - 1.0)
        return self.clock() + self.provider.sync_interval_s * jitter


def fingerprint(store: Store, name: str, provider: LdapProvider) -> str:
    """Tell settings apart that ask for another reading of the same directory."""
    told = provider.model_dump_json(exclude={"bind_password", "timeout_s", "connections", "sync_interval_s"})
    roles = [(mapping.external_id, mapping.role.value) for mapping in store.providers.roles(name)]
    return hashlib.sha256(f"{told}{sorted(roles)}".encode()).hexdigest()


def _departing(plan: Plan) -> tuple[SyncItem, ...]:
    return tuple(SyncItem(Action.DELETE_GROUP, group.name, group.identity.external_id) for group in plan.gone)


def _pages(steps: list[Step]) -> Iterator[list[Step]]:
    for start in range(0, len(steps), 50):
        yield steps[start : start + 50]


def _item(step: Step) -> SyncItem:
    return SyncItem(step.action, step.subject, step.external_id, step.reason, step.detail)


def _planned(plan: Plan, snapshot: Snapshot) -> dict[str, int]:
    names = {
        Action.CREATE: "created",
        Action.CHANGE: "changed",
        Action.DISABLE: "disabled",
        Action.DELETE: "deleted",
        Action.SKIP: "skipped",
    }
    return {"seen": len(snapshot.seen), **{word: plan.planned[action] for action, word in names.items()}}


def _sentence(counts: Counter[str]) -> str:
    words = ("created", "changed", "disabled", "deleted", "skipped")
    done = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
    people = "1 person" if counts["seen"] == 1 else f"{counts['seen']} people"
    return f"{people} seen: {done or 'nothing to change'}."
