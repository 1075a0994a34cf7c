"""Migrations: an old database with data comes to the head, once, whoever starts at the same time."""

from __future__ import annotations

import json
import multiprocessing
import stat
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage.database import migrate as migrating
from storage.database.changes import RevokeSshKey
from storage.database.engine import Database
from storage.database.migrate import HEAD, MIGRATIONS, REVISIONS, SchemaState, migrate, schema_state
from storage.database.store import Conflict, SchemaTooNew, SchemaTooOld, Store, StoreUnavailable, open_store
from storage.database.tables import metadata
from tests.support.postgres import PostgresServer
from tests.support.store_rows import ACTOR, make_ssh_key, make_user

OLD_ROWS = """
    INSERT INTO users (id, name, method, status, epoch, home, display_name, email, role, break_glass, managed_by,
        protocols, networks, totp_enrolled, created_at, updated_at)
    VALUES ('id-ann', 'ann', 'oidc', 'active', 7, 'ann', 'Ann', '', 'user', false, 'scim',
        '["sftp"]', '[]', false, 1, 1);
    INSERT INTO groups (id, name, managed_by, created_at) VALUES ('id-crew', 'crew', 'scim', 1);
    INSERT INTO memberships (user_id, group_id, owner) VALUES ('id-ann', 'id-crew', 'scim');
    INSERT INTO folders (id, name, backend, options, created_at) VALUES ('id-plans', 'plans', 'local', '{}', 1);
    INSERT INTO grants (id, path, allow, group_id, folder_id, created_at)
    VALUES ('g1', '/plans', '["read"]', 'id-crew', 'id-plans', 1);
    INSERT INTO audit_events (at, kind, actor, subject, outcome, reason, front_end, peer, session_id)
    VALUES (1, 'user.created', 'x', 'ann', 'applied', '', '', '', '')
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database("migrating")


def execute(url: str, script: str) -> None:
    """Run the statements of a script in one transaction."""
    database = Database(url, pool_size=1)
    with database.write() as connection:
        for statement in script.split(";"):
            connection.exec_driver_sql(statement)
    database.close()


def test_an_old_database_with_data_comes_to_the_head(empty_url: str) -> None:
    """Users, memberships, grants and events of the first release are all there after the upgrade."""
    assert migrate(empty_url, to="0001") == ["0001"]
    assert SchemaState.BEHIND is schema_state(empty_url)
    execute(empty_url, OLD_ROWS)
    with pytest.raises(SchemaTooOld):
        open_store(empty_url)

    assert migrate(empty_url) == list(REVISIONS[1:])

    store = open_store(empty_url)
    ann = store.users.by_name("ann")
    assert ann is not None
    assert ("id-ann", 7, frozenset({"sftp"})) == (ann.id, ann.epoch, ann.protocols)
    assert [group.name for group in store.users.groups_of("id-ann")] == ["crew"]
    (grant,) = store.folders.grants_for("id-ann")
    assert ("g1", frozenset({"read"}), frozenset(), "id-plans") == (grant.id, grant.allow, grant.deny, grant.folder_id)
    assert [(event.kind, event.detail) for event in store.audit.tail()] == [("user.created", None)]
    assert store.leases.take("jobs", "me", 1.0)
    store.close()


def test_a_new_database_comes_to_the_head_once(empty_url: str) -> None:
    """The first migrate applies every revision, the second nothing."""
    assert SchemaState.EMPTY is schema_state(empty_url)

    assert list(REVISIONS) == migrate(empty_url)

    assert SchemaState.CURRENT is schema_state(empty_url)
    assert migrate(empty_url) == []
    open_store(empty_url).close()


def test_the_migrations_make_the_tables_of_the_code(empty_url: str) -> None:
    """tables.py and the migrated database differ in no table, column, index or constraint.

    The one index that tables.py leaves to the migrations, for the sake of a quick start, is there.
    """
    migrate(empty_url)
    database = Database(empty_url, pool_size=1)
    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    database.close()

    ((what, index),) = differences
    assert (what, index.name, index.unique) == ("remove_index", "uq_ssh_keys_live", True)


def test_an_unrevoked_key_is_unique_by_the_database_itself(store: Store) -> None:
    """A second live row of the same key is refused by an index, a row beside a revoked one is not."""
    ann = make_user(store)
    key = make_ssh_key(store, ann)
    copy = "INSERT INTO ssh_keys SELECT '{}', user_id, algorithm, blob, fingerprint, title, expires_at, networks,"
    copy += " read_only, created_at, last_used_at, revoked_at FROM ssh_keys"
    with pytest.raises(Conflict), store._database.write() as connection:
        connection.exec_driver_sql(copy.format("second"))

    store.apply(RevokeSshKey(key.id), actor=ACTOR)
    make_ssh_key(store, ann)


def test_the_known_revisions_are_the_scripts() -> None:
    """REVISIONS names every script in order, in a way that sorts."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    found = [script.revision for script in scripts.walk_revisions()][::-1]

    assert list(REVISIONS) == found == sorted(found)
    assert scripts.get_heads() == [HEAD]


def test_a_newer_database_is_left_alone(empty_url: str) -> None:
    """After a downgrade of the program, nothing opens or migrates the newer schema."""
    migrate(empty_url)
    execute(empty_url, "UPDATE alembic_version SET version_num = '9999'")

    assert SchemaState.AHEAD is schema_state(empty_url)
    with pytest.raises(SchemaTooNew):
        open_store(empty_url)
    with pytest.raises(SchemaTooNew):
        migrate(empty_url)


def test_an_empty_database_is_not_opened(empty_url: str) -> None:
    """A database that never was migrated is too old, also when the version table is there but empty."""
    Database(empty_url, pool_size=1, create=True).close()
    with pytest.raises(SchemaTooOld):
        open_store(empty_url)

    execute(empty_url, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    assert SchemaState.EMPTY is schema_state(empty_url)


@pytest.mark.parametrize("kind", ["fails", "breaks a reference"])
def test_a_failed_migration_leaves_the_old_schema(empty_url: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """An upgrade that fails in the middle, or would break a reference, is undone as a whole."""
    migrate(empty_url, to="0001")
    execute(empty_url, OLD_ROWS)
    upgrade = migrating._upgrade

    def broken(connection: Connection, to: str) -> None:
        upgrade(connection, to)
        connection.execute(
            text("DELETE FROM users") if kind == "fails" else text("UPDATE memberships SET user_id = 'x'")
        )
        if kind == "fails":
            connection.execute(text("SELECT * FROM nowhere"))

    with monkeypatch.context() as patched:
        patched.setattr(migrating, "_upgrade", broken)
        with pytest.raises((StoreUnavailable, Conflict)):
            migrate(empty_url)

    assert SchemaState.BEHIND is schema_state(empty_url)
    assert migrate(empty_url) == list(REVISIONS[1:])
    store = open_store(empty_url)
    assert store.users.count() == 1
    store.close()


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    """Four processes that find an old database apply each revision once in all, and none fails."""
    migrate(empty_url, to="0001")
    execute(empty_url, OLD_ROWS)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["alembic.command", migrate.__module__])
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        applied = [future.result(60) for future in [pool.submit(migrate, empty_url) for _ in range(4)]]

    assert [revision for each in applied for revision in each] == list(REVISIONS[1:])
    assert SchemaState.CURRENT is schema_state(empty_url)


def test_a_start_on_a_current_database_loads_no_alembic(sqlite_url: str) -> None:
    """migrate() and open_store() on a current database import neither Alembic nor anything of PostgreSQL."""
    program = (
        "import json, sys\n"
        "from storage.database.migrate import migrate\n"
        "from storage.database.store import open_store\n"
        "applied = migrate(sys.argv[1])\n"
        "open_store(sys.argv[1]).close()\n"
        "late = {'alembic', 'psycopg', 'sqlalchemy.dialects.postgresql'}\n"
        "print(json.dumps([applied, sorted(late & set(sys.modules))]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, sqlite_url], check=True, capture_output=True, text=True)

    assert json.loads(done.stdout) == [[], []]


def test_a_new_sqlite_file_is_private_and_in_wal_mode(tmp_path: Path) -> None:
    """Only the owner can read the file and its companions; writers do not block readers."""
    path = tmp_path / "a b#c%20.db"
    migrate(f"sqlite:///{path}")
    store = open_store(f"sqlite:///{path}")
    store.throttle.add("k", 1.0)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    with store._database.read() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        ]
    store.close()

    assert {0o600} == modes
    assert pragmas == ["wal", 1, 1, 5000]
