"""Password hashes: argon2id, a bounded number at a time, and the same work when there is nothing to compare."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import argon2
from argon2.exceptions import VerifyMismatchError

from auth_backends.api import Secret
from auth_backends.api_keys import PREFIX, looks_like_api_key

MAX_PASSWORD = 1024  # characters
WAIT_S = 5.0
_NOTHING = "no password is compared here"  # the only text that dummy work ever hashes


class HasherBusy(Exception):
    """Too many hashes are being computed and none ended in time: cannot tell."""


class PasswordRefused(ValueError):
    """The text cannot be a password; ``message`` says why, in words for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class PasswordHasher:
    """Argon2id with m=19 MiB, t=2, p=1 (OWASP Password Storage Cheat Sheet), thread-safe.

    At most ``concurrency`` hashes are computed at a time, because each takes 19 MiB; a caller
    waits at most ``wait_s`` for its turn and then gets HasherBusy.
    """

    def __init__(
        self,
        *,
        concurrency: int = 2,
        wait_s: float = WAIT_S,
        memory_kib: int = 19 * 1024,
        rounds: int = 2,
    ) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1)
        self._turns = threading.BoundedSemaphore(concurrency)
        self._wait_s = wait_s

    def hash(self, secret: Secret) -> str:
        """Give the hash to keep for a new password.

        Raises PasswordRefused if the text can't be a password (see ``usable``) or would be taken for an
        API key when it is typed.
        """
        if not usable(secret):
            raise PasswordRefused(f"a password has 1 to {MAX_PASSWORD} characters and no NUL")
        if looks_like_api_key(secret):
            raise PasswordRefused(f"a password must not begin with {PREFIX} or hold a key: it is taken for an API key")
        return self.rehash(secret)

    def rehash(self, secret: Secret) -> str:
        """Hash a password that is in use with today's parameters; no rule for new passwords is asked."""
        with self._turn():
            return self._argon2.hash(_prepared(secret))

    def verify(self, password_hash: str, secret: Secret) -> bool:
        """Whether the password belongs to the hash. Raises if the hash cannot be read: cannot tell."""
        with self._turn():
            try:
                return self._argon2.verify(password_hash, _prepared(secret))
            except VerifyMismatchError:
                return False

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(password_hash)

    def spend(self) -> None:
        """Do the work of one verification on a fixed text and learn nothing."""
        with self._turn():
            self._argon2.hash(_NOTHING)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._wait_s):
            raise HasherBusy(f"no turn within {self._wait_s} s")
        try:
            yield
        finally:
            self._turns.release()


def usable(secret: Secret) -> bool:
    """Whether a text can be a password at all: 1 to 1024 characters, no NUL, encodable as UTF-8.

    The empty one matters most: some directories answer an empty password with success (RFC 4513
    section 5.1.2, unauthenticated bind).
    """
    text = secret.reveal()
    if not 1 <= len(text) <= MAX_PASSWORD or "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _prepared(secret: Secret) -> str:
    """Bring composed and decomposed letters to one form, as RFC 8265 section 4.2 does: keyboards differ."""
    return unicodedata.normalize("NFC", secret.reveal())
