"""The LDAP backend, loaded when the first user needs it: a site without a directory does not pay for ldap3."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from auth_backends.api import Account, Attempt, AttemptLimit, NotMine, Password, Verdict
from storage.database.records import Method

if TYPE_CHECKING:
    from auth_backends.ldap.backend import LdapBackend, Links, Providers


class LdapOnDemand:
    """Stands in front of :class:`LdapBackend`, and says the same. Thread-safe."""

    def __init__(self, providers: Providers, identity: Links) -> None:
        self._providers = providers
        self._identity = identity
        self._lock = threading.Lock()
        self._loaded: LdapBackend | None = None

    @property
    def accepts(self) -> frozenset[type]:
        """Passwords only."""
        return frozenset({Password})

    def load(self) -> LdapBackend:
        """Give the backend; takes a tenth of a second the first time."""
        with self._lock:
            if self._loaded is None:
                from auth_backends.ldap.backend import LdapBackend  # noqa: PLC0415 - the point of this file

                self._loaded = LdapBackend(self._providers, self._identity)
            return self._loaded

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Let the user's directory judge the password."""
        if account.user.method is not Method.LDAP or not isinstance(attempt.credential, Password):
            return NotMine()
        return self.load().verify(attempt, account)

    def knows(self, account: Account) -> bool:
        """Whether the account's directory is configured. Raises StoreError."""
        return self.load().knows(account)

    def limit(self, account: Account) -> AttemptLimit | None:
        """Give the limit that keeps this account unlocked in its directory."""
        return self.load().limit(account)

    def spend(self, attempt: Attempt) -> None:
        """Send nothing: a password of nobody must reach no directory."""

    def close(self) -> None:
        """Close the connections to all directories."""
        with self._lock:
            loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.close()
