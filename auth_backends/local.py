"""The user store's own passwords."""

from __future__ import annotations

from contextlib import suppress

from auth_backends.api import (
    Accepted,
    Account,
    Attempt,
    Factor,
    NotMine,
    Password,
    Reason,
    Rejected,
    Secret,
    Unavailable,
    Verdict,
)
from auth_backends.passwords import HasherBusy, PasswordHasher
from storage.database.records import Method, User
from storage.database.store import Store


class LocalPasswords:
    """The authority for users of the methods ``local`` and ``local+key``."""

    def __init__(self, store: Store, hasher: PasswordHasher) -> None:
        self._store = store
        self._hasher = hasher

    @property
    def accepts(self) -> frozenset[type]:
        """Passwords only."""
        return frozenset({Password})

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Compare with the stored hash, and bring the hash to today's parameters if it is right."""
        credential, user = attempt.credential, account.user
        if not isinstance(credential, Password) or user.method not in {Method.LOCAL, Method.LOCAL_KEY}:
            return NotMine()
        kept = self._store.credentials.password(user.id)
        try:
            if kept is None:
                self._hasher.spend()
                return Rejected(Reason.NO_PASSWORD_SET)
            if not self._hasher.verify(kept.hash, credential.secret):
                return Rejected(Reason.WRONG_PASSWORD)
        except HasherBusy as error:
            return Unavailable(str(error))
        if self._hasher.needs_rehash(kept.hash):
            self._strengthen(user, kept.hash, credential.secret)
        return Accepted(Factor.PASSWORD, password_version=kept.changed_at)

    def _strengthen(self, user: User, old: str, secret: Secret) -> None:
        """Bring the hash to today's parameters; if there is no time for it now, the next sign-in will."""
        with suppress(HasherBusy):
            self._store.credentials.replace_password_hash(user.id, old, self._hasher.rehash(secret))

    def spend(self, attempt: Attempt) -> None:  # noqa: ARG002 - the secret must not be touched
        """Do one hash of a fixed text."""
        self._hasher.spend()
