"""Keeping a provider in the database: its password is asked for, and it is tested before it counts."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import typer

from config.ldap import LdapProvider
from config.loading import load
from config.providers import PROVIDER_NAME
from server.cli import directories, values
from server.cli.context import Site, unreadable
from server.cli.output import Failure, note, warn
from server.cli.provider.options import Given, directory_from
from server.cli.provider.settings import SECRET
from server.cli.provider.views import kind_of, stage_lines
from server.providers import Origin, opened, put_provider
from storage.database.records import StoredProvider
from storage.database.sealing import load_site_key
from storage.database.store import StoreUnavailable


def new_directory(site: Site, name: str, given: Given, *, from_stdin: bool) -> LdapProvider:
    """Make a provider of what was typed. Raises Failure, also if there is one of this name already."""
    refuse_name(site, name)
    options = given.onto({})
    directory_from({**options, SECRET: "not asked for yet"})  # mistakes are told before the password is asked for
    return directory_from({**options, SECRET: _service_password(from_stdin=from_stdin)})


def refuse_name(site: Site, name: str) -> None:
    """Raise Failure if this can be no new provider's name; providers of all kinds share their names."""
    if not PROVIDER_NAME.fullmatch(name):
        raise Failure(
            f"{name!r} cannot be a provider's name.",
            "it has at most 32 letters a-z, digits and hyphens, and begins with a letter",
            "choose another name; users will belong to the provider under it",
        )
    if site.store.providers.by_name(name) is not None or name in {*site.settings.ldap, *site.settings.sso}:
        raise Failure(
            f"There is a provider {name!r} already.", then=f"choose another name, or: quaymaster provider set {name}"
        )


def changed_directory(site: Site, name: str, given: Given, *, from_stdin: bool, config: Path | None) -> LdapProvider:
    """Make a kept provider with what was typed in place of what was there. Raises Failure."""
    row = kept_row(site, name, config)
    options = given.onto(row.options)
    if from_stdin:
        return directory_from({**options, SECRET: _service_password(from_stdin=True)})
    try:
        secret = opened(row, load_site_key(site.settings.site_key_file)).bind_password
    except StoreUnavailable as error:
        raise unreadable(name, error.message) from None
    return directory_from({**options, SECRET: secret})


def kept_row(site: Site, name: str, config: Path | None) -> StoredProvider:
    """Find a provider that is kept in the database. Raises Failure; one of the TOML file is changed there."""
    listed = site.provider(name)
    if listed.origin is Origin.FILE:
        raise Failure(
            f"The provider {name!r} is set in the TOML file.",
            f"it stands at {_place_in_file(f'{kind_of(listed).name}.{name}.', config)}, and the file counts",
            "change it there; the server takes it over when it is started again",
        )
    row = site.store.providers.by_name(name)
    if row is None:
        raise Failure(f"The provider {name!r} was removed meanwhile.", then="quaymaster provider list")
    return row


def keep(site: Site, name: str, provider: LdapProvider, *, test: bool) -> None:
    """Keep a provider, after every step of its test has passed. Raises Failure, and keeps nothing then."""
    if test:
        _pass_test(name, provider)
    else:
        warn(f"{name} was not tested. Test it with: quaymaster provider test {name}")
    try:
        others = [row for row in site.store.providers.list() if row.name != name]
        change = put_provider(name, provider, site.settings, others, site.store.totp.every_sealed())
    except StoreUnavailable as error:
        raise Failure(
            "The service account's password cannot be encrypted.",
            error.message,
            "put the site's own key file there (another machine has it, or a backup). If it is lost for good, remove "
            "the providers named, or set them in the TOML file",
        ) from None
    site.apply(change)
    _bring_forward(site, name, provider)


def _bring_forward(site: Site, name: str, provider: LdapProvider) -> None:
    """Let a shorter interval count now, and not only after the next run."""
    state, soon = site.store.syncs.state(name), time.time() + provider.sync_interval_s
    if state.next_at > soon:
        site.store.syncs.keep_state(replace(state, next_at=soon))


def _pass_test(name: str, provider: LdapProvider) -> None:
    failed = None
    for stage in directories.check(provider):
        for line in stage_lines(stage):
            note(line)
        failed = failed or (None if stage.ok else stage)
    if failed is not None:
        where = f" at {failed.host}" if failed.host else ""
        raise Failure(
            f"The directory did not pass the test: {failed.name}{where}.",
            failed.detail,
            f"{failed.advice} Nothing was kept of the settings of {name}; to keep them all the same, add --no-test",
        )


def _service_password(*, from_stdin: bool) -> str:
    if from_stdin:
        text = sys.stdin.readline().rstrip("\r\n")
    elif values.at_terminal():
        text = str(typer.prompt("Password of the service account", hide_input=True, err=True))
    else:
        raise Failure(
            "The password of the service account is missing.",
            "it is never given on the command line, where other users of this machine could read it",
            "use --bind-password-stdin, and give it on the first line of standard input",
        )
    if not text:
        raise Failure(
            "The password of the service account is empty.",
            "a directory takes an empty password for nobody's",
            "give it on the first line of standard input",
        )
    return text


def _place_in_file(table: str, config: Path | None) -> str:
    sources: Mapping[str, str] = load(config).sources
    return next((place for key, place in sources.items() if key.startswith(table)), str(config))
