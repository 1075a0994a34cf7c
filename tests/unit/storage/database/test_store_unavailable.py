"""Fail closed: when the database cannot tell, every verb says so and none guesses."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.database.changes import SetStatus
from storage.database.engine import Database, parsed_url
from storage.database.errors import InvalidChange
from storage.database.migrate import migrate, schema_state
from storage.database.records import Status
from storage.database.store import Store, StoreUnavailable, open_store
from tests.support.postgres import PostgresServer
from tests.support.store_rows import ACTOR, make_ssh_key, make_user, session_row

VERBS: dict[str, Callable[[Store], object]] = {
    "ping": lambda s: s.ping(),
    "users.by_name": lambda s: s.users.by_name("ann"),
    "users.by_id": lambda s: s.users.by_id("x"),
    "users.by_identity": lambda s: s.users.by_identity("p", "x"),
    "users.identities_of": lambda s: s.users.identities_of("x"),
    "users.list": lambda s: s.users.list(),
    "users.count": lambda s: s.users.count(),
    "users.epochs": lambda s: s.users.epochs(["x"]),
    "users.groups_of": lambda s: s.users.groups_of("x"),
    "users.names_reserved": lambda s: s.users.names_reserved("ann"),
    "groups.by_name": lambda s: s.groups.by_name("x"),
    "groups.by_id": lambda s: s.groups.by_id("x"),
    "groups.list": lambda s: s.groups.list(),
    "groups.members": lambda s: s.groups.members("x"),
    "credentials.password_hash": lambda s: s.credentials.password_hash("x"),
    "credentials.password": lambda s: s.credentials.password("x"),
    "credentials.replace": lambda s: s.credentials.replace_password_hash("x", "a", "b"),
    "credentials.ssh_keys_of": lambda s: s.credentials.ssh_keys_of("x"),
    "credentials.ssh_key_by_blob": lambda s: s.credentials.ssh_key_by_blob("x", b""),
    "credentials.ssh_key": lambda s: s.credentials.ssh_key("x"),
    "credentials.ssh_keys_with_blob": lambda s: s.credentials.ssh_keys_with_blob(b""),
    "credentials.api_key": lambda s: s.credentials.api_key("x"),
    "credentials.api_keys_of": lambda s: s.credentials.api_keys_of("x"),
    "credentials.touch_ssh_key": lambda s: s.credentials.touch_ssh_key("x", 1.0),
    "folders.by_name": lambda s: s.folders.by_name("x"),
    "folders.by_id": lambda s: s.folders.by_id("x"),
    "folders.list": lambda s: s.folders.list(),
    "folders.grants_for": lambda s: s.folders.grants_for("x"),
    "folders.grants": lambda s: s.folders.grants(),
    "sessions.open": lambda s: s.sessions.open(session_row()),
    "sessions.end": lambda s: s.sessions.end("x", "", 1.0),
    "sessions.live": lambda s: s.sessions.live(),
    "sessions.by_id": lambda s: s.sessions.by_id("x"),
    "revocations.latest": lambda s: s.revocations.latest(),
    "revocations.since": lambda s: s.revocations.since(0),
    "revocations.add": lambda s: s.revocations.add(user_id="x"),
    "throttle.failures": lambda s: s.throttle.failures("x", 0.0),
    "throttle.add": lambda s: s.throttle.add("x", 1.0),
    "audit.add": lambda s: s.audit.add("k", "", "", "", ""),
    "audit.tail": lambda s: s.audit.tail(),
    "leases.take": lambda s: s.leases.take("x", "y", 1.0),
    "prune": lambda s: s.prune(1.0),
    "apply": lambda s: s.apply(SetStatus("x", Status.ACTIVE), actor=ACTOR),
}


def failing(store: Store) -> dict[str, str]:
    """Call every verb and give those that did anything but raise StoreUnavailable."""
    odd: dict[str, str] = {}
    for name, verb in VERBS.items():
        try:
            odd[name] = repr(verb(store))
        except StoreUnavailable:
            continue
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            odd[name] = repr(error)
    return odd


@pytest.mark.parametrize("accident", ["removed", "replaced", "spoiled", "tables gone"])
def test_an_sqlite_file_that_is_gone_answers_nothing(sqlite_url: str, accident: str) -> None:
    """Removed, replaced or overwritten under a running server: every verb raises StoreUnavailable.

    An open connection would still read the removed file, and miss every later revocation.
    """
    store = open_store(sqlite_url)
    make_ssh_key(store, make_user(store))
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    match accident:
        case "removed":
            path.unlink()
        case "replaced":
            path.rename(path.with_suffix(".old"))
            path.write_bytes(path.with_suffix(".old").read_bytes())
        case "spoiled":
            store._database.engine.dispose()
            path.write_bytes(b"no database at all" * 100)
        case _:
            with sqlite3.connect(path) as connection:
                names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                connection.execute("PRAGMA foreign_keys = OFF")
                for name in names:
                    if not name.startswith("sqlite_") and name != "alembic_version":
                        connection.execute(f"DROP TABLE {name}")

    odd = failing(store)

    store.close()
    assert ({"ping"} if accident == "tables gone" else set()) == set(odd), odd


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test may stop."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.mark.postgres
def test_a_stopped_postgresql_answers_nothing_and_comes_back(own_server: PostgresServer) -> None:
    """While the server is down every verb raises StoreUnavailable at once; after its return all is well again."""
    url = own_server.new_database("mine")
    migrate(url)
    store = open_store(url)
    ann = make_user(store)
    own_server.stop()
    begin = time.monotonic()

    odd = failing(store)
    store.revocations.wait(0.3)

    assert odd == {}
    assert 0.3 <= time.monotonic() - begin < 10
    with pytest.raises(StoreUnavailable):
        open_store(url)
    with pytest.raises(StoreUnavailable):
        schema_state(url)

    own_server.start()
    assert ann == store.users.by_name("ann")
    store.close()


def test_a_closed_store_answers_nothing(store: Store) -> None:
    """After close() every verb raises; no pool comes back to life; waiting returns."""
    make_user(store)
    store.close()
    store.close()

    assert failing(store) == {}
    store.revocations.wait(30.0)


def test_waiting_without_a_database_is_no_busy_loop(sqlite_url: str) -> None:
    """When the file is gone, wait() waits its time out, so that a watcher does not spin."""
    store = open_store(sqlite_url)
    Path(sqlite_url.removeprefix("sqlite:///")).unlink()
    begin = time.monotonic()
    store.revocations.wait(0.3)
    store.close()

    assert time.monotonic() - begin >= 0.3


def test_a_missing_sqlite_file_is_not_made_by_opening_it(tmp_path: Path) -> None:
    """open_store on a wrong path fails and leaves no empty database behind."""
    path = tmp_path / "typo.db"
    with pytest.raises(StoreUnavailable):
        open_store(f"sqlite:///{path}")

    assert not path.exists()
    with pytest.raises(StoreUnavailable):
        migrate(f"sqlite:///{tmp_path}/no/such/folder/x.db")


def test_a_database_that_stays_locked_is_unavailable(sqlite_url: str) -> None:
    """A writer that another process keeps out gives up; readers go on."""
    store = Store(Database(sqlite_url, busy_timeout_s=0.2))
    blocker = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable):
        store.throttle.add("k", 1.0)
    assert store.throttle.failures("k", 0.0) == 0

    blocker.execute("ROLLBACK")
    blocker.close()
    store.throttle.add("k", 1.0)
    with store._database._alone(), pytest.raises(StoreUnavailable, match="busy"):
        store.throttle.add("k", 1.0)  # another thread of this process writes for too long
    assert store.throttle.failures("k", 0.0) == 1
    store.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:", "postgresql+pg8000://h/d"]
)
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    """Only SQLite files and PostgreSQL hold a store, and the message names both."""
    with pytest.raises(InvalidChange):
        open_store(url)


@pytest.mark.parametrize("url", ["postgresql://u@h/d", "postgres://u@h/d", "postgresql+psycopg://u@h/d"])
def test_postgresql_is_reached_by_psycopg(url: str) -> None:
    """Every usual spelling means the driver that is installed."""
    assert parsed_url(url).drivername == "postgresql+psycopg"
