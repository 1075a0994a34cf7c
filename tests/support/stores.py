"""Fixtures of a migrated, empty user store: SQLite, PostgreSQL, or one after the other."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database.migrate import migrate
from storage.database.store import Store, open_store
from tests.support.postgres import emptied

_IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A folder of this test's own, in memory if it can be: SQLite waits for the disk whenever a database is closed."""
    with tempfile.TemporaryDirectory(prefix="quaymaster-test-", dir=_IN_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite_file: Path, quick_path: Path) -> str:
    """A migrated, empty SQLite database of this test's own."""
    path = quick_path / "store.db"
    shutil.copyfile(migrated_sqlite_file, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty database; the test runs once on each kind."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    url = str(request.getfixturevalue("postgres_url"))
    emptied(url)
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open store on a clean database; the test runs once on SQLite and once on PostgreSQL."""
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """An open store on a clean SQLite database, for tests that are not about the store."""
    opened = open_store(sqlite_url)
    yield opened
    opened.close()
