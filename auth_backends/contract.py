"""AuthBackendContract: what every authentication backend must do. Shipped, so that plug-ins run it too.

A test class inherits it and gives a ``subject`` fixture::

    class TestMyBackend(AuthBackendContract):
        @pytest.fixture
        def subject(self) -> Subject: ...
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from auth_backends.api import (
    Accepted,
    Account,
    Address,
    ApiKeyToken,
    Attempt,
    AuthBackend,
    Credential,
    FrontEnd,
    NotMine,
    Password,
    PublicKey,
    Rejected,
    Secret,
    SsoAssertion,
    Unavailable,
)
from storage.database.store import StoreError


@dataclass(frozen=True, slots=True)
class Subject:
    """A backend with one account that it is the authority for, and one that it is not.

    ``unreachable`` takes the backend's authority away: the server is down, the database is gone.
    """

    backend: AuthBackend
    account: Account
    foreign_account: Account
    right: Credential
    wrong: Credential
    unreachable: Callable[[], None]
    front_end: FrontEnd = FrontEnd.SFTP
    peer: Address = field(default_factory=lambda: ip_address("192.0.2.1"))

    def attempt(self, credential: Credential) -> Attempt:
        """Wrap a credential as the broker would."""
        return Attempt(uuid.uuid4().hex, self.front_end, credential, self.peer, 0.0)


OTHERS: tuple[Credential, ...] = (
    Password("somebody", Secret("text")),
    PublicKey("somebody", "ssh-ed25519", b"blob"),
    ApiKeyToken("somebody", Secret("text")),
    SsoAssertion("provider", "subject", {}),
)


class AuthBackendContract:
    """The suite. Every test is a promise that the broker relies on."""

    @pytest.fixture
    def subject(self) -> Subject:
        """The backend under test; each subclass gives its own."""
        pytest.fail("the subclass must define the fixture `subject`")

    def test_the_right_credential_is_accepted(self, subject: Subject) -> None:
        """The right credential of the backend's own account is Accepted, and again."""
        for _ in range(2):
            verdict = subject.backend.verify(subject.attempt(subject.right), subject.account)

            assert isinstance(verdict, Accepted)

    def test_a_wrong_credential_is_rejected(self, subject: Subject) -> None:
        """A wrong credential is a sure no with a reason."""
        verdict = subject.backend.verify(subject.attempt(subject.wrong), subject.account)

        assert isinstance(verdict, Rejected)

    def test_it_says_what_it_accepts(self, subject: Subject) -> None:
        """``accepts`` names the kind of the right credential."""
        assert type(subject.right) in subject.backend.accepts

    def test_other_kinds_of_credential_are_not_its_business(self, subject: Subject) -> None:
        """A kind that it does not accept is NotMine, never Accepted and never an error."""
        for credential in OTHERS:
            if type(credential) not in subject.backend.accepts:
                verdict = subject.backend.verify(subject.attempt(credential), subject.account)

                assert isinstance(verdict, NotMine)

    def test_another_authoritys_account_is_not_accepted(self, subject: Subject) -> None:
        """One identity has one authority: the right credential does not open a foreign account."""
        verdict = subject.backend.verify(subject.attempt(subject.right), subject.foreign_account)

        assert isinstance(verdict, (NotMine, Rejected))

    def test_an_authority_out_of_reach_is_no_verdict(self, subject: Subject) -> None:
        """Unavailable (or StoreError, for the user store itself): neither yes nor no, for right and wrong alike."""
        subject.unreachable()
        for credential in (subject.right, subject.wrong):
            try:
                verdict = subject.backend.verify(subject.attempt(credential), subject.account)
            except StoreError:
                continue

            assert isinstance(verdict, Unavailable)

    def test_verdicts_of_many_threads_are_their_own(self, subject: Subject) -> None:
        """Thread-safe: right and wrong asked at the same time are never mixed up."""
        asked = [subject.right, subject.wrong] * 16
        with ThreadPoolExecutor(8) as pool:
            verdicts = list(pool.map(lambda one: subject.backend.verify(subject.attempt(one), subject.account), asked))

        assert [isinstance(verdict, Accepted) for verdict in verdicts] == [one is subject.right for one in asked]

    def test_pretended_work_takes_any_attempt(self, subject: Subject) -> None:
        """``spend`` works for whatever was sent, and changes no later verdict."""
        for credential in (subject.right, subject.wrong, *OTHERS):
            if type(credential) in subject.backend.accepts:
                subject.backend.spend(subject.attempt(credential))

        assert isinstance(subject.backend.verify(subject.attempt(subject.wrong), subject.account), Rejected)
        assert isinstance(subject.backend.verify(subject.attempt(subject.right), subject.account), Accepted)

    def test_no_verdict_shows_a_secret(self, subject: Subject) -> None:
        """Verdicts go to logs and audit events: the credential's secret is in none of them."""
        for credential in (subject.right, subject.wrong):
            verdict = subject.backend.verify(subject.attempt(credential), subject.account)

            match credential:
                case Password():
                    assert credential.secret.reveal() not in repr(verdict)
                case ApiKeyToken():
                    assert credential.token.reveal() not in repr(verdict)
                case _:
                    assert "Secret(" not in repr(verdict)
