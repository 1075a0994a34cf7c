"""Invariants that hold when many threads change the store at once, on both databases."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.database.changes import AddMember, CreateUser, DeleteUser, SetStatus, UpdateUser, UserFields
from storage.database.records import Method, Status
from storage.database.store import Conflict, Store, open_store
from tests.support.store_rows import ACTOR, make_admin, make_group, make_ssh_key, make_user, ssh_key_change, user_again


@pytest.fixture
def other(store_url: str) -> Iterator[Store]:
    """A second store of the same database, as another worker process has."""
    opened = open_store(store_url)
    yield opened
    opened.close()


def together(*works: Callable[[], object]) -> list[object]:
    """Run all at the same moment and give results; a Conflict is a result."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        barrier.wait(10)
        try:
            return work()
        except Conflict as refused:
            return refused

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(run, work) for work in works]]


@pytest.mark.parametrize("how", ["disable", "delete"])
def test_two_cannot_take_the_last_two_break_glass_admins(store: Store, other: Store, how: str) -> None:
    """When two workers end one of the two last admins each, one of them is refused; ten times in a row."""
    left = make_admin(store, "first")
    for attempt in range(10):
        pair = (left, make_admin(store, f"next{attempt}"))
        ends = [SetStatus(user.id, Status.DISABLED) if how == "disable" else DeleteUser(user.id) for user in pair]

        results = together(
            lambda ends=ends: store.apply(ends[0], actor=ACTOR), lambda ends=ends: other.apply(ends[1], actor=ACTOR)
        )

        assert sum(isinstance(result, Conflict) for result in results) == 1
        (left,) = [user for user in store.users.list(status=Status.ACTIVE) if user.break_glass]
        assert left.id in {user.id for user in pair}


def test_no_raised_epoch_is_lost(store: Store, other: Store) -> None:
    """Eight threads of two workers raise one user's epoch ten times each: it rises by eighty."""
    ann = make_user(store)
    stores = [store, other] * 4

    def raise_ten(number: int) -> None:
        for step in range(10):
            fields = UserFields(quota_bytes=number * 100 + step)
            stores[number].apply(UpdateUser(ann.id, fields), actor=ACTOR)

    together(*(lambda number=number: raise_ten(number) for number in range(8)))

    assert ann.epoch + 80 == user_again(store, ann).epoch
    sequences = [row.sequence for row in store.revocations.since(0)]
    assert 81 == len(sequences) == len(set(sequences))


def test_one_name_is_taken_once(store: Store, other: Store) -> None:
    """Of six that make the same user at once, one does."""
    change = CreateUser("Ann", Method.LOCAL)
    results = together(*(lambda each=each: each.apply(change, actor=ACTOR) for each in [store, other] * 3))

    assert sum(isinstance(result, Conflict) for result in results) == 5
    assert store.users.count() == 1


def test_one_key_and_one_membership_are_added_once(store: Store, other: Store) -> None:
    """Of four that add the same key, one does; the same membership stays one."""
    ann, group = make_user(store), make_group(store)
    add, join = ssh_key_change(ann.id), AddMember(ann.id, group.id)

    keys = together(*(lambda each=each: each.apply(add, actor=ACTOR) for each in [store, other] * 2))
    joins = together(*(lambda each=each: each.apply(join, actor=ACTOR) for each in [store, other] * 2))

    assert sum(isinstance(result, Conflict) for result in keys) == 3
    assert sum(result.changed for result in joins) == 1  # type: ignore[attr-defined]
    assert len(store.credentials.ssh_keys_of(ann.id)) == 1


def test_readers_go_on_while_a_change_is_open(store: Store) -> None:
    """A change in progress blocks no look-up, and is not seen before its commit."""
    ann = make_user(store)
    make_ssh_key(store, ann)
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE users SET epoch = 99")

        seen = together(lambda: user_again(store, ann).epoch)

    assert seen == [2]
    assert user_again(store, ann).epoch == 99


def test_a_lease_has_one_holder(store: Store, other: Store) -> None:
    """Of eight processes that take a lease at once, one gets it; it can renew, and others get it when it ends."""
    holders = [f"p{number}" for number in range(8)]
    stores = [store, other] * 4
    takes = [lambda n=n: stores[n].leases.take("jobs", holders[n], 60.0) for n in range(8)]
    results = together(*takes)

    assert results.count(True) == 1
    holder = holders[results.index(True)]
    assert store.leases.take("jobs", holder, 60.0)
    store.leases.release("jobs", "somebody else")
    assert not other.leases.take("jobs", "late", 60.0)

    assert store.leases.take("jobs", holder, -1.0)  # renewed into the past: it has ended
    assert other.leases.take("jobs", "late", 60.0)
    other.leases.release("jobs", "late")
    assert store.leases.take("jobs", holder, 60.0)


KILLED = """
import sys, time
from storage.database import changes
from storage.database.changes import CreateUser
from storage.database.records import Method
from storage.database.store import open_store

def last_step(tx, values):
    print("in the transaction", flush=True)
    time.sleep(60)

changes.insert_events = last_step
open_store(sys.argv[1]).apply(CreateUser("half", Method.LOCAL), actor="victim")
"""


def test_a_killed_process_leaves_nothing(store: Store, store_url: str) -> None:
    """SIGKILL after all rows but the last are written: none is there, and the next change waits for nobody."""
    victim = subprocess.Popen([sys.executable, "-c", KILLED, store_url], stdout=subprocess.PIPE)
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"in the transaction\n"
    victim.kill()
    victim.communicate(timeout=10)

    applied = store.apply(CreateUser("whole", Method.LOCAL), actor=ACTOR)

    assert [user.name for user in store.users.list()] == ["whole"]
    assert [row.user_id for row in store.revocations.since(0)] == [applied.subject_id]
    assert len(store.audit.tail()) == 1
