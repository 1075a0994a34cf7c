"""Keeping an identity provider in the database: nothing is asked there, as its client comes to us."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import typer

from config.sso import SsoMethod, SsoProvider
from server.cli import values
from server.cli.context import Site, unreadable
from server.cli.output import Failure, note, warn
from server.cli.provider.keep import kept_row, refuse_name
from server.cli.provider.options import Given, identity_provider_from
from server.cli.provider.settings import CLIENT_SECRET
from server.cli.provider.sign_in import check_sign_in
from server.cli.provider.views import passes, stage_lines
from server.providers import opened_sso, put_provider
from storage.database.records import Method
from storage.database.sealing import load_site_key
from storage.database.store import StoreUnavailable


def new_identity_provider(site: Site, name: str, given: Given, *, from_stdin: bool) -> SsoProvider:
    """Make a provider of what was typed. Raises Failure, also if there is one of this name already, of any kind."""
    refuse_name(site, name)
    return identity_provider_from(given.onto({}) | _secret(given, from_stdin=from_stdin))


def changed_identity_provider(
    site: Site, name: str, given: Given, *, from_stdin: bool, config: Path | None
) -> SsoProvider:
    """Make a kept provider with what was typed in place of what was there. Raises Failure."""
    row = kept_row(site, name, config)
    options = given.onto(row.options)
    if from_stdin:
        return identity_provider_from(options | _read_secret())
    if row.secrets and options.get("method") == SsoMethod.OIDC:
        try:
            kept = opened_sso(row, lambda: load_site_key(site.settings.site_key_file)).client_secret
        except StoreUnavailable as error:
            raise unreadable(name, error.message) from None
        options = options if kept is None or "private_key_file" in options else options | {CLIENT_SECRET: kept}
    return identity_provider_from(options)


def keep_identity_provider(site: Site, name: str, provider: SsoProvider, *, test: bool) -> None:
    """Keep a provider, after what it publishes was asked for, and say what is to do next. Raises Failure."""
    if test and provider.signs_in:
        _pass_test(site, name, provider)
    try:
        kept = [row for row in site.store.providers.list() if row.name != name]
        change = put_provider(name, provider, site.settings, kept, site.store.totp.every_sealed())
    except StoreUnavailable as error:
        raise Failure(
            "The application's secret cannot be encrypted.",
            error.message,
            "put the site's own key file there (another machine has it, or a backup), or use --private-key-file",
        ) from None
    site.apply(change)
    if not provider.signs_in:
        note(f"What to enter there so that people can sign in: quaymaster provider show {name} --setup")
    if not site.store.scim_tokens.list(name):
        note(f"Its SCIM client needs a token: quaymaster scim token issue {name}")
        note(f"What to enter at the identity provider: quaymaster scim show {name}")
    belong = [user for user in site.store.users.list(provider=name) if user.provider == name and user.method.is_sso]
    others = Counter(user.method for user in belong if user.method is not Method(provider.method.value))
    for method, count in sorted(others.items()):
        who = "1 user of it keeps" if count == 1 else f"{count} users of it keep"
        warn(f"{who} the method {method}; the new one counts for those who come from now on.")


def _secret(given: Given, *, from_stdin: bool) -> dict[str, str]:
    """Read the application's secret where one is needed: it is never given on the command line."""
    if from_stdin:
        return _read_secret()
    needs = "client_id" in given.settings and "private_key_file" not in given.settings
    if not needs or not values.at_terminal():
        return {}
    return _refuse_empty(str(typer.prompt("Secret of the application", hide_input=True, err=True)))


def _read_secret() -> dict[str, str]:
    return _refuse_empty(sys.stdin.readline().rstrip("\r\n"))


def _refuse_empty(text: str) -> dict[str, str]:
    if not text:
        raise Failure(
            "The application's secret is empty.",
            "no provider gives a token for it",
            "give it on the first line of standard input",
        )
    return {CLIENT_SECRET: text}


def _pass_test(site: Site, name: str, provider: SsoProvider) -> None:
    """Ask the provider for what it publishes; settings that cannot work replace none that do."""
    failed = None
    for check in check_sign_in(name, provider, site.settings):
        for line in stage_lines(check):
            note(line)
        failed = failed or (None if passes(check) else check)
    if failed is not None:
        raise Failure(
            f"The identity provider did not pass the test: {failed.name}.",
            failed.detail,
            f"{failed.advice}. Nothing was kept of the settings of {name}; to keep them all the same, add --no-test",
        )
