"""The provisioning log is written in the background, in order, and survives a database that is away."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from server.http.scim.request_log import RequestLog
from storage.database.scim_log import ScimLog, ScimRequestRow
from storage.database.store import Store, StoreUnavailable
from tests.support.waiting import eventually


def line(number: int) -> ScimRequestRow:
    return ScimRequestRow(
        at=float(number),
        provider="entra",
        token_id="t",
        peer="127.0.0.1",
        user_agent="",
        method="GET",
        path=f"/scim/v2/Users/{number}",
        status=200,
        duration_ms=1.0,
    )


class Flaky:
    """A table that cannot be reached for the first times."""

    def __init__(self, table: ScimLog, failures: int) -> None:
        self._table = table
        self.failures = failures

    def add(self, rows: Sequence[ScimRequestRow]) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")
        self._table.add(rows)


class Stuck:
    """A table that never answers until it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.rows: list[ScimRequestRow] = []

    def add(self, rows: Sequence[ScimRequestRow]) -> None:
        self.go.wait(10)
        self.rows += rows


def test_all_requests_come_in_their_order(sqlite_store: Store) -> None:
    """Several to a transaction; close writes the rest."""
    log = RequestLog(sqlite_store.scim_log, gather_s=0.01)
    for number in range(500):
        log.write(line(number))
    log.close()

    assert [row.at for row in sqlite_store.scim_log.tail(limit=1000)] == [float(number) for number in range(500)]
    assert log.lost == 0


def test_a_database_that_is_away_costs_no_line(sqlite_store: Store) -> None:
    """The lines wait and come in their order."""
    log = RequestLog(Flaky(sqlite_store.scim_log, 1), gather_s=0.0)  # type: ignore[arg-type]
    for number in range(3):
        log.write(line(number))
    eventually(lambda: len(sqlite_store.scim_log.tail()) == 3, what="the lines")
    log.close()

    assert [row.at for row in sqlite_store.scim_log.tail()] == [0.0, 1.0, 2.0]


def test_what_cannot_be_kept_is_counted() -> None:
    """A full log loses the newest and says how many; writing never waits."""
    table = Stuck()
    log = RequestLog(table, capacity=2, gather_s=0.0)  # type: ignore[arg-type]
    log.write(line(0))
    eventually(lambda: not log._rows, what="the thread to take the first")
    for number in range(1, 6):
        log.write(line(number))
    table.go.set()
    log.close()

    assert log.lost == 3
    assert [row.at for row in table.rows] == [0.0, 1.0, 2.0]
