"""The in-tree backends keep the contract of auth_backends/contract.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auth_backends.api import Account, ApiKeyToken, FrontEnd, Password, PublicKey, Rejected, Secret
from auth_backends.api_keys import issue
from auth_backends.contract import AuthBackendContract, Subject
from auth_backends.local import LocalPasswords
from auth_backends.registered_keys import RegisteredApiKeys, RegisteredSshKeys
from auth_backends.ssh_keys import generate_key_pair
from storage.database.records import Method
from storage.database.store import Store
from tests.support.brokers import PASSWORD, Desk


class TestLocalPasswords(AuthBackendContract):
    """Passwords of the user store, on both databases."""

    @pytest.fixture
    def subject(self, store: Store) -> Subject:
        """A local user and an LDAP user."""
        desk = Desk(store)
        alice, linda = desk.user("alice"), desk.user("linda", Method.LDAP)
        return Subject(
            backend=LocalPasswords(store, desk.hasher),
            account=Account(alice),
            foreign_account=Account(linda),
            right=Password("alice", Secret(PASSWORD)),
            wrong=Password("alice", Secret("another text")),
            unreachable=store.close,
        )


class KeyContract(AuthBackendContract):
    """Keys are judged by a row that was read before, so there is no authority that could be out of reach."""

    def test_an_authority_out_of_reach_is_no_verdict(self, subject: Subject) -> None:
        """Without the row there is no yes."""
        account = replace(subject.account, credential=None)

        assert isinstance(subject.backend.verify(subject.attempt(subject.right), account), Rejected)


class TestSshKeys(KeyContract):
    """SSH keys that are registered for a user."""

    @pytest.fixture
    def subject(self, sqlite_store: Store) -> Subject:
        """A user with a key, and one without."""
        desk = Desk(sqlite_store)
        alice, bob = desk.user("alice"), desk.user("bob")
        key, other = desk.ssh_key(alice), generate_key_pair().public
        return Subject(
            backend=RegisteredSshKeys(min_rsa_bits=2048, clock=desk.clock),
            account=Account(alice, key),
            foreign_account=Account(bob, key),
            right=PublicKey("alice", key.algorithm, key.blob),
            wrong=PublicKey("alice", other.algorithm, other.blob),
            unreachable=sqlite_store.close,
        )


class TestApiKeys(KeyContract):
    """API keys of a user."""

    @pytest.fixture
    def subject(self, sqlite_store: Store) -> Subject:
        """A user with an API key, and one without."""
        desk = Desk(sqlite_store)
        alice, bob = desk.user("alice"), desk.user("bob")
        issued = desk.api_key(alice)
        key = desk.kept_api_key(issued)
        return Subject(
            backend=RegisteredApiKeys(clock=desk.clock),
            account=Account(alice, key),
            foreign_account=Account(bob, key),
            right=ApiKeyToken("alice", issued.token),
            wrong=ApiKeyToken("alice", issue().token),
            unreachable=sqlite_store.close,
            front_end=FrontEnd.FTPS,
        )
