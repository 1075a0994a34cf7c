"""Checks of directories and identity providers, as far as this machine can tell; nothing is sent to them."""

from __future__ import annotations

import stat
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from config.settings import Settings
from server.cli.checks.check import Check, fail, ok, warn
from server.cli.checks.scim import check_client
from server.providers import LDAP, SSO, Listed, Origin, ProviderBook
from storage.database.errors import StoreError
from storage.database.migrate import SchemaState, schema_state
from storage.database.records import Method, Owner
from storage.database.sealing import load_site_key
from storage.database.store import Store, open_store
from storage.database.sync_log import Outcome, SyncRun

KEY = "site key"
LATE = 3  # intervals


def check_providers(settings: Settings) -> Iterator[Check]:
    """Every provider can be used; a directory's secrets open and its sync runs, and a SCIM client is heard."""
    try:
        if schema_state(settings.database_url) is not SchemaState.CURRENT:
            yield from _of_file(settings)
            return
        store = open_store(settings.database_url, pool_size=1)
    except StoreError:  # the database has a line of its own
        yield from _of_file(settings)
        return
    try:
        yield from _checked(settings, store)
    except StoreError as error:
        yield warn("providers", f"not looked at: {error}", "see the line on the database")
    finally:
        store.close()


def _of_file(settings: Settings) -> Iterator[Check]:
    for name, provider in sorted(settings.ldap.items()):
        listed = Listed(name, Origin.FILE, provider)
        yield _unusable(listed) or ok(_name(listed), "set in the TOML file")
    for name in sorted(settings.sso):
        yield ok(f"provider {name}", "set in the TOML file")


def _checked(settings: Settings, store: Store) -> Iterator[Check]:
    kept = store.providers.list()
    if any(row.secrets for row in kept) or _is_there(settings.site_key_file):
        yield _check_key(settings.site_key_file)
    in_file = {**dict.fromkeys(settings.ldap, LDAP), **dict.fromkeys(settings.sso, SSO)}
    for row in kept:
        if table := in_file.get(row.name):
            yield warn(
                f"provider {row.name}",
                "set in the TOML file and kept in the database, too; the file's counts",
                f"take one away: the table [{table}.{row.name}] of the file, or quaymaster provider remove {row.name}",
            )
    book = ProviderBook(store, settings)
    directories, identity_providers = book.listed(), book.listed_sso()
    for listed in directories:
        yield _unusable(listed) or _check_sync(listed, store)
    yield from _check_orphans({listed.name for listed in directories}, store)
    for provider in identity_providers:
        yield from check_client(store, provider)
    yield from _check_orphans_of_sso({provider.name for provider in identity_providers}, store)


def _check_orphans(known: set[str], store: Store) -> Iterator[Check]:
    """Users whose provider is gone: nothing keeps a table of the TOML file while they belong to it."""
    users = Counter(user.provider for user in store.users.list(method=Method.LDAP) if user.provider not in known)
    yield from _orphans(users, "nobody checks their passwords")


def _check_orphans_of_sso(known: set[str], store: Store) -> Iterator[Check]:
    """The same of users whom a SCIM client has brought; those whom an admin made need no provider to be ended."""
    every = (user for method in (Method.SAML, Method.OIDC) for user in store.users.list(method=method))
    users = Counter(user.provider for user in every if user.provider not in known and user.managed_by is Owner.SCIM)
    yield from _orphans(users, "nobody ends the access of those who leave")


def _orphans(users: Counter[str | None], so: str) -> Iterator[Check]:
    for name, count in sorted((name, count) for name, count in users.items() if name):
        whose = "1 user belongs" if count == 1 else f"{count} users belong"
        advice = f"set it up again, or look at them: quaymaster user list --provider {name}"
        yield fail(f"provider {name}", f"{whose} to it, and it is not configured: {so}", advice)


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # a folder that cannot be entered: the key cannot be read, which is told
        return True


def _check_key(file: Path) -> Check:
    try:
        load_site_key(file)
        mode = file.stat().st_mode
    except (StoreError, OSError) as error:
        return fail(KEY, f"{error}", "put the site's key file there, or set the secrets anew: quaymaster provider set")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return fail(KEY, f"{file} can be read by others", f"run: chmod 600 {file}")
    return ok(KEY, str(file))


def _unusable(listed: Listed) -> Check | None:
    name, provider = _name(listed), listed.provider
    if provider is None:
        return fail(
            name,
            listed.problem,
            "give this machine the site's key, or set the secret anew: "
            f"quaymaster provider set {listed.name} --bind-password-stdin",
        )
    if provider.ca_file is None:
        return None
    try:
        provider.ca_file.read_bytes()
    except OSError as error:
        return fail(name, f"{provider.ca_file}: {error.strerror}", "let the service's user read it, or correct ca_file")
    return None


def _check_sync(listed: Listed, store: Store) -> Check:
    name, runs = _name(listed), store.syncs.runs(listed.name, limit=1)
    if not runs:
        return ok(name, f"{listed.origin}; the sync has not run yet")
    last = runs[0]
    match last.outcome:
        case Outcome.HELD:
            return warn(name, f"run {last.id} of the sync is held", f"see: quaymaster sync status {listed.name}")
        case Outcome.FAILED:
            return warn(
                name, f"run {last.id} of the sync: {last.detail}", f"run: quaymaster provider test {listed.name}"
            )
        case _:
            return _check_age(name, listed, last)


def _check_age(name: str, listed: Listed, last: SyncRun) -> Check:
    age, detail = time.time() - last.started_at, f"{listed.origin}; run {last.id} of the sync: {last.outcome}"
    if listed.provider is not None and age > LATE * listed.provider.sync_interval_s:
        return warn(
            name,
            f"the sync has not run for {age / 3600:.1f} hours",
            f"it runs while quaymaster serve does; by hand: quaymaster sync run {listed.name}",
        )
    return ok(name, detail)


def _name(listed: Listed) -> str:
    return f"provider {listed.name}"
