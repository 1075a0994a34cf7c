"""The provisioning log of one worker: requests are gathered and written in the background, several to a transaction."""

from __future__ import annotations

import threading
from collections import deque

import structlog

from storage.database.scim_log import ScimLog, ScimRequestRow
from storage.database.store import StoreError, StoreUnavailable

log = structlog.get_logger(__name__)

CAPACITY = 20_000  # requests that wait while the database is away; some 100 MB at the very most
BATCH = 200
GATHER_S = 0.2
RETRY_S = 0.5


class RequestLog:
    """Thread-safe. What changed is in the audit trail already, by the change's own transaction; this tells how it came.

    What cannot be kept is counted and told as an error: nothing is lost silently.
    """

    def __init__(self, table: ScimLog, *, capacity: int = CAPACITY, gather_s: float = GATHER_S) -> None:
        self._table = table
        self._gather_s = gather_s
        self._rows: deque[ScimRequestRow] = deque()
        self._capacity = capacity
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self.lost = 0
        self._thread = threading.Thread(target=self._work, name="scim-log", daemon=True)
        self._thread.start()

    def write(self, row: ScimRequestRow) -> None:
        """Keep one request soon; returns at once."""
        with self._lock:
            if len(self._rows) >= self._capacity:
                self.lost += 1
                is_first = self.lost == 1
            else:
                is_first = False
                self._rows.append(row)
        if is_first:
            log.error("scim.log_full", capacity=self._capacity)
        self._wake.set()

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, for at most so many seconds, and stop."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s)
        if self._rows or self.lost:
            log.error("scim.log_lost", requests=self.lost + len(self._rows))

    def _work(self) -> None:
        while True:
            self._wake.wait()
            if not self._closing.is_set():
                self._closing.wait(self._gather_s)  # more come, and one transaction is cheaper than many
            self._wake.clear()
            while rows := self._batch():
                if not self._written(rows):
                    self._put_back(rows)
                    if self._closing.wait(RETRY_S):
                        return
            if self._closing.is_set():
                return

    def _batch(self) -> list[ScimRequestRow]:
        with self._lock:
            return [self._rows.popleft() for _ in range(min(BATCH, len(self._rows)))]

    def _put_back(self, rows: list[ScimRequestRow]) -> None:
        with self._lock:
            self._rows.extendleft(reversed(rows))

    def _written(self, rows: list[ScimRequestRow]) -> bool:
        try:
            self._table.add(rows)
        except StoreUnavailable as error:
            log.warning("scim.log_waits_for_store", error=str(error))
            return False
        except StoreError as error:
            self.lost += len(rows)
            log.error("scim.log_refused", error=str(error), requests=len(rows))  # noqa: TRY400 - the text says it
        return True
