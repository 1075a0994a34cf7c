"""The LDAP backend keeps the contract of auth_backends/contract.py, with real directories behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from auth_backends.api import Account, LockingBackend, Password, Secret
from auth_backends.contract import AuthBackendContract, Subject
from storage.database.records import Method
from tests.support.directories.certificates import Authority
from tests.support.directories.judges import Judge
from tests.support.directories.samba import SambaAd
from tests.support.directories.sites import provider_for
from tests.support.directories.slapd import PASSWORD, Slapd

pytestmark = pytest.mark.system


class LdapContract(AuthBackendContract):
    """What holds for every directory."""

    def test_it_tells_its_limit(self, subject: Subject) -> None:
        """The broker asks a backend whose authority locks accounts for a limit; that never raises."""
        backend = subject.backend
        assert isinstance(backend, LockingBackend)
        subject.unreachable()
        limit = backend.limit(subject.account)

        assert limit is None or limit.max_failures >= 1


class TestOpenLdap(LdapContract):
    """A real slapd of this test's own, which can be stopped; nobody is locked, whatever the suite sends."""

    @pytest.fixture
    def subject(self, authority: Authority) -> Iterator[Subject]:
        """A user of the directory, and one of the user store with the same link."""
        with ExitStack() as stack:
            slapd = stack.enter_context(Slapd(authority, lockout_threshold=1000))
            judge = stack.enter_context(Judge(provider_for(slapd)))
            account = judge.of_slapd(slapd, slapd.add_person("alice"))
            foreign = Account(replace(account.user, method=Method.LOCAL))
            right, wrong = Password("alice", Secret(PASSWORD)), Password("alice", Secret("another text"))
            yield Subject(judge.backend, account, foreign, right, wrong, unreachable=slapd.stop)


class TestSamba(LdapContract):
    """A real Samba domain controller."""

    @pytest.fixture
    def subject(self, samba_ad: SambaAd) -> Iterator[Subject]:
        """A user of the domain, and one who is linked to nobody."""
        with Judge(provider_for(samba_ad)) as judge:
            account = judge.of_samba(samba_ad, "alice")
            foreign = Account(replace(account.user, id="somebody-else"))
            right = Password("alice", Secret(samba_ad.password_of("alice")))
            wrong = Password("alice", Secret("another text"))

            def unreachable() -> None:
                judge.provider = provider_for(samba_ad, hosts=("localhost:1",))

            yield Subject(judge.backend, account, foreign, right, wrong, unreachable)
