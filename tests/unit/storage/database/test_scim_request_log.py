"""The provisioning log: what is written, in which order it is read, and what is forgotten."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

from storage.database.scim_log import MAX_BODY, ScimRequestRow, insert_requests
from storage.database.store import Store
from tests.support.scim_rows import ENTRA, OKTA

ROW = ScimRequestRow(
    at=100.0,
    provider=ENTRA,
    token_id="t1",
    peer="192.0.2.1",
    user_agent="client/1",
    method="PATCH",
    path="/scim/v2/Users/u1",
    status=200,
    duration_ms=1.5,
    subject="ann",
    changed={"status": ["active", "deprovisioned"], "users": 1},
    request='{"active":"***"}',
    response="{}",
)


def ids(rows: list[ScimRequestRow]) -> list[int]:
    return [row.id for row in rows]


def test_a_request_is_kept_whole(store: Store) -> None:
    """What is added is what is read, with a number."""
    store.scim_log.add([ROW])
    store.scim_log.add([])

    (kept,) = store.scim_log.tail()
    assert (replace(kept, id=0), kept.id) == (ROW, 1)


def test_a_clients_words_are_made_fit(store: Store) -> None:
    """Control characters and surrogates are replaced, and long words cut, wherever a client chooses them."""
    hostile = "a\x1b[2J\ud800\0" + "x" * 20_000
    words = ("peer", "user_agent", "method", "path", "subject", "request", "response")
    store.scim_log.add([replace(ROW, **dict.fromkeys(words, hostile))])  # type: ignore[arg-type]  # texts

    (kept,) = store.scim_log.tail()
    for word in words:
        assert getattr(kept, word).startswith("a\ufffd[2J\ufffd\ufffdx")
    assert [len(getattr(kept, word)) for word in words] == [256, 256, 16, 2048, 256, MAX_BODY, MAX_BODY]


def test_requests_are_read_in_their_order(store: Store) -> None:
    """The newest so many, or the first so many after a number: pages meet without a gap."""
    store.scim_log.add([replace(ROW, path=str(number)) for number in range(5)])
    store.scim_log.add([replace(ROW, path=str(number)) for number in range(5, 8)])
    log = store.scim_log

    assert [row.path for row in log.tail(limit=3)] == ["5", "6", "7"]
    assert [row.path for row in log.tail(after_id=1, limit=3)] == ["1", "2", "3"]
    assert [row.path for row in log.tail(after_id=4, limit=3)] == ["4", "5", "6"]
    assert (len(log.tail(limit=0)), log.tail(after_id=8)) == (1, [])


def test_filters_narrow(store: Store) -> None:
    """By provider, status, subject, time and whether something could be changed, alone and together."""
    store.scim_log.add(
        [
            ROW,
            replace(ROW, provider=OKTA),
            replace(ROW, status=409, subject="bob"),
            replace(ROW, method="GET"),
            replace(ROW, at=200.0, status=500, method="POST"),
        ]
    )
    log = store.scim_log

    assert ids(log.tail(ENTRA)) == [1, 3, 4, 5]
    assert ids(log.tail(least_status=400)) == [3, 5]
    assert ids(log.tail(subject="bob")) == [3]
    assert ids(log.tail(since=200.0)) == [5]
    assert ids(log.tail(writes_only=True)) == [1, 2, 3, 5]
    assert ids(log.tail(ENTRA, least_status=400, subject="ann", since=100.0, writes_only=True, after_id=1)) == [5]


def test_when_a_client_was_last_heard(store: Store) -> None:
    """Each provider's newest request, whatever its time says; None before the first."""
    store.scim_log.add([ROW, replace(ROW, at=300.0), replace(ROW, at=250.0), replace(ROW, provider=OKTA, at=900.0)])

    assert (store.scim_log.last_at(ENTRA), store.scim_log.last_at(OKTA)) == (250.0, 900.0)
    assert store.scim_log.last_at("none") is None


def test_old_requests_are_forgotten(store: Store) -> None:
    """Before a time, not at it; the store's own pruning keeps ninety days; numbers are never used again."""
    store.scim_log.add([replace(ROW, at=moment) for moment in (1.0, 2.0, 3.0)])
    removed = store.scim_log.prune(2.0)
    left = ids(store.scim_log.tail())
    kept = store.prune(3.0 + 90 * 86_400.0)
    gone = store.prune(3.1 + 90 * 86_400.0)
    store.scim_log.add([ROW])

    assert (removed, left, kept, gone) == (1, [2, 3], 1, 1)
    assert ids(store.scim_log.tail()) == [4]


def test_a_follower_of_the_log_misses_nothing(store: Store) -> None:
    """A reader who goes on from the last number sees none while one with a smaller number is on its way."""
    store.scim_log.add([ROW])
    opened, release = threading.Event(), threading.Event()

    def slow() -> None:
        with store._database.write() as connection:
            insert_requests(connection, [replace(ROW, path="slow")])
            opened.set()
            assert release.wait(10)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(slow)
        assert opened.wait(5)
        second = pool.submit(store.scim_log.add, [replace(ROW, path="fast")])
        wait([second], timeout=0.3)
        following = pool.submit(store.scim_log.tail, after_id=1)
        wait([following], timeout=0.3)
        release.set()
        first.result(10)
        second.result(10)
        seen = [row.path for row in following.result(10)]

    assert seen in ([], ["slow", "fast"])
