"""Directories as the authority for the passwords of users of the method ``ldap``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from auth_backends.api import (
    Account,
    Attempt,
    AttemptLimit,
    NotMine,
    Password,
    Reason,
    Rejected,
    Verdict,
)
from auth_backends.ldap.authority import LdapAuthority
from auth_backends.ldap.connection import sendable
from auth_backends.ldap.lockout import UNREADABLE, limit_of
from config.ldap import LdapProvider
from storage.database.records import Identity, Method, User
from storage.database.store import StoreError

Providers = Callable[[str], LdapProvider | None]
Links = Callable[[str, str], Identity | None]


class LdapBackend:
    """Sends a password to its user's own directory, and nowhere else. Thread-safe; ``monotonic`` is a clock.

    ``providers`` gives a directory's present settings by name, and ``identity`` the link of a user id to the entry
    there; both may raise StoreError, which ``verify`` passes on.
    """

    def __init__(
        self, providers: Providers, identity: Links, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._providers = providers
        self._identity = identity
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._authorities: dict[str, LdapAuthority] = {}

    @property
    def accepts(self) -> frozenset[type]:
        """Passwords only."""
        return frozenset({Password})

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Let the user's directory judge the password; Unavailable if it does not in the provider's time."""
        credential, user = attempt.credential, account.user
        authority = self._authority(user) if isinstance(credential, Password) else None
        if authority is None or not isinstance(credential, Password):
            return NotMine()
        if user.break_glass:
            return Rejected(Reason.BREAK_GLASS_NOT_HERE)
        if not sendable(user.name, credential.secret):
            return Rejected(Reason.UNUSABLE_PASSWORD)
        link = self._identity(user.id, user.provider or "")
        if link is None or not link.external_id:
            return Rejected(Reason.NOT_LINKED)
        return authority.judge(link, credential.secret)

    def knows(self, account: Account) -> bool:
        """Whether the account's directory is configured. Raises StoreError."""
        return self._authority(account.user) is not None

    def limit(self, account: Account) -> AttemptLimit | None:
        """Give the limit that keeps this account unlocked in its directory; never raises."""
        try:
            authority = self._authority(account.user)
            link = self._identity(account.user.id, account.user.provider or "")
        except StoreError:
            return limit_of(UNREADABLE)
        return limit_of(UNREADABLE) if authority is None else authority.limit(link)

    def spend(self, attempt: Attempt) -> None:
        """Send nothing: a password of nobody must reach no directory. The broker evens out the time."""

    def close(self) -> None:
        """Close the connections to all directories."""
        with self._lock:
            authorities = list(self._authorities.values())
            self._authorities.clear()
        for authority in authorities:
            authority.close()

    def _authority(self, user: User) -> LdapAuthority | None:
        """Give the user's directory as it is configured now. Raises StoreError."""
        name = user.provider
        if user.method is not Method.LDAP or not name:
            return None
        provider = self._providers(name)
        with self._lock:
            present = self._authorities.get(name)
            if present is not None and (present.provider is provider or present.provider == provider):
                return present
            self._authorities.pop(name, None)
            made = None
            if provider is not None:
                made = self._authorities[name] = LdapAuthority(name, provider, monotonic=self._monotonic)
        if present is not None:
            present.close()
        return made
