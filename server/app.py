"""The composition root: the only file that names concrete classes and puts them together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from auth_backends.broker import Broker
from auth_backends.ldap.on_demand import LdapOnDemand
from auth_backends.local import LocalPasswords
from auth_backends.passwords import PasswordHasher
from auth_backends.registered_keys import RegisteredApiKeys, RegisteredSshKeys
from auth_backends.sso_assertions import SsoAssertions
from auth_backends.totp import TotpCodes
from config.settings import Settings
from server.providers import ProviderBook
from server.runtime.journal import Journal
from server.runtime.keys import key_files
from server.services import Services
from server.sessions import Sessions
from server.sign_in import SignIn
from server.watcher import Watcher
from server.workspaces import Workspaces
from storage.database.records import Method
from storage.database.sealing import load_site_key
from storage.database.store import Store, open_store

if TYPE_CHECKING:
    from server.sso.desk import SingleSignOn


def build_broker(store: Store, settings: Settings, book: ProviderBook | None = None) -> Broker:
    """Make the broker with every backend that this release has; methods without one are TryLater."""
    hasher = PasswordHasher(concurrency=settings.auth.password_concurrency)
    passwords = LocalPasswords(store, hasher)
    directories = book or ProviderBook(store, settings)
    ldap = LdapOnDemand(directories.ldap, store.users.identity)

    def floor_s() -> float:
        return settings.auth.refusal_floor_s if directories.any_directory() else 0.0

    assertions = SsoAssertions()
    if settings.ldap:  # else the first sign-in would wait for it
        ldap.load()
    return Broker(
        store,
        {
            Method.LOCAL: passwords,
            Method.LOCAL_KEY: passwords,
            Method.LDAP: ldap,
            Method.SAML: assertions,
            Method.OIDC: assertions,
        },
        ssh_keys=RegisteredSshKeys(min_rsa_bits=settings.auth.min_rsa_bits, clock=time.time),
        api_keys=RegisteredApiKeys(clock=time.time),
        hasher=hasher,
        settings=settings.auth,
        floor_s=floor_s,
        totp=TotpCodes(store, lambda: load_site_key(settings.site_key_file)),
    )


def build_single_sign_on(store: Store, settings: Settings, broker: Broker, sign_in: SignIn) -> SingleSignOn:
    """Make the portal's sign-in with both protocols."""
    from server.sso.building import single_sign_on  # noqa: PLC0415 - its libraries double a worker's start

    return single_sign_on(store, settings, broker, sign_in)


def look_after_sign_in(store: Store, settings: Settings, now: float) -> None:
    """Refresh what identity providers say of themselves, and warn of what runs out."""
    if any(one.provider is not None and one.provider.signs_in for one in ProviderBook(store, settings).listed_sso()):
        from server.sso.care import look_after  # noqa: PLC0415 - its libraries double a worker's start

        look_after(store, settings, now)


@contextmanager
def open_services(settings: Settings, *, worker: str) -> Iterator[Services]:
    """Open everything that a worker's front end uses, for a block; at its end every session is ended and recorded.

    ``worker`` is this process's name in the registry of sessions, unique among all that ever ran.
    Raises StoreError if the database cannot be reached or has another schema.
    """
    store = open_store(settings.database_url, pool_size=settings.database.pool_size)
    journal = Journal(store)
    try:
        broker = build_broker(store, settings)
        workspaces = Workspaces(store, settings)
        sessions = Sessions(
            store, journal, worker=worker, still_valid=broker.still_valid, mounts_for=workspaces.mounts_for
        )
        watcher = Watcher(store, sessions)
        watcher.start()
        try:
            sign_in = SignIn(broker, workspaces, sessions, journal)
            yield Services(
                settings=settings,
                keys=key_files(settings),
                sign_in=sign_in,
                sessions=sessions,
                store=store,
                workspaces=workspaces,
                single_sign_on=lambda: build_single_sign_on(store, settings, broker, sign_in),
                look_after_sign_in=lambda now: look_after_sign_in(store, settings, now),
            )
        finally:
            sessions.close_all("server_stopped")
            watcher.stop()
    finally:
        journal.close()
        store.close()
