"""The table of WebDAV locks, on both databases."""

from __future__ import annotations

import threading

import pytest

from storage.database import locks
from storage.database.locks import DavLock, LockConflict, LockWish
from storage.database.store import Store

TREE = "folder:f"


def wish(path: str, *, deep: bool = False, exclusive: bool = True, user: str = "anna", tree: str = TREE) -> LockWish:
    return LockWish(
        tree=tree, path=path, depth_infinity=deep, exclusive=exclusive, user_id=user, owner="<o/>", timeout_s=600
    )


def paths(found: list[DavLock]) -> list[str]:
    return sorted(lock.path for lock in found)


def test_of_many_who_want_a_lock_one_gets_it(store: Store) -> None:
    """Check and insert are one transaction, whoever asks at the same time."""
    won: list[DavLock] = []
    lost: list[LockConflict] = []
    barrier = threading.Barrier(6)

    def ask(number: int) -> None:
        barrier.wait(10)
        try:
            won.append(store.locks.acquire(wish("/a/b", user=f"u{number}", deep=number % 2 == 0)))
        except LockConflict as conflict:
            lost.append(conflict)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert (len(won), len(lost)) == (1, 5)
    assert {won[0].token} == {lock.token for conflict in lost for lock in conflict.locks}


@pytest.mark.parametrize(
    ("held", "wanted", "conflicts"),
    [
        (wish("/a"), wish("/a"), True),
        (wish("/a"), wish("/a", tree="folder:g"), False),
        (wish("/a", deep=True), wish("/a/b/c"), True),
        (wish("/a"), wish("/a/b"), False),
        (wish("/a/b"), wish("/a", deep=True), True),
        (wish("/a/b"), wish("/a"), False),
        (wish("/ab"), wish("/a", deep=True), False),
        (wish("/a b"), wish("/a", deep=True), False),
        (wish("/a-b/c"), wish("/a", deep=True), False),
        (wish("/", deep=True), wish("/x"), True),
        (wish("/x"), wish("/", deep=True), True),
        (wish("/A"), wish("/a", deep=True), False),
        (wish("/ä/é"), wish("/ä", deep=True), True),
        (wish("/a%/b"), wish("/a_", deep=True), False),
        (wish("/a", exclusive=False), wish("/a", exclusive=False, user="ben"), False),
        (wish("/a", exclusive=False, deep=True), wish("/a/b"), True),
    ],
)
def test_what_conflicts(store: Store, held: LockWish, wanted: LockWish, conflicts: bool) -> None:  # noqa: FBT001 - a case
    """Paths are compared name by name, in every script and with every character of LIKE."""
    store.locks.acquire(held)
    try:
        store.locks.acquire(wanted)
        got = False
    except LockConflict:
        got = True

    assert conflicts is got


def test_a_lock_that_ran_out_is_gone(store: Store) -> None:
    """For questions at once, and for whoever wants its place."""
    now = [1000.0]
    table = locks.LockTable(store.locks._database, clock=lambda: now[0])
    old = table.acquire(wish("/a"))
    now[0] += 599
    assert paths(table.covering(TREE, "/a")) == ["/a"]
    now[0] += 2

    assert table.covering(TREE, "/a") == []
    assert table.in_subtree(TREE, "/") == []
    assert table.by_token(old.token) is None
    assert table.refresh(old.token, "anna", 600) is None
    assert old.token != table.acquire(wish("/a", user="ben")).token


def test_only_the_owner_refreshes(store: Store) -> None:
    """A lease is longer by what is asked, from now on."""
    lock = store.locks.acquire(wish("/a"))

    assert store.locks.refresh(lock.token, "ben", 3600) is None
    refreshed = store.locks.refresh(lock.token, "anna", 3600)
    assert refreshed is not None
    assert refreshed.expires_at > lock.expires_at + 2000


def test_who_may_write(store: Store) -> None:
    """The own token opens the own lock, and nobody else's."""
    mine = store.locks.acquire(wish("/a", deep=True))
    store.locks.acquire(wish("/b/c", user="ben"))

    def conflicts(path: str, user: str, *tokens: str, deep: bool = False) -> list[str]:
        found = store.locks.writing_conflicts(TREE, path, depth_infinity=deep, user_id=user, tokens=tokens)
        return paths(found)

    assert conflicts("/a/x", "anna") == ["/a"]
    assert conflicts("/a/x", "anna", mine.token) == []
    assert conflicts("/a/x", "ben", mine.token) == ["/a"]
    assert conflicts("/b", "anna", mine.token, deep=True) == ["/b/c"]
    assert conflicts("/b", "anna") == []
    assert conflicts("/", "ben", deep=True) == ["/a", "/b/c"]
    assert conflicts("/a", "anna", mine.token, deep=True) == []


def test_locks_below_are_forgotten_with_or_without_the_root(store: Store) -> None:
    """And nothing beside them."""
    for path in ("/a", "/a/b", "/a/b/c", "/ab"):
        store.locks.acquire(wish(path))

    assert store.locks.forget(TREE, "/a", with_root=False) == 2
    assert paths(store.locks.in_subtree(TREE, "/")) == ["/a", "/ab"]
    assert store.locks.forget(TREE, "/a") == 1
    assert store.locks.forget(TREE, "/a") == 0
    assert paths(store.locks.in_subtree(TREE, "/")) == ["/ab"]


def test_release_ends_one_lock(store: Store) -> None:
    """Once."""
    lock = store.locks.acquire(wish("/a"))

    assert [store.locks.release(lock.token), store.locks.release(lock.token)] == [True, False]
