"""Revocations: the wake-up calls that end or narrow live sessions on every worker and node.

A row is written in the transaction of the change that caused it. Workers read the rows in the
order of ``sequence`` and remember the last one.

On PostgreSQL a sequence number is handed out before its transaction commits, so a reader could see
7, remember it, and never look at 6, which commits later. Therefore every transaction that adds rows
holds one advisory lock from before the number is taken until it has committed: numbers become
visible in their order. On SQLite ``BEGIN IMMEDIATE`` does the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import structlog
from sqlalchemy import Connection, bindparam, delete, func, insert, select, text

from storage.database.engine import AdvisoryLock, Database
from storage.database.errors import InvalidChange, StoreUnavailable
from storage.database.names import shown
from storage.database.records import Revocation
from storage.database.rows import revocation_of
from storage.database.tables import revocations

CHANNEL = "quaymaster_revocations"
POLL_STEP_S = 0.1
LISTEN_STEP_S = 0.25  # how long a lost notification or close() may go unnoticed

_log = structlog.get_logger(__name__)
_LATEST = select(func.coalesce(func.max(revocations.c.sequence), 0))
_SINCE = select(revocations).where(revocations.c.sequence > bindparam("after")).order_by(revocations.c.sequence)


class Revocations:
    """Read, await and add revocations. One thread per process is expected to wait."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = 0
        self._local = threading.Condition()
        self._local_writes = 0
        self._listening = threading.Lock()
        self._listener: Connection | None = None

    def latest(self) -> int:
        """Give the highest sequence number so far; 0 when there is none."""
        latest = self._read_latest()
        self._seen = max(self._seen, latest)
        return latest

    def since(self, sequence: int) -> list[Revocation]:
        """Give every revocation after this number, in order; none with a lower number comes later."""
        with self._database.read() as connection:
            rows = [revocation_of(row) for row in connection.execute(_SINCE, {"after": sequence})]
        if rows:
            self._seen = max(self._seen, rows[-1].sequence)
        return rows

    def wait(self, timeout_s: float, *, after: int | None = None) -> None:
        """Block until there may be a revocation after ``after``, or until the timeout in seconds.

        ``after`` defaults to the highest number that this object has handed out, so nothing that
        comes between :meth:`since` and this call is slept through. Never raises for a database that
        is gone: it then waits out the timeout, and :meth:`since` tells.
        """
        deadline = time.monotonic() + timeout_s
        after = self._seen if after is None else after
        if self._database.is_sqlite or not self._listening.acquire(blocking=False):
            self._poll(after, deadline)
            return
        try:
            self._listen(after, deadline)
        finally:
            self._listening.release()

    def add(self, user_id: str | None = None, session_id: str | None = None, reason: str = "cut") -> None:
        """Wake every worker for this user or this session, as ``session cut`` does."""
        if (user_id is None) == (session_id is None):
            raise InvalidChange("A revocation names either a user or a session.")
        with self._database.write(lock=AdvisoryLock.CHANGES) as connection:
            row = {"user_id": user_id, "session_id": session_id, "reason": shown(reason), "at": time.time()}
            connection.execute(insert(revocations), row)
            notify(connection)
        self.wake()

    def prune(self, before: float) -> int:
        """Forget revocations older than ``before``, except the last, which keeps :meth:`latest` rising."""
        old = delete(revocations).where(revocations.c.at < before, revocations.c.sequence < _LATEST.scalar_subquery())
        with self._database.write(lock=AdvisoryLock.CHANGES) as connection:
            return connection.execute(old).rowcount

    def wake(self) -> None:
        """Tell a waiting thread of this process to look now."""
        with self._local:
            self._local_writes += 1
            self._local.notify_all()

    def close(self) -> None:
        """End the wait and give the listening connection back."""
        self.wake()
        with self._listening:
            self._drop_listener()

    def _read_latest(self) -> int:
        with self._database.read() as connection:
            return int(connection.execute(_LATEST).scalar_one())

    def _news(self, after: int) -> bool:
        try:
            return self._read_latest() > after
        except StoreUnavailable:
            return False

    def _poll(self, after: int, deadline: float) -> None:
        while not self._database.closed:
            writes = self._local_writes
            if self._news(after) or (left := deadline - time.monotonic()) <= 0:
                return
            with self._local:
                if self._local_writes == writes:
                    self._local.wait(min(left, POLL_STEP_S))

    def _listen(self, after: int, deadline: float) -> None:
        while not self._database.closed:
            listener = self._connected()
            # Only now: what committed before LISTEN was heard by nobody.
            if self._news(after) or (left := deadline - time.monotonic()) <= 0:
                return
            if listener is None:
                self._poll(after, deadline)
                return
            if not self._hear(listener, min(left, LISTEN_STEP_S)):
                self._poll(after, min(deadline, time.monotonic() + POLL_STEP_S))  # never a loop without a pause

    def _hear(self, listener: Connection, timeout_s: float) -> bool:
        """Wait on the listening connection; a lost one is dropped and made anew by the next step, and False given."""
        driver = listener.connection.dbapi_connection  # not driver_connection: it ends with the pool's hold
        try:
            for _ in driver.notifies(timeout=timeout_s, stop_after=1):  # type: ignore[union-attr]  # psycopg's own
                pass
        except Exception as error:  # noqa: BLE001 - whatever the driver says, the connection is of no use
            _log.warning("revocations.listener_lost", error=type(error).__name__)
            self._drop_listener()
            return False
        return True

    def _connected(self) -> Connection | None:
        if self._listener is None:
            try:
                self._listener = self._database.dedicated()
                self._listener.execute(text(f"LISTEN {CHANNEL}"))
            except Exception as error:  # noqa: BLE001 - the poll goes on without it
                _log.warning("revocations.cannot_listen", error=type(error).__name__)
                self._drop_listener()
        return self._listener

    def _drop_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.invalidate()
            listener.close()


def insert_revocations(connection: Connection, user_ids: Iterable[str], reason: str, at: float) -> None:
    """Add one row per user inside the caller's transaction, which holds the lock of changes."""
    rows = [{"user_id": user_id, "session_id": None, "reason": reason, "at": at} for user_id in user_ids]
    if rows:
        connection.execute(insert(revocations), rows)
        notify(connection)


def notify(connection: Connection) -> None:
    """Let the commit of this transaction wake the listeners (PostgreSQL; SQLite is polled)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {CHANNEL}"))
