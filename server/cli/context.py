"""What every command works on: the settings, the store, and who is asking."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from config.ldap import LdapProvider
from config.loading import load_settings
from config.settings import Settings
from config.sso import SsoProvider
from server.cli.output import Failure, note, reporting
from server.providers import Listed, ListedSso, ProviderBook
from storage.database.changes import Applied, Change
from storage.database.errors import InvalidName
from storage.database.migrate import SchemaState, migrate, schema_state
from storage.database.names import canonical_name
from storage.database.records import Folder, Group, User
from storage.database.store import Store, open_store

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file; see docs/configuration.md.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to standard output and nothing else.")]


@dataclass(frozen=True, slots=True)
class Site:
    """One installation, opened by a command. ``actor`` goes to the audit trail."""

    settings: Settings
    store: Store
    actor: str

    def apply(self, change: Change) -> Applied:
        """Make one change, in one transaction, under the name of whoever runs the command."""
        return self.store.apply(change, actor=self.actor)

    def user(self, name: str) -> User:
        """Find a user by login name. Raises Failure."""
        found = self.store.users.by_name(_canonical(name))
        if found is None:
            raise Failure(f"There is no user {name!r}.", then="list the users with: quaymaster user list")
        return found

    def group(self, name: str) -> Group:
        """Find a group by name. Raises Failure."""
        found = self.store.groups.by_name(_canonical(name))
        if found is None:
            raise Failure(f"There is no group {name!r}.", then="list the groups with: quaymaster group list")
        return found

    def folder(self, name: str) -> Folder:
        """Find a shared folder by name. Raises Failure."""
        found = self.store.folders.by_name(_canonical(name))
        if found is None:
            raise Failure(f"There is no folder {name!r}.", then="list the folders with: quaymaster folder list")
        return found

    def directories(self) -> list[Listed]:
        """Give every directory of the site by name, also those that cannot be used now."""
        return ProviderBook(self.store, self.settings).listed()

    def listed(self, name: str) -> Listed:
        """Find a directory by name, whether it can be used or not. Raises Failure."""
        match self.provider(name):
            case Listed() as found:
                return found
            case ListedSso():
                raise Failure(
                    f"{name!r} is an identity provider, not a directory.",
                    "its client brings users and groups by SCIM; nobody is looked up there, and no sync runs",
                    f"see: quaymaster scim show {name}",
                )

    def identity_providers(self) -> list[ListedSso]:
        """Give every identity provider of the site by name, also those that cannot be used now."""
        return ProviderBook(self.store, self.settings).listed_sso()

    def identity_provider(self, name: str) -> ListedSso:
        """Find an identity provider by name, whether it can be used or not. Raises Failure."""
        match self.provider(name):
            case ListedSso() as found:
                return found
            case Listed():
                raise Failure(
                    f"{name!r} is a directory, not an identity provider.",
                    "its users and groups come with its sync, and no SCIM client speaks for it",
                    f"see: quaymaster sync status {name}",
                )

    def providers(self) -> list[Listed | ListedSso]:
        """Give every provider of the site by name, of both kinds."""
        return sorted([*self.directories(), *self.identity_providers()], key=lambda listed: listed.name)

    def provider(self, name: str) -> Listed | ListedSso:
        """Find a provider of either kind by name, whether it can be used or not. Raises Failure."""
        every = self.providers()
        return next((listed for listed in every if listed.name == name), None) or _missing(name, every)

    def directory(self, name: str) -> LdapProvider:
        """Find a directory that can be used, with its secrets. Raises Failure."""
        listed = self.listed(name)
        if listed.provider is None:
            raise unreadable(name, listed.problem)
        return listed.provider

    def sso(self, name: str) -> SsoProvider:
        """Find an identity provider that can be used. Raises Failure."""
        listed = self.identity_provider(name)
        if listed.provider is None:
            raise Failure(
                f"The provider {name!r} cannot be used.",
                listed.problem,
                f"correct its settings: quaymaster provider set {name}",
            )
        return listed.provider


@contextmanager
def open_site(config: Path | None) -> Iterator[Site]:
    """Open the installation that ``config`` and the environment name; failures become exit code 1.

    An empty database is created first, so that users can be added before the first start. It works
    while the server runs: every change reaches it through the database.
    """
    with reporting():
        settings = load_settings(config)
        prepare_database(settings)
        store = open_store(settings.database_url, pool_size=1)
        try:
            yield Site(settings, store, actor())
        finally:
            store.close()


def prepare_database(settings: Settings) -> None:
    """Create the data folder and the tables if there are none yet; an older schema is left alone."""
    if settings.database.url is None and not settings.data.exists():
        _make_data_folder(settings.data.absolute())
    if schema_state(settings.database_url) is SchemaState.EMPTY:
        migrate(settings.database_url)


def _make_data_folder(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise Failure(
            f"The data folder {data} cannot be made.",
            error.strerror or str(error),
            "run as the user that the server runs as, or name another folder with QUAYMASTER_DATA",
        ) from error
    note(f"A new data folder was made: {data}. If the server uses another one, give --config or QUAYMASTER_DATA.")


def unreadable(name: str, problem: str) -> Failure:
    """Say that a kept provider cannot be used, and what to do."""
    return Failure(
        f"The provider {name!r} cannot be used.",
        problem,
        f"give this machine the site's key, or set the secret anew: quaymaster provider set {name} "
        "--bind-password-stdin",
    )


def _missing(name: str, every: Sequence[Listed | ListedSso]) -> NoReturn:
    known = ", ".join(f"{listed.name} ({listed.origin})" for listed in every)
    raise Failure(
        f"There is no provider {name!r}.",
        f"known are: {known}" if known else "none is set up yet",
        "correct the name" if known else "add one with: quaymaster provider add ldap NAME, or add sso NAME",
    )


def actor() -> str:
    """Name who runs the command: ``cli:`` and the operating system's user."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user id without an entry; OSError from Python 3.13 on
        return f"cli:{os.getuid()}"


def _canonical(name: str) -> str:
    try:
        return canonical_name(name)
    except InvalidName as error:
        raise Failure(f"{name!r} is not a name.", str(error)) from None
