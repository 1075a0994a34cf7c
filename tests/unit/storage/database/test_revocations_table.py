"""Revocations: order, wake-up latency and a lost listener, on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from sqlalchemy import insert

from storage.database.changes import SetStatus
from storage.database.engine import AdvisoryLock
from storage.database.records import Status
from storage.database.revocations import insert_revocations
from storage.database.store import InvalidChange, Store, open_store
from storage.database.tables import revocations
from tests.support.postgres import PostgresServer
from tests.support.store_rows import ACTOR, make_user

WAKE_S = 0.5


@pytest.fixture
def worker(store_url: str) -> Iterator[Store]:
    """A store of another worker process on the same database."""
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for waiters."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


def waiting(pool: ThreadPoolExecutor, store: Store, timeout_s: float = 30.0) -> Future[float]:
    """Start a wait in a thread and return once it runs; its result is the moment when it woke."""
    begun = threading.Event()

    def watch() -> float:
        begun.set()
        store.revocations.wait(timeout_s)
        return time.monotonic()

    future = pool.submit(watch)
    assert begun.wait(5)
    return future


def test_rows_come_in_order_and_once(store: Store) -> None:
    """since() gives what came after a number, in order."""
    assert (store.revocations.latest(), store.revocations.since(0)) == (0, [])
    store.revocations.add(user_id="u1", reason="first")
    store.revocations.add(session_id="s1", reason="second")
    store.revocations.add(user_id="u2")

    rows = store.revocations.since(0)

    assert [(row.user_id, row.session_id, row.reason) for row in rows] == [
        ("u1", None, "first"),
        (None, "s1", "second"),
        ("u2", None, "cut"),
    ]
    assert rows[1:] == store.revocations.since(rows[0].sequence)
    assert rows[2].sequence == store.revocations.latest()


def test_a_revocation_names_one_thing(store: Store) -> None:
    """Neither nothing nor a user and a session together."""
    for names in ({}, {"user_id": "u", "session_id": "s"}):
        with pytest.raises(InvalidChange):
            store.revocations.add(**names)


def test_a_change_elsewhere_wakes_a_waiting_worker(
    store: Store, worker: Store, pool: ThreadPoolExecutor, record_property: Callable[[str, object], None]
) -> None:
    """From the commit in one process to the wake-up in another is under half a second, ten times."""
    ann = make_user(store)
    sequence = worker.revocations.latest()
    for number in range(10):
        woken = waiting(pool, worker)
        status = Status.DISABLED if number % 2 == 0 else Status.ACTIVE
        store.apply(SetStatus(ann.id, status), actor=ACTOR)
        committed = time.monotonic()

        latency = woken.result(5) - committed

        record_property(f"latency_{number}", latency)
        assert latency < WAKE_S
        (row,) = worker.revocations.since(sequence)
        assert ann.id == row.user_id
        sequence = row.sequence


def test_a_change_in_the_same_process_wakes_it(store: Store, pool: ThreadPoolExecutor) -> None:
    """A waiter of the same store wakes as well."""
    woken = waiting(pool, store)
    store.revocations.add(user_id="u")
    added = time.monotonic()

    assert woken.result(5) - added < WAKE_S


def test_what_came_between_reading_and_waiting_is_not_slept_through(store: Store, worker: Store) -> None:
    """wait() returns at once when something came after the last read."""
    worker.revocations.since(worker.revocations.latest())
    store.revocations.add(user_id="u")
    begin = time.monotonic()

    worker.revocations.wait(30.0)
    worker.revocations.wait(30.0, after=0)

    assert time.monotonic() - begin < WAKE_S


def test_other_writes_do_not_wake(store: Store, worker: Store) -> None:
    """Sign-in failures and audit events end no wait; the timeout does."""
    begin = time.monotonic()
    store.throttle.add("user:u", 1.0)
    worker.revocations.wait(0.3)

    assert 0.3 <= time.monotonic() - begin < 5


def test_two_waiters_of_one_store_both_wake(store: Store, worker: Store, pool: ThreadPoolExecutor) -> None:
    """A second waiting thread polls while the first listens."""
    both = [waiting(pool, worker), waiting(pool, worker)]
    store.revocations.add(user_id="u")
    added = time.monotonic()

    assert all(each.result(5) - added < WAKE_S for each in both)


def test_closing_ends_the_wait(worker: Store, pool: ThreadPoolExecutor) -> None:
    """A worker that drains is not held by its watcher."""
    woken = waiting(pool, worker)
    begin = time.monotonic()
    worker.close()

    assert woken.result(5) - begin < 1.0


def test_numbers_become_visible_in_order(store: Store, worker: Store, pool: ThreadPoolExecutor) -> None:
    """A reader that saw a number never finds a smaller one later, although transactions overlap."""
    release, opened = threading.Event(), threading.Event()

    def slow() -> None:
        with store._database.write(lock=AdvisoryLock.CHANGES) as connection:
            insert_revocations(connection, ["slow"], "test", 1.0)
            opened.set()
            assert release.wait(10)

    first = pool.submit(slow)
    assert opened.wait(5)
    second = pool.submit(worker.revocations.add, "fast")
    wait([second], timeout=0.3)  # it must not be able to commit before the first
    seen_early = worker.revocations.since(0)
    release.set()
    first.result(10)
    second.result(10)

    assert seen_early == []
    rows = worker.revocations.since(0)
    assert [row.user_id for row in rows] == ["slow", "fast"]
    assert rows[0].sequence < rows[1].sequence


def test_numbers_rise_even_after_pruning(store: Store) -> None:
    """The last revocation outlives pruning, so that latest() never falls behind a reader."""
    with store._database.write() as connection:
        rows = [{"user_id": f"u{n}", "session_id": None, "reason": "r", "at": float(n)} for n in range(5)]
        connection.execute(insert(revocations), rows)
    latest = store.revocations.latest()

    assert store.revocations.prune(2.0) == 2
    assert store.revocations.prune(1e9) == 2
    assert latest == store.revocations.latest()
    store.revocations.add(user_id="next")
    assert latest < store.revocations.latest()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_quiet_wait_keeps_its_listener(store: Store, worker: Store) -> None:
    """One connection listens for as long as nothing breaks it, and a notification ends its wait."""
    worker.revocations.latest()
    worker.revocations.wait(0.05)
    listener = worker.revocations._listener
    worker.revocations.wait(0.6)

    assert listener is not None
    assert worker.revocations._listener is listener
    timer = threading.Timer(0.1, store.revocations.add, kwargs={"user_id": "u"})
    timer.start()
    assert worker.revocations._hear(listener, 5)
    timer.join()
    assert worker.revocations._listener is listener


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_lost_listener_is_made_anew(
    store: Store, worker: Store, pool: ThreadPoolExecutor, postgres_server: PostgresServer
) -> None:
    """When every connection breaks during the wait, the next revocation still wakes the worker in time."""
    worker.revocations.latest()
    woken = waiting(pool, worker)
    deadline = time.monotonic() + 5
    while worker.revocations._listener is None:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)

    assert postgres_server.end_connections("shared") > 0
    store.revocations.add(user_id="u")
    added = time.monotonic()

    assert woken.result(5) - added < WAKE_S
    again = waiting(pool, worker)
    assert [row.user_id for row in worker.revocations.since(0)] == ["u"]
    store.revocations.add(user_id="v")
    added = time.monotonic()
    assert again.result(5) - added < WAKE_S


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_without_listen_the_poll_finds_it(
    store: Store, worker: Store, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no LISTEN connection can be had, the worker still wakes in time."""

    def refused() -> None:
        raise OSError("too many connections")

    monkeypatch.setattr(worker._database, "dedicated", refused)
    woken = waiting(pool, worker)
    store.revocations.add(user_id="u")
    added = time.monotonic()

    assert woken.result(5) - added < WAKE_S
