"""The keys by which a provider signs, cached by key id (OpenID Connect Core 1.0 section 10.1.1)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.documents import json_object, printable
from auth_backends.oidc.key_sets import PublishedKey, SigningKey, usable_keys
from auth_backends.outgoing import Fetcher, FetchFailed
from auth_backends.sso import SsoReason, SsoRefused

REFRESH_S = 3600.0
KEEP_S = 24 * 3600.0
GAP_S = 300.0
RETRY_S = 10.0
MAX_DOCUMENT = 512 * 1024


class KeySource(Protocol):
    """Where a verifier gets the key from that a token names."""

    def key(self, key_id: str | None, algorithm: str) -> SigningKey:
        """Give the key of this id for this algorithm. Raises SsoRefused."""


class _Asker(Enum):
    """Who brought a token: the provider's own server, or whoever found our address."""

    PROVIDER = auto()
    STRANGER = auto()


@dataclass(frozen=True, slots=True)
class _ForStrangers:
    look_up: Callable[[str | None, str, _Asker], SigningKey]

    def key(self, key_id: str | None, algorithm: str) -> SigningKey:
        """Give the key; see :class:`KeySource`."""
        return self.look_up(key_id, algorithm, _Asker.STRANGER)


class SigningKeys:
    """Thread-safe. ``clock`` gives Unix seconds.

    Fetched again after an hour; while that fails, the last copy serves until it is 24 hours old. A key id that is not
    in it (the provider has rolled over, or somebody makes ids up) causes one fetch, and no other within five minutes.
    Nobody waits for a fetch while the copy at hand has the key.
    """

    def __init__(self, address: str, client: OidcClient, fetcher: Fetcher, clock: Callable[[], float]) -> None:
        self._address = address
        self._client = client
        self._fetcher = fetcher
        self._clock = clock
        self._fetching = threading.Lock()
        self._keys: tuple[PublishedKey, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")
        self._searched_at = dict.fromkeys(_Asker, float("-inf"))
        self._failure = (SsoReason.PROVIDER_UNREACHABLE, "keys: not fetched yet")

    @property
    def address(self) -> str:
        """Where they are published."""
        return self._address

    def key(self, key_id: str | None, algorithm: str) -> SigningKey:
        """Give the key of this id for this algorithm. Raises SsoRefused: unknown key, or none can be fetched.

        A token without an id is served only where the provider has one fitting key.
        """
        return self._key(key_id, algorithm, _Asker.PROVIDER)

    @property
    def for_strangers(self) -> KeySource:
        """The same keys, for tokens that anybody may send: made-up ids use up no search that a sign-in may need."""
        return _ForStrangers(self._key)

    def _key(self, key_id: str | None, algorithm: str, asker: _Asker) -> SigningKey:
        fetched = self._renew_if_due()
        found = self._find(key_id, algorithm)
        if found is None and not fetched:
            self._search(asker)
            found = self._find(key_id, algorithm)
        if found is None:
            shown = printable(key_id, 100) or "none"
            raise SsoRefused(SsoReason.UNKNOWN_SIGNING_KEY, f"the provider has no {algorithm} key with the id {shown}")
        return found

    def refresh(self) -> None:
        """Fetch them now. Raises SsoRefused; the last good copy stays."""
        with self._fetching:
            self._fetch()

    def _renew_if_due(self) -> bool:
        age = self._clock() - self._fetched_at
        if 0 <= age < REFRESH_S:
            return False
        if not self._fetching.acquire(blocking=age >= KEEP_S):
            return False  # another thread is at it, and the copy is good enough
        try:
            return self._renew()
        finally:
            self._fetching.release()

    def _renew(self) -> bool:
        now = self._clock()
        age, tried = now - self._fetched_at, now - self._tried_at  # less than 0 where the clock was set back: due
        usable = age < KEEP_S
        if 0 <= age < REFRESH_S or (usable and 0 <= tried < GAP_S):
            return False
        if not usable and 0 <= tried < RETRY_S:
            raise SsoRefused(*self._failure)
        try:
            self._fetch()
        except SsoRefused:
            if not usable:
                raise
            return False
        return True

    def _search(self, asker: _Asker) -> None:
        with self._fetching:
            now = self._clock()
            if self._fetched_at < self._tried_at and 0 <= now - self._tried_at < RETRY_S:
                raise SsoRefused(*self._failure)  # it was just found to be away
            if not 0 <= now - self._searched_at[asker] < GAP_S:
                self._searched_at[asker] = now
                self._fetch()

    def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            fetched = self._fetcher.get(self._address, max_bytes=MAX_DOCUMENT)
            self._keys = usable_keys(json_object(fetched.body, "the provider's key set"), self._client)
        except FetchFailed as failed:
            self._failure = (SsoReason.PROVIDER_UNREACHABLE, f"keys: {failed.reason}")
            raise SsoRefused(*self._failure) from None
        except SsoRefused as refused:
            self._failure = (refused.reason, refused.detail)
            raise
        self._fetched_at = self._clock()

    def _find(self, key_id: str | None, algorithm: str) -> SigningKey | None:
        fitting = [one.key for one in self._keys if one.fits(algorithm) and key_id in {None, one.id}]
        return fitting[0] if len(fitting) == 1 or (fitting and key_id is not None) else None
