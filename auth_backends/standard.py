"""The broker with the backends of the user store itself, as the composition root and the tools build it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from auth_backends.api import AuthBackend, Clock
from auth_backends.broker import Broker
from auth_backends.local import LocalPasswords
from auth_backends.passwords import PasswordHasher
from auth_backends.registered_keys import RegisteredApiKeys, RegisteredSshKeys
from config.settings import AuthSettings
from storage.database.records import Method
from storage.database.store import Store

_NONE: Mapping[Method, AuthBackend] = MappingProxyType({})


def standard_broker(
    store: Store,
    settings: AuthSettings,
    *,
    others: Mapping[Method, AuthBackend] = _NONE,
    hasher: PasswordHasher | None = None,
    clock: Clock = time.time,
) -> Broker:
    """Give a broker for local passwords, SSH keys and API keys; ``others`` adds authorities for other methods."""
    hasher = hasher or PasswordHasher(concurrency=settings.password_concurrency)
    local = LocalPasswords(store, hasher)
    return Broker(
        store,
        {**others, Method.LOCAL: local, Method.LOCAL_KEY: local},
        ssh_keys=RegisteredSshKeys(min_rsa_bits=settings.min_rsa_bits, clock=clock),
        api_keys=RegisteredApiKeys(clock=clock),
        hasher=hasher,
        settings=settings,
        clock=clock,
    )
