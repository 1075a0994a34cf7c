"""Migrations: bring a database to this release's schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, func, select

from storage.database.engine import AdvisoryLock, Database, parsed_url
from storage.database.errors import SchemaTooNew, StoreUnavailable
from storage.database.schema import HEAD, REVISIONS, SchemaState, revision_of, state_of

__all__ = ["HEAD", "MIGRATIONS", "REVISIONS", "SchemaState", "migrate", "schema_state"]

MIGRATIONS = Path(__file__).parent / "migrations"
_PATIENCE_S = 120.0  # another process may be migrating a large database


def schema_state(url: str) -> SchemaState:
    """Say how the database's schema relates to this release; a missing SQLite file is EMPTY.

    Raises:
        StoreUnavailable: the database cannot be asked.
    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return SchemaState.EMPTY
    database = Database(url, pool_size=1)
    try:
        with database.read() as connection:
            return state_of(revision_of(connection))
    finally:
        database.close()


def migrate(url: str, *, to: str = "head") -> list[str]:
    """Apply what is missing up to ``to``, in one transaction, and give the applied revisions.

    Safe when several processes start at once: one migrates, the others wait and find nothing to
    do. A current database is left alone, without even loading Alembic. An SQLite file is made
    with mode 0600 when there is none.

    Raises:
        SchemaTooNew: a newer release migrated this database.
        StoreUnavailable: the database cannot be reached, or a migration failed and was undone.
    """
    if to == "head" and schema_state(url) is SchemaState.CURRENT:
        return []
    database = Database(url, pool_size=1, create=True, busy_timeout_s=_PATIENCE_S)
    try:
        with _alone(database) as connection:
            before = revision_of(connection)
            if state_of(before) is SchemaState.AHEAD:
                raise SchemaTooNew(f"The database has revision {before}, which this release does not know.")
            _upgrade(connection, to)
            after = revision_of(connection)
    finally:
        database.close()
    return [revision for revision in REVISIONS if (before or "") < revision <= (after or "")]


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """Give the one transaction in which the schema changes."""
    if not database.is_sqlite:
        with database.write() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.execute(select(func.pg_advisory_xact_lock(int(AdvisoryLock.MIGRATION))))
            yield connection
        return
    # SQLite alters most of a table by making a new one; with foreign keys on, dropping the old one would
    # cascade. The setting cannot change inside a transaction, and the pool's one connection keeps it.
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    with database.write() as connection:
        yield connection
        if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise StoreUnavailable(f"The migration would break a reference of table {broken[0]}; nothing was changed.")


def _upgrade(connection: Connection, to: str) -> None:
    from alembic import command  # noqa: PLC0415 - only when there is something to do
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
