"""The keys that the user store knows: SSH public keys and API keys.

The row was found by the key's public part before these are asked; what is left is whether the
key proves it and may be used here and now.
"""

from __future__ import annotations

from auth_backends.api import (
    Accepted,
    Account,
    ApiKeyToken,
    Attempt,
    Clock,
    Factor,
    NotMine,
    PublicKey,
    Reason,
    Rejected,
    Verdict,
)
from auth_backends.api_keys import MalformedApiKey, issue, parse
from auth_backends.scope import api_key_problem, ssh_key_problem
from storage.database.records import ApiKey, SshKey


class RegisteredSshKeys:
    """The authority for SSH keys; the front end has verified the signature."""

    def __init__(self, *, min_rsa_bits: int, clock: Clock) -> None:
        self._min_rsa_bits = min_rsa_bits
        self._clock = clock

    @property
    def accepts(self) -> frozenset[type]:
        """SSH public keys only."""
        return frozenset({PublicKey})

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Accept a key that is registered for this very user and within its limits."""
        credential, key = attempt.credential, account.credential
        if not isinstance(credential, PublicKey):
            return NotMine()
        if not isinstance(key, SshKey) or key.user_id != account.user.id or key.blob != credential.blob:
            return Rejected(Reason.UNKNOWN_KEY)
        problem = ssh_key_problem(key, attempt.peer, self._clock(), min_rsa_bits=self._min_rsa_bits)
        return Accepted(Factor.PUBLIC_KEY, key.id) if problem is None else Rejected(problem)

    def spend(self, attempt: Attempt) -> None:
        """Nothing: the look-up is the work, and it is done for unknown users too."""


class RegisteredApiKeys:
    """The authority for API keys."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._nobody = issue().digest

    @property
    def accepts(self) -> frozenset[type]:
        """API keys only."""
        return frozenset({ApiKeyToken})

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Accept a key whose secret has the kept digest and that is within its scope; the secret is asked first."""
        credential, key = attempt.credential, account.credential
        if not isinstance(credential, ApiKeyToken):
            return NotMine()
        try:
            parsed = parse(credential.token)
        except MalformedApiKey:
            return Rejected(Reason.MALFORMED_API_KEY)
        if not isinstance(key, ApiKey) or key.user_id != account.user.id or key.id != parsed.id:
            return Rejected(Reason.UNKNOWN_API_KEY)
        if not parsed.proves(key.digest):
            return Rejected(Reason.WRONG_API_KEY)
        problem = api_key_problem(key, attempt.front_end, attempt.peer, self._clock())
        return Accepted(Factor.API_KEY, key.id) if problem is None else Rejected(problem)

    def spend(self, attempt: Attempt) -> None:
        """Compare the secret with nobody's."""
        if isinstance(attempt.credential, ApiKeyToken):
            try:
                parse(attempt.credential.token).proves(self._nobody)
            except MalformedApiKey:
                return
