"""Keys that people give themselves at the portal, within the site's rules."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from auth_backends.api import Clock, Secret
from auth_backends.api_keys import issue
from auth_backends.ssh_keys import KeyRefused, parse_public_key
from config.settings import Settings
from storage.database.change_types import AddApiKey, AddSshKey, RevokeApiKey, RevokeSshKey
from storage.database.records import ApiKey, SshKey, User
from storage.database.store import Conflict, InvalidChange, NotFoundInStore, Store

DAY_S = 86_400.0
MAX_TITLE = 100
MAX_KEYS = 50
"""Keys of each kind that a person has at a time; an admin can add more."""


class OwnKeyRefused(Exception):
    """The key was not added or revoked; ``message`` is for the person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """An API key, to be shown once. ``expires_at`` is Unix seconds."""

    id: str
    token: Secret
    expires_at: float


class OwnKeys:
    """Blocking and thread-safe. A key belongs to its maker; a person ends their own keys and nobody else's."""

    def __init__(self, store: Store, settings: Settings, *, clock: Clock = time.time) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    def add_ssh_key(self, user: User, line: str, title: str) -> str:
        """Let the person in with this public key (OpenSSH form), and give its fingerprint. Raises OwnKeyRefused."""
        self._allowed(user)
        try:
            key = parse_public_key(line.strip(), min_rsa_bits=self._settings.auth.min_rsa_bits)
        except KeyRefused as refusal:
            raise OwnKeyRefused(refusal.message) from None
        others = [one for one in self._store.credentials.ssh_keys_with_blob(key.blob) if one.user_id != user.id]
        if any(one.revoked_at is None for one in others):
            raise OwnKeyRefused("This key is in use already. Make one that is yours alone.")
        self._room_for_one(self._store.credentials.ssh_keys_of(user.id))
        name = title.strip()[:MAX_TITLE] or key.comment[:MAX_TITLE]
        self._apply(user, AddSshKey(user.id, key.algorithm, key.blob, key.fingerprint, name))
        return key.fingerprint

    def add_api_key(self, user: User, title: str, days: int, *, read_only: bool) -> NewApiKey:
        """Make an API key that ends after so many days. Raises OwnKeyRefused."""
        self._allowed(user)
        most = self._settings.portal.own_api_key_days
        if not 1 <= days <= most:
            raise OwnKeyRefused(f"An API key ends after 1 to {most} days here.")
        self._room_for_one(self._store.credentials.api_keys_of(user.id))
        issued, ends = issue(), self._clock() + days * DAY_S
        name = title.strip()[:MAX_TITLE]
        self._apply(user, AddApiKey(user.id, issued.id, issued.digest, name, read_only=read_only, expires_at=ends))
        return NewApiKey(issued.id, issued.token, ends)

    def revoke_ssh_key(self, user: User, key_id: str) -> None:
        """End a key for good. Raises OwnKeyRefused."""
        key = self._store.credentials.ssh_key(key_id)
        if key is None or key.user_id != user.id:
            raise OwnKeyRefused("There is no such key.")
        self._allowed(user)
        self._apply(user, RevokeSshKey(key_id))

    def revoke_api_key(self, user: User, key_id: str) -> None:
        """End an API key for good. Raises OwnKeyRefused."""
        key = self._store.credentials.api_key(key_id)
        if key is None or key.user_id != user.id:
            raise OwnKeyRefused("There is no such key.")
        self._allowed(user)
        self._apply(user, RevokeApiKey(key_id))

    def _allowed(self, user: User) -> None:
        if not self._settings.portal.own_keys:
            raise OwnKeyRefused("Keys are managed by your administrator here.")
        if user.break_glass:
            raise OwnKeyRefused("An emergency account has no keys: it signs in here alone.")

    def _room_for_one(self, keys: Sequence[SshKey | ApiKey]) -> None:
        now = self._clock()
        live = [key for key in keys if key.revoked_at is None and (key.expires_at is None or now < key.expires_at)]
        if len(live) >= MAX_KEYS:
            raise OwnKeyRefused(f"You have {MAX_KEYS} keys of this kind; revoke one that you do not need.")

    def _apply(self, user: User, change: AddSshKey | AddApiKey | RevokeSshKey | RevokeApiKey) -> None:
        try:
            self._store.apply(change, actor=user.name)
        except (Conflict, InvalidChange, NotFoundInStore) as error:
            raise OwnKeyRefused(error.message) from None
