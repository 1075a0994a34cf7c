"""A private PostgreSQL server for the tests, started when first asked for and stopped at the end.

PostgreSQL refuses to run as root, so a root test run starts it as ``postgres`` or ``nobody``.
Each xdist worker has its own. Missing programs fail the test; they never skip it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from storage.database.migrate import migrate
from storage.database.tables import metadata

START_DEADLINE_S = 30.0
_PR_SET_PDEATHSIG = 1
_SEQUENCES = (
    "revocations_sequence_seq",
    "throttle_failures_id_seq",
    "audit_events_id_seq",
    "sync_runs_id_seq",
    "sync_items_id_seq",
    "scim_users_sequence_seq",
    "scim_groups_sequence_seq",
    "scim_requests_id_seq",
    "method_migrations_id_seq",
)
_PRIVATE = {"listen_addresses": ""}  # only the socket in a private directory
_QUICK = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "autovacuum": "off",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "log_min_messages": "warning",
}


class PostgresServer:
    """One cluster in a temporary directory, reached through a Unix socket there.

    ``as_delivered`` leaves PostgreSQL's own settings, for measuring; else it is quick, and forgets what a crash takes.
    """

    def __init__(self, *, as_delivered: bool = False) -> None:
        self._settings = _PRIVATE if as_delivered else _PRIVATE | _QUICK
        self._programs = _programs()
        account = _account()
        self._uid = None if account is None else account.pw_uid
        self._gid = None if account is None else account.pw_gid
        self.directory = Path(tempfile.mkdtemp(prefix="pg-"))
        self.directory.chmod(0o700)
        if account is not None:
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        self._data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", self._data, "-U", "quaymaster", "-A", "trust", "-E", "UTF8", "-N", "--no-locale",
                  "--no-instructions")  # fmt: skip

    def start(self) -> None:
        """Start the server and return when it answers."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, "-k", self.directory, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.directory / "log").open("wb"),
            cwd=self.directory,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - a killed test run must leave no server behind
            user=self._uid,
            group=self._gid,
            extra_groups=None if self._uid is None else [],
        )
        pause = threading.Event()
        for _ in range(int(START_DEADLINE_S / 0.02)):
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                pause.wait(0.02)
            else:
                return
        pytest.fail("PostgreSQL does not start:\n" + (self.directory / "log").read_text(errors="replace"))

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: every connection breaks; with SIGINT, what was committed is kept."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_DEADLINE_S)
            self._process = None

    def remove(self) -> None:
        """Stop at once and delete everything."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str) -> str:
        """Give the URL of one database."""
        return f"postgresql://quaymaster@/{database}?host={self.directory}"

    def new_database(self, name: str) -> str:
        """Make an empty database, in place of any older one of this name, and give its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            quoted = sql.Identifier(name)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
            connection.execute(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(quoted))
        return self.url(name)

    def end_connections(self, database: str) -> int:
        """Break every other connection to one database, as a failing network would; give their number."""
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            row = connection.execute(query, (database,)).fetchone()
        assert row is not None
        return int(row[0])

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            check=False,
            capture_output=True,
            cwd=self.directory,
            user=self._uid,
            group=self._gid,
            extra_groups=None if self._uid is None else [],
        )
        if done.returncode:
            pytest.fail(f"{program} failed: {done.stderr.decode(errors='replace')}")


def emptied(url: str) -> None:
    """Remove every row of a migrated PostgreSQL database and start its numbers anew."""
    # DELETE, because TRUNCATE makes new files for every table and index: ten times slower for a few rows.
    deletes = [
        sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)) for table in reversed(metadata.sorted_tables)
    ]
    restarts = [sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(name)) for name in _SEQUENCES]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("; ").join([*deletes, *restarts]))


def _programs() -> Path:
    """Give the folder of the newest installed PostgreSQL's programs."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not installed:
        pytest.fail("PostgreSQL's server programs (initdb, postgres) are not installed; the store's tests need them.")
    return installed[-1].parent


def _account() -> pwd.struct_passwd | None:
    """Give the account to run as, or None to stay who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.fail("PostgreSQL cannot run as root, and there is no account postgres or nobody.")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that needs the server, so that the inner loop can leave them out."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        by_parameter = callspec is not None and any(value == "postgresql" for value in callspec.params.values())
        if by_parameter or "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test process."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """A migrated database that tests share; ``store`` empties it before each test."""
    url = postgres_server.new_database("shared")
    migrate(url)
    return url
