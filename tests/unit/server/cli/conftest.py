"""An installation of its own for every test, and directories that cannot be reached."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from config.settings import Settings
from storage.database.store import Store, open_store
from tests.support.cli import Cli

Kept = Callable[..., None]
KeptSso = Callable[..., None]
Opened = Callable[[], AbstractContextManager[Store]]


@pytest.fixture
def fresh_cli(quick_path: Path) -> Cli:
    """A command line over a data folder that does not exist yet."""
    return Cli(quick_path / "data")


@pytest.fixture
def cli(fresh_cli: Cli, migrated_sqlite_file: Path) -> Cli:
    """A command line over a data folder with an empty database, which is copied: to make one takes far longer."""
    fresh_cli.data.mkdir(mode=0o700)
    shutil.copy(migrated_sqlite_file, fresh_cli.data / "quaymaster.db")
    return fresh_cli


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A server, as NAME:PORT, that refuses every connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def keep(cli: Cli, nowhere: str) -> Kept:
    """Keep a provider in the database that was never tested and whose server refuses every connection."""

    def add(name: str = "corp", *options: str, vendor: str = "openldap") -> None:
        said = cli.run(
            "provider",
            "add",
            "ldap",
            name,
            f"--host={nowhere}",
            f"--vendor={vendor}",
            "--base-dn=dc=lab,dc=test",
            "--bind-user=cn=svc,dc=lab,dc=test",
            "--bind-password-stdin",
            "--no-test",
            *options,
            stdin="of-the-service\n",
        )
        assert said.code == 0, said.err

    return add


@pytest.fixture
def keep_sso(cli: Cli) -> KeptSso:
    """Keep an identity provider in the database."""

    def add(name: str = "entra", *options: str, method: str = "saml") -> None:
        cli.ok("provider", "add", "sso", name, f"--method={method}", *options)

    return add


@pytest.fixture
def opened(cli: Cli) -> Opened:
    """The store of the installation, for a block."""

    @contextmanager
    def store() -> Iterator[Store]:
        found = open_store(Settings(data=cli.data).database_url)
        try:
            yield found
        finally:
            found.close()

    return store
