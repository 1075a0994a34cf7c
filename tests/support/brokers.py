"""A broker on a real store, with a clock that tests turn and the spies that prove what was not done."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

import argon2._password_hasher
import pytest

from auth_backends.api import (
    Account,
    Address,
    ApiKeyToken,
    Attempt,
    AuthBackend,
    Credential,
    Decision,
    FrontEnd,
    Granted,
    Password,
    PublicKey,
    Reason,
    Secret,
    Verdict,
)
from auth_backends.api_keys import IssuedApiKey, issue
from auth_backends.broker import Broker
from auth_backends.cache import VerdictCache
from auth_backends.local import LocalPasswords
from auth_backends.passwords import PasswordHasher
from auth_backends.registered_keys import RegisteredApiKeys, RegisteredSshKeys
from auth_backends.ssh_keys import ParsedKey, generate_key_pair
from config.settings import AuthSettings
from storage.database.change_types import UNSET, UserFields
from storage.database.changes import AddApiKey, AddSshKey, CreateUser, SetStatus, UpdateUser
from storage.database.names import canonical_name
from storage.database.records import ApiKey, AuditEvent, Method, SshKey, Status, User
from storage.database.store import Store

HOME = ip_address("192.0.2.7")
PASSWORD = "correct horse battery"
START = 1_900_000_000.0


@dataclass
class TurnedClock:
    """Unix seconds that move only when a test says so."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Desk:
    """One worker's broker over a store, and short verbs for tests."""

    store: Store
    settings: AuthSettings = field(default_factory=AuthSettings)
    clock: TurnedClock = field(default_factory=TurnedClock)
    others: Mapping[Method, AuthBackend] = field(default_factory=dict)
    hasher: PasswordHasher = field(default_factory=lambda: PasswordHasher(memory_kib=8, rounds=1))
    broker: Broker = field(init=False)

    def __post_init__(self) -> None:
        local = LocalPasswords(self.store, self.hasher)
        self.broker = Broker(
            self.store,
            {Method.LOCAL: local, Method.LOCAL_KEY: local, **self.others},
            ssh_keys=RegisteredSshKeys(min_rsa_bits=self.settings.min_rsa_bits, clock=self.clock),
            api_keys=RegisteredApiKeys(clock=self.clock),
            hasher=self.hasher,
            settings=self.settings,
            clock=self.clock,
            cache=VerdictCache(self.settings.webdav_cache_s, clock=self.clock),
        )

    def another_worker(self, **changed: Any) -> Desk:
        """Give another process's broker over the same store and clock."""
        return replace(self, **changed)

    def user(
        self,
        name: str,
        method: Method = Method.LOCAL,
        *,
        password: str | None = None,
        status: Status = Status.ACTIVE,
        totp_enrolled: bool = False,
        **fields: Any,
    ) -> User:
        """Make a user; local methods get PASSWORD unless told otherwise."""
        local = method in {Method.LOCAL, Method.LOCAL_KEY}
        password_hash = self.hasher.hash(Secret(password or PASSWORD)) if local else None
        change = CreateUser(name, method, password_hash=password_hash, **fields)
        self.store.apply(change, actor="test")
        user = self.present(name)
        if totp_enrolled:
            self.update(user, totp_enrolled=True)
        return self.with_status(user, status)

    def update(self, user: User, **fields: Any) -> None:
        """Change fields of a user."""
        assert UNSET not in fields.values()
        self.store.apply(UpdateUser(user.id, UserFields(**fields)), actor="test")

    def present(self, name: str) -> User:
        """Read a user who must be there."""
        user = self.store.users.by_name(canonical_name(name))
        assert user is not None
        return user

    def with_status(self, user: User, status: Status) -> User:
        """Set a user's status."""
        if user.status is not status:
            self.store.apply(SetStatus(user.id, status), actor="test")
        return self.present(user.name)

    def ssh_key(self, user: User, parsed: ParsedKey | None = None, **limits: Any) -> SshKey:
        """Register a new Ed25519 key, or the given one."""
        key = parsed or generate_key_pair().public
        self.store.apply(AddSshKey(user.id, key.algorithm, key.blob, key.fingerprint, **limits), actor="test")
        kept = self.store.credentials.ssh_key_by_blob(user.id, key.blob)
        assert kept is not None
        return kept

    def api_key(self, user: User, **limits: Any) -> IssuedApiKey:
        """Issue an API key."""
        issued = issue()
        self.store.apply(AddApiKey(user.id, issued.id, issued.digest, **limits), actor="test")
        return issued

    def kept_api_key(self, issued: IssuedApiKey) -> ApiKey:
        """Read the row of an issued key."""
        kept = self.store.credentials.api_key(issued.id)
        assert kept is not None
        return kept

    def try_in(self, front_end: FrontEnd, credential: Credential, peer: Address = HOME) -> Decision:
        """Make one attempt."""
        return self.broker.authenticate(Attempt(uuid.uuid4().hex, front_end, credential, peer, self.clock()))

    def password(
        self, name: str, secret: str = PASSWORD, front_end: FrontEnd = FrontEnd.SFTP, peer: Address = HOME
    ) -> Decision:
        """Try a password."""
        return self.try_in(front_end, Password(name, Secret(secret)), peer)

    def key(self, name: str, key: SshKey | ParsedKey, second: str | None = None, peer: Address = HOME) -> Decision:
        """Try an SSH key on SFTP."""
        secret = None if second is None else Secret(second)
        return self.try_in(FrontEnd.SFTP, PublicKey(name, key.algorithm, key.blob, secret), peer)

    def token(
        self, name: str | None, issued: IssuedApiKey, front_end: FrontEnd = FrontEnd.FTPS, peer: Address = HOME
    ) -> Decision:
        """Try an API key."""
        return self.try_in(front_end, ApiKeyToken(name, issued.token), peer)

    def logins(self) -> list[AuditEvent]:
        """Give the audit events of sign-ins so far."""
        return self.store.audit.tail(kind="login", limit=1000)


def reason_of(decision: Decision) -> Reason:
    """Give a decision's reason; GRANTED for a grant."""
    return Reason.GRANTED if isinstance(decision, Granted) else decision.reason


class StandInBackend:
    """An authority for passwords whose answer a test decides; it remembers what it was asked."""

    accepts: frozenset[type] = frozenset({Password})

    def __init__(self, answer: Callable[[], Verdict]) -> None:
        self.answer = answer
        self.asked: list[Attempt] = []

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Give the test's answer."""
        self.asked.append(attempt)
        return self.answer()

    def spend(self, attempt: Attempt) -> None:
        """Nobody asks a directory to pretend: it would see a password that is not its own."""
        raise AssertionError(attempt)


class Argon2Spy:
    """Counts the argon2 computations of this process and keeps what went into them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[bytes] = []
        module = argon2._password_hasher
        real_hash, real_verify = module.hash_secret, module.verify_secret

        def hash_secret(*, secret: bytes, **options: Any) -> bytes:
            self.texts.append(secret)
            return real_hash(secret=secret, **options)

        def verify_secret(kept: bytes, secret: bytes, kind: Any) -> bool:
            self.texts.append(secret)
            return real_verify(kept, secret, kind)

        monkeypatch.setattr(module, "hash_secret", hash_secret)
        monkeypatch.setattr(module, "verify_secret", verify_secret)

    @property
    def count(self) -> int:
        """How many computations there were."""
        return len(self.texts)
