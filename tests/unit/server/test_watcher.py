"""The watcher: what it does when the store is gone."""

from __future__ import annotations

from server.watcher import Watcher
from storage.database.changes import CreateUser
from storage.database.records import Method
from storage.database.store import Store
from tests.support.live_sessions import registry
from tests.support.waiting import eventually


def test_sessions_outlive_a_short_outage_and_not_a_long_one(sqlite_store: Store) -> None:
    """While nobody can tell, sessions go on for the blind time and are then cut."""
    sqlite_store.apply(CreateUser("ada", Method.LOCAL), actor="test")
    now = [0.0]
    rounds = [0]

    def monotonic() -> float:
        rounds[0] += 1
        return now[0]

    with registry(sqlite_store) as live:
        client = live.sign_in("ada", session_id="1" * 32)
        watcher = Watcher(sqlite_store, live.sessions, wait_s=0.01, blind_s=60.0, monotonic=monotonic)
        watcher.start()
        sqlite_store.close()
        now[0] = 59.0
        seen = rounds[0]
        eventually(lambda: rounds[0] > seen + 5, what="some rounds without the store")
        before = list(client.cuts)
        now[0] = 200.0
        eventually(lambda: client.cuts, what="the cut")
        watcher.stop()

    assert before == []
    assert client.cuts == ["store_unreachable"]
