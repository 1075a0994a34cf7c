"""Whom an attempt speaks of: from the credential's public part to the rows of the store."""

from __future__ import annotations

from typing import assert_never

from auth_backends.api import (
    Account,
    ApiKeyToken,
    Credential,
    Password,
    PublicKey,
    Reason,
    SsoAssertion,
)
from auth_backends.api_keys import MalformedApiKey, parse
from auth_backends.credentials import API_USER
from storage.database.names import canonical_login
from storage.database.store import Store

NOBODY = "0" * 32
"""An id that no user has; keys of unknown users are looked up under it, so that they cost the same."""


class Accounts:
    """Looks accounts up. Blocking and thread-safe; every method raises StoreError when it cannot tell."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, credential: Credential, name: str | None) -> Account | Reason:
        """Give the account with the row of the key that was shown, or say why there is none.

        ``name`` is the canonical login name, or None where the credential itself names the user.
        """
        match credential:
            case Password():
                user = self._store.users.by_login(name or "")
                return Reason.UNKNOWN_USER if user is None else Account(user)
            case PublicKey():
                return self.of_key(name or "", credential.blob)
            case ApiKeyToken():
                return self._of_api_key(credential, name)
            case SsoAssertion():
                user = self._store.users.by_identity(credential.provider, credential.subject)
                return Reason.NOT_LINKED if user is None else Account(user)
            case _:
                assert_never(credential)

    def of_key(self, name: str, blob: bytes) -> Account | Reason:
        """Give the account of this name with its key of this blob; the same two look-ups for unknown users."""
        user = self._store.users.by_login(name)
        key = self._store.credentials.ssh_key_by_blob(NOBODY if user is None else user.id, blob)
        return Reason.UNKNOWN_USER if user is None else Account(user, key)

    def _of_api_key(self, credential: ApiKeyToken, name: str | None) -> Account | Reason:
        try:
            parsed = parse(credential.token)
        except MalformedApiKey:
            return Reason.MALFORMED_API_KEY
        key = self._store.credentials.api_key(parsed.id)
        if key is None:
            return Reason.UNKNOWN_API_KEY
        user = self._store.users.by_id(key.user_id)
        if user is None:
            return Reason.UNKNOWN_USER
        if name is not None and user.name != name:
            named = self._store.users.by_login(name)
            if named is None or named.id != user.id:
                return Reason.API_KEY_OF_ANOTHER_USER
        return Account(user, key)


def login_name(credential: Credential) -> str | None:
    r"""Give the canonical login name that was sent, or None if the credential names its user itself.

    Case and Unicode forms are folded, and what other systems would strip (blanks or dots at the
    end) raises InvalidName. ``DOMAIN\user`` is somebody's only where a directory gave that alias.
    """
    match credential:
        case Password() | PublicKey():
            return canonical_login(credential.username)
        case ApiKeyToken():
            if credential.username is None or credential.username.casefold() == API_USER:
                return None
            return canonical_login(credential.username)
        case SsoAssertion():
            return None
        case _:
            assert_never(credential)


def typed_name(credential: Credential) -> str:
    """Give what the client sent as a name, for the audit event."""
    match credential:
        case Password() | PublicKey():
            return credential.username
        case ApiKeyToken():
            return credential.username or API_USER
        case SsoAssertion():
            return credential.subject
        case _:
            assert_never(credential)
