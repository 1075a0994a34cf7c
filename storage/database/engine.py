"""Database: the connections of one process to SQLite or PostgreSQL, and what a failure means.

Every failure of the database leaves here as a StoreError, so that callers can fail closed.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Column, Connection, Engine, QueuePool, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from storage.database.errors import Conflict, InvalidChange, StoreUnavailable

BUSY_TIMEOUT_S = 5.0
_TURN_S = (0.0005, 0.002)  # between two tries to write
_POSTGRES_DRIVERS = {"postgresql", "postgres", "postgresql+psycopg"}


class AdvisoryLock(IntEnum):
    """Keys of PostgreSQL advisory locks. On SQLite every write is alone anyway (BEGIN IMMEDIATE)."""

    MIGRATION = 7_104_301
    CHANGES = 7_104_302
    AUDIT = 7_104_303
    DAV = 7_104_304
    THROTTLE = 7_104_305
    SCIM_LOG = 7_104_306


class Database:
    """A thread-safe pool of connections; made after fork or spawn, one per process.

    On SQLite, connections stay in the driver's autocommit mode and :meth:`write` says
    ``BEGIN IMMEDIATE`` itself: the driver's own implicit BEGIN starts a read transaction that can
    fail with "database is locked" when it turns into a write (SQLAlchemy documentation, "SQLite",
    "Serializable isolation / Savepoints / Transactional DDL").
    """

    def __init__(
        self, url: str, *, pool_size: int = 8, create: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S
    ) -> None:
        self.url = parsed_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._busy_timeout_s = busy_timeout_s
        self._closed = False
        self._writing = threading.Lock()  # threads of one process queue here, not in SQLite's sleeping retry
        self._file = Path(self.url.database or "").absolute()
        if self.is_sqlite:
            if create:
                _make_private_file(self._file)
            self._identity = self._file_identity()
            self.engine = self._sqlite_engine(pool_size)
            self._reads: Engine = self.engine
        else:
            self.engine = _postgres_engine(self.url, pool_size)
            self._reads = self.engine.execution_options(isolation_level="AUTOCOMMIT")  # saves BEGIN and ROLLBACK

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reads; each statement sees the newest commit."""
        with self._translated(), self._reads.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, lock: AdvisoryLock | None = None) -> Iterator[Connection]:
        """Give a connection in one transaction: committed at the end, rolled back by any exception.

        With ``lock``, transactions of the same key run one after the other on every node, so that
        checks made inside hold until the commit. On SQLite all write transactions do.
        """
        with self._translated():
            if self.is_sqlite:
                with self._alone(), self.engine.connect() as connection:
                    self._begin(connection)
                    yield connection
                    self._check()
                    connection.commit()
                return
            with self.engine.begin() as connection:
                if lock is not None:
                    connection.execute(select(func.pg_advisory_xact_lock(int(lock))))
                yield connection

    def settled(self, number: Column[int], lock: AdvisoryLock) -> int:
        """Give the highest number of a table's rows below which none can appear any more; 0 without rows.

        On PostgreSQL a number is taken before its transaction commits. Writers hold the lock shared from before the
        number to the commit; holding it alone, for one look at an index, means that none is in between.
        """
        query = select(func.coalesce(func.max(number), 0))
        if self.is_sqlite:  # one writer at a time: numbers commit in order
            with self.read() as connection:
                return int(connection.execute(query).scalar_one())
        with self.write(lock=lock) as connection:
            return int(connection.execute(query).scalar_one())

    def dedicated(self) -> Connection:
        """Give a connection that no pool owns, each statement on its own; the caller closes it."""
        with self._translated():
            connection = self._reads.connect()
            connection.detach()
            return connection

    def close(self) -> None:
        """Close all connections; every later use raises StoreUnavailable."""
        self._closed = True
        self.engine.dispose()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    @contextmanager
    def _translated(self) -> Iterator[None]:
        self._check()
        try:
            yield
        except IntegrityError as error:
            raise Conflict("Something of this name or number exists already, or is still in use.") from error
        except (DataError, UnicodeEncodeError) as error:
            raise InvalidChange("A value cannot be stored.") from error
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"The user database does not answer ({_cause(error)}).") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._writing.acquire(timeout=self._busy_timeout_s):
            raise StoreUnavailable("The user database is busy.")
        try:
            yield
        finally:
            self._writing.release()

    def _begin(self, connection: Connection) -> None:
        """Begin the one write transaction that there may be, asking for the turn again and again.

        SQLite's own waiting sleeps up to 100 ms between two tries: with several writing processes most of their time
        goes by unused, and one of them may be unlucky for seconds.
        """
        deadline = time.monotonic() + self._busy_timeout_s
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                except OperationalError as error:
                    if not _is_busy(error) or time.monotonic() >= deadline:
                        raise
                    time.sleep(random.uniform(*_TURN_S))  # noqa: S311 - nobody's secret
                else:
                    return
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={self._busy_timeout_s * 1000:.0f}")

    def _check(self) -> None:
        """Refuse a closed store, and an SQLite file that was removed or replaced under us.

        An open connection would go on reading the unlinked file: a revocation written to the new
        one would never be seen.
        """
        if self._closed:
            raise StoreUnavailable("The user database is closed.")
        if self.is_sqlite and self._file_identity() != self._identity:
            raise StoreUnavailable("The user database's file was replaced; restart.")

    def _file_identity(self) -> tuple[int, int]:
        try:
            found = self._file.stat()
        except OSError as error:
            raise StoreUnavailable("The user database's file is gone or cannot be read.") from error
        return found.st_dev, found.st_ino

    def _sqlite_engine(self, pool_size: int) -> Engine:
        address = f"file:{quote(str(self._file))}?mode=rw"  # rw: never make an empty database by accident

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                address, uri=True, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA foreign_keys=ON")
            return connection

        return create_engine(
            "sqlite://",
            creator=connect,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=self._busy_timeout_s,
            pool_use_lifo=True,
            hide_parameters=True,  # an error's text goes to the log; hashes and digests must not
        )


def parsed_url(url: str) -> URL:
    """Read ``sqlite:////absolute/path.db`` or ``postgresql://user@host/name``; else raise InvalidChange."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InvalidChange("The database URL cannot be read.") from error
    if parsed.drivername in _POSTGRES_DRIVERS:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return parsed
    raise InvalidChange("The database URL must be sqlite:////absolute/path.db or postgresql://user@host/name.")


def _is_busy(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")


def _cause(error: SQLAlchemyError) -> str:
    """Say why. The driver's words only where they are about the connection or the disk: others may quote data."""
    words = str(error.orig).strip() if isinstance(error, OperationalError) else ""
    return words.splitlines()[0].removesuffix(".") if words else type(error).__name__


def _make_private_file(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))  # WAL and SHM files inherit the mode
    except OSError as error:
        raise StoreUnavailable("The user database's file cannot be made.") from error


def _postgres_engine(url: URL, pool_size: int) -> Engine:
    # A server that vanished without a word must not hold a sign-in for minutes.
    patience = {"connect_timeout": "5", "keepalives_idle": "10", "tcp_user_timeout": "10000"}
    engine = create_engine(
        url.update_query_dict({**patience, **url.query}),
        pool_size=pool_size,
        max_overflow=0,  # the server's connections are counted; threads wait for their turn
        pool_timeout=BUSY_TIMEOUT_S,
        pool_pre_ping=True,  # a restart of the server costs no sign-in
        pool_use_lifo=True,
        hide_parameters=True,  # an error's text goes to the log; hashes and digests must not
    )

    @event.listens_for(engine, "connect")
    def limit_waiting(connection: object, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # the event gives the driver's connection untyped
        cursor.execute(f"SET lock_timeout = '{BUSY_TIMEOUT_S:.0f}s'")
        cursor.execute("SET statement_timeout = '15s'")
        cursor.close()
        connection.commit()  # type: ignore[attr-defined]  # as above

    return engine
