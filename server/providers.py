"""The providers of a site, directories and identity providers: of the configuration file, and of the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import structlog

from config.ldap import LdapProvider
from config.providers import ProviderInvalid, made_from
from config.settings import Settings
from config.sso import SsoProvider
from storage.database.change_types import PutProvider
from storage.database.records import StoredProvider
from storage.database.sealing import SiteKey, ensure_site_key, load_site_key
from storage.database.store import Store, StoreUnavailable

log = structlog.get_logger(__name__)

LDAP, SSO = "ldap", "sso"
KINDS = (LDAP, SSO)
SECRETS = {LDAP: ("bind_password",), SSO: ("client_secret",)}
"""The settings of each kind that are sealed in the database."""
FRESH_S = 1.0  # how long a change may take to be noticed; sign-ins must not read the same row a hundred times a second


class Origin(StrEnum):
    """Where a provider is kept."""

    FILE = "file"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Listed:
    """A provider as lists show it; ``problem`` says why it cannot be used, if it cannot."""

    name: str
    origin: Origin
    provider: LdapProvider | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ListedSso:
    """An identity provider as lists show it; ``problem`` says why it cannot be used, if it cannot."""

    name: str
    origin: Origin
    provider: SsoProvider | None
    problem: str = ""


class ProviderBook:
    """Thread-safe. A provider of the file wins over one of the database with the same name."""

    def __init__(self, store: Store, settings: Settings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._settings = settings
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, StoredProvider | None, LdapProvider | None]] = {}
        self._known_sso: dict[str, tuple[float, SsoProvider | None]] = {}

    def ldap(self, name: str) -> LdapProvider | None:
        """Give the directory of this name with its secrets, or None. Raises StoreUnavailable if nobody can tell."""
        if (of_file := self._settings.ldap.get(name)) is not None:
            return of_file
        now = self._monotonic()
        with self._lock:
            known = self._known.get(name)
        if known is not None and now - known[0] < FRESH_S:
            return known[2]
        row = self._store.providers.by_name(name)
        if known is not None and row == known[1]:
            provider = known[2]
        else:
            provider = None if row is None or row.kind != LDAP else opened(row, self._key())
        with self._lock:
            self._known[name] = (now, row, provider)
        return provider

    def sso(self, name: str) -> SsoProvider | None:
        """Give the identity provider of this name, or None. Raises StoreUnavailable if nobody can tell."""
        if (of_file := self._settings.sso.get(name)) is not None:
            return of_file
        if name in self._settings.ldap:
            return None
        now = self._monotonic()
        with self._lock:
            known = self._known_sso.get(name)
        if known is not None and now - known[0] < FRESH_S:
            return known[1]
        row = self._store.providers.by_name(name)
        provider = None if row is None or row.kind != SSO else opened_sso(row, self._key)
        with self._lock:
            if row is not None:
                self._known_sso[name] = (now, provider)
            else:  # strangers can ask for any name, and nothing is kept of those that are none
                self._known_sso.pop(name, None)
        return provider

    def listed_sso(self) -> list[ListedSso]:
        """Give all identity providers by name, those that cannot be used with the problem. Raises StoreUnavailable."""
        found = {name: ListedSso(name, Origin.FILE, provider) for name, provider in self._settings.sso.items()}
        for row in self._store.providers.list(SSO):
            if row.name in found or row.name in self._settings.ldap:
                continue
            try:
                found[row.name] = ListedSso(row.name, Origin.DATABASE, opened_sso(row, self._key))
            except StoreUnavailable as error:
                found[row.name] = ListedSso(row.name, Origin.DATABASE, None, error.message)
        return [found[name] for name in sorted(found)]

    def any_directory(self) -> bool:
        """Whether the site has a directory at all. Raises StoreUnavailable."""
        return bool(self._settings.ldap or self._store.providers.list(LDAP))

    def listed(self) -> list[Listed]:
        """Give all directories by name; one that cannot be read is listed with the problem. Raises StoreUnavailable."""
        found = {name: Listed(name, Origin.FILE, provider) for name, provider in self._settings.ldap.items()}
        for row in self._store.providers.list(LDAP):
            if row.name in found or row.name in self._settings.sso:
                continue
            try:
                found[row.name] = Listed(row.name, Origin.DATABASE, opened(row, self._key()))
            except StoreUnavailable as error:
                found[row.name] = Listed(row.name, Origin.DATABASE, None, error.message)
        return [found[name] for name in sorted(found)]

    def _key(self) -> SiteKey:
        return load_site_key(self._settings.site_key_file)


def site_key_for(kept: Iterable[StoredProvider], settings: Settings, codes: Iterable[str] = ()) -> SiteKey:
    """Give the site key; made only where nothing was sealed yet. Raises StoreUnavailable.

    ``kept`` are the site's providers, ``codes`` the sealed secrets of one-time codes.

    A second key, made where the first one is lost or is on another machine, would leave each machine with secrets that
    it cannot open.
    """
    sealed = [(row.name, text) for row in kept for text in row.secrets.values()]
    sealed += [("one-time codes", text) for text in codes]
    file = settings.site_key_file
    if not sealed:
        return ensure_site_key(file)
    key = load_site_key(file)
    others = sorted({name for name, text in sealed if not key.sealed(text)})
    if others:
        raise StoreUnavailable(
            f"{file} is another key than the one under which secrets of this site are sealed ({', '.join(others)})."
        )
    return key


def put_provider(
    name: str,
    provider: LdapProvider | SsoProvider,
    settings: Settings,
    kept: Iterable[StoredProvider] = (),
    codes: Iterable[str] = (),
) -> PutProvider:
    """Make the change that keeps a provider, its secrets sealed. Raises StoreUnavailable without the site's key.

    ``kept`` are the other providers of the site and ``codes`` its sealed secrets of one-time codes, all under its key.
    """
    kind = LDAP if isinstance(provider, LdapProvider) else SSO
    options = provider.model_dump(mode="json", exclude_defaults=True)
    given = {option: str(options.pop(option)) for option in SECRETS[kind] if option in options}
    if not given:  # no key is made for nothing
        return PutProvider(name, kind, options, {})
    key = site_key_for(kept, settings, codes)
    return PutProvider(
        name, kind, options, {option: key.seal(text, _place(name, option)) for option, text in given.items()}
    )


def opened_sso(row: StoredProvider, key: Callable[[], SiteKey]) -> SsoProvider:
    """Read a kept identity provider; ``key`` is asked for where it has a secret. Raises StoreUnavailable."""
    options = {
        **row.options,
        **{option: key().unseal(sealed, _place(row.name, option)) for option, sealed in row.secrets.items()},
    }
    try:
        return made_from(SsoProvider, options)
    except ProviderInvalid as error:
        raise StoreUnavailable(f"The kept provider {row.name!r} cannot be used: {error}.") from None


def opened(row: StoredProvider, key: SiteKey) -> LdapProvider:
    """Read a kept provider with its secrets. Raises StoreUnavailable, with words for an admin."""
    options: Mapping[str, object] = {
        **row.options,
        **{option: key.unseal(sealed, _place(row.name, option)) for option, sealed in row.secrets.items()},
    }
    try:
        return made_from(LdapProvider, options)
    except ProviderInvalid as error:
        raise StoreUnavailable(f"The kept provider {row.name!r} cannot be used: {error}.") from None


def _place(name: str, option: str) -> str:
    return f"provider/{name}/{option}"
