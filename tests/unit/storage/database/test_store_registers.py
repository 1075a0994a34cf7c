"""Sessions, throttle, audit and pruning, on both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import pytest

from storage.database.audit import insert_event
from storage.database.records import Owner
from storage.database.store import Conflict, Store
from tests.support.store_rows import session_row


def test_a_session_is_live_until_it_ends(store: Store) -> None:
    """Opened, seen, ended with the first reason; a second end changes nothing."""
    one, two = session_row("s1"), session_row("s2", worker="w2", opened_at=50.0, credential_id="k")
    for row in (one, two):
        store.sessions.open(row)
    with pytest.raises(Conflict):
        store.sessions.open(one)
    store.sessions.touch("w1", 200.0)
    assert [two, replace(one, seen_at=200.0)] == store.sessions.live()

    store.sessions.end("s1", "logged_out", 300.0)
    store.sessions.end("s1", "cut", 400.0)
    store.sessions.touch("w1", 500.0)

    assert [two] == store.sessions.live()
    assert replace(one, seen_at=200.0, ended_at=300.0, end_reason="logged_out") == store.sessions.by_id("s1")
    assert store.sessions.by_id("s3") is None


def test_a_dead_workers_sessions_end_together(store: Store) -> None:
    """end_of_worker ends what that worker had open, and says how many."""
    for number in range(3):
        store.sessions.open(session_row(f"s{number}", worker="w1" if number else "w2"))

    assert store.sessions.end_of_worker("w1", "worker_died", 1.0) == 2
    assert store.sessions.end_of_worker("w1", "worker_died", 2.0) == 0
    assert [row.id for row in store.sessions.live()] == ["s0"]


def test_the_open_sessions_of_one_user(store: Store) -> None:
    """Those of others, and those that have ended, are not among them."""
    for number, user in enumerate(("u1", "u2", "u1", "u1")):
        store.sessions.open(session_row(f"s{number}", user_id=user, opened_at=10.0 - number))
    store.sessions.end("s3", "logged_out", 20.0)

    assert [row.id for row in store.sessions.live_of("u1")] == ["s2", "s0"]
    assert store.sessions.live_of("\0") == []


def test_a_hostile_peer_text_is_stored_clean(store: Store) -> None:
    """What a client sent cannot break the row or the terminal that shows it."""
    store.sessions.open(session_row("s1", user_name="a\0b\x1b[2J", peer="\udcff"))

    row = store.sessions.by_id("s1")
    assert row is not None
    assert (row.user_name, row.peer) == ("a\ufffdb\ufffd[2J", "\ufffd")


def test_failures_are_counted_per_key_and_window(store: Store) -> None:
    """failures() counts one key from a moment on; clear and prune forget."""
    for at in (1.0, 2.0, 3.0):
        store.throttle.add("user:a", at)
    store.throttle.add("net:10.0.0.0/24", 3.0)

    assert [store.throttle.failures("user:a", since) for since in (0.0, 2.0, 3.5)] == [3, 2, 0]
    assert store.throttle.counts(["user:a", "net:10.0.0.0/24", "user:b"], 2.0) == {"user:a": 2, "net:10.0.0.0/24": 1}
    assert store.throttle.prune(2.0) == 1
    assert store.throttle.failures("user:a", 0.0) == 2
    store.throttle.clear("user:a")
    assert (store.throttle.failures("user:a", 0.0), store.throttle.failures("net:10.0.0.0/24", 0.0)) == (0, 1)


def test_an_audit_event_has_every_field(store: Store) -> None:
    """What is added is what tail() gives; details of any kind become JSON."""
    detail = {"steps": ("a", "b"), "owner": Owner.SCIM, "set": frozenset({"y", "x"}), "n": 1, "f": 0.5, "none": None,
              "deep": {"ok": True, 3: "three"}, "odd": b"bytes"}  # fmt: skip
    store.audit.add("signin", "ann", "ann", "refused", "wrong_password", "sftp", "10.0.0.1", "s1", detail, at=5.0)
    store.audit.add("signin", "\udcff", "a\nb", "refused", "bad_name")

    first, second = store.audit.tail()

    assert (
        first.at,
        first.kind,
        first.actor,
        first.subject,
        first.outcome,
        first.reason,
        first.front_end,
        first.peer,
        first.session_id,
    ) == (5.0, "signin", "ann", "ann", "refused", "wrong_password", "sftp", "10.0.0.1", "s1")
    assert first.detail == {
        "steps": ["a", "b"],
        "owner": "scim",
        "set": ["x", "y"],
        "n": 1,
        "f": 0.5,
        "none": None,
        "deep": {"ok": True, "3": "three"},
        "odd": "b'bytes'",
    }
    assert (second.actor, second.subject, second.detail) == ("\ufffd", "a\ufffdb", None)
    assert second.at > first.at


def test_tail_is_filtered_limited_and_goes_on(store: Store) -> None:
    """Without a start the newest events, else the first ones after the start; always in order."""
    for number in range(6):
        store.audit.add("even" if number % 2 == 0 else "odd", "x", f"s{number}", "ok", "")
    events = store.audit.tail()

    assert events[-2:] == store.audit.tail(limit=2)
    assert events[1:3] == store.audit.tail(after_id=events[0].id, limit=2)
    assert [events[3]] == store.audit.tail(subject="s3")
    assert events[0::2] == store.audit.tail(kind="even")
    assert [events[4]] == store.audit.tail(after_id=events[2].id, kind="even")
    assert store.audit.tail(after_id=events[-1].id) == []


def test_a_follower_of_the_audit_trail_misses_nothing(store: Store) -> None:
    """tail() shows no event while one with a smaller id is still on its way to its commit."""
    opened, release = threading.Event(), threading.Event()
    event = {"at": 1.0, "kind": "k", "actor": "", "subject": "slow", "outcome": "", "reason": "", "front_end": "",
             "peer": "", "session_id": "", "detail": None}  # fmt: skip

    def slow() -> None:
        with store._database.write() as connection:
            insert_event(connection, event)
            opened.set()
            assert release.wait(10)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(slow)
        assert opened.wait(5)
        second = pool.submit(store.audit.add, "k", "", "fast", "", "")
        wait([second], timeout=0.3)
        following = pool.submit(store.audit.tail)
        wait([following], timeout=0.3)
        release.set()
        first.result(10)
        second.result(10)

        seen = [each.subject for each in following.result(10)]

    assert seen in ([], ["slow", "fast"])
    assert [each.subject for each in store.audit.tail()] == ["slow", "fast"]


def test_pruning_removes_what_is_old(store: Store) -> None:
    """Old revocations, ended sessions and failures go; live sessions and audit events stay."""
    day = 86_400.0
    now = 100 * day
    store.throttle.add("old", now - 2 * day)
    store.throttle.add("new", now)
    for row in (session_row("old", opened_at=1.0), session_row("new"), session_row("live", opened_at=1.0)):
        store.sessions.open(row)
    store.sessions.end("old", "", now - 31 * day)
    store.sessions.end("new", "", now - day)
    store.audit.add("k", "", "", "", "", at=1.0)

    assert store.prune(now) == 2

    assert (store.throttle.failures("old", 0.0), store.throttle.failures("new", 0.0)) == (0, 1)
    assert store.sessions.by_id("old") is None
    assert store.sessions.by_id("new") is not None
    assert [row.id for row in store.sessions.live()] == ["live"]
    assert len(store.audit.tail()) == 1
