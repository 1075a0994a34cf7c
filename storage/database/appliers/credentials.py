"""Changes of SSH keys and API keys."""

from __future__ import annotations

from typing import assert_never

from sqlalchemy import Connection, insert, select, update

from storage.database.appliers import checks
from storage.database.appliers.effect import Effect, new_id, user_named
from storage.database.change_types import AddApiKey, AddSshKey, CredentialChange, RevokeApiKey, RevokeSshKey
from storage.database.credentials import fingerprint_of
from storage.database.errors import Conflict, InvalidChange, NotFoundInStore
from storage.database.tables import api_keys, ssh_keys

_SHA256_BYTES = 32


def apply_credential_change(tx: Connection, change: CredentialChange, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case AddSshKey():
            return _add_ssh_key(tx, change, now)
        case RevokeSshKey():
            return _revoke_ssh_key(tx, change, now)
        case AddApiKey():
            return _add_api_key(tx, change, now)
        case RevokeApiKey():
            return _revoke_api_key(tx, change, now)
    assert_never(change)


def _add_ssh_key(tx: Connection, change: AddSshKey, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    if change.fingerprint != fingerprint_of(change.blob):
        raise InvalidChange("The fingerprint is not this key's.")
    same = (ssh_keys.c.user_id == user.id, ssh_keys.c.fingerprint == change.fingerprint)
    if tx.execute(select(ssh_keys.c.id).where(*same, ssh_keys.c.revoked_at.is_(None))).first():
        raise Conflict("The user has this key already.")
    key_id = new_id()
    row = {
        "id": key_id,
        "user_id": user.id,
        "algorithm": checks.text(change.algorithm, "A key's algorithm", limit=64, required=True),
        "blob": change.blob,
        "fingerprint": change.fingerprint,
        "title": checks.text(change.title, "A key's title"),
        "expires_at": checks.moment(change.expires_at),
        "networks": checks.networks(change.networks),
        "read_only": change.read_only,
        "created_at": now,
    }
    tx.execute(insert(ssh_keys), row)
    detail: dict[str, object] = {"fingerprint": change.fingerprint, "title": change.title}
    return Effect("ssh_key.added", user.name, key_id, (user.id,), detail=detail)


def _revoke_ssh_key(tx: Connection, change: RevokeSshKey, now: float) -> Effect:
    key = tx.execute(select(ssh_keys).where(ssh_keys.c.id == change.key_id)).one_or_none()
    if key is None:
        raise NotFoundInStore("There is no such SSH key.")
    user = user_named(tx, key.user_id)
    live = key.revoked_at is None
    if live:
        tx.execute(update(ssh_keys).where(ssh_keys.c.id == key.id).values(revoked_at=now))
    detail: dict[str, object] = {"fingerprint": key.fingerprint, "title": key.title}
    return Effect("ssh_key.revoked", user.name, key.id, (user.id,) if live else (), live, detail)


def _add_api_key(tx: Connection, change: AddApiKey, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    if len(change.digest) != _SHA256_BYTES:
        raise InvalidChange("An API key's digest has 32 bytes (SHA-256).")
    if tx.execute(select(api_keys.c.id).where(api_keys.c.id == change.id)).first():
        raise Conflict("An API key of this id exists already.")
    row = {
        "id": checks.text(change.id, "An API key's id", limit=64, required=True),
        "user_id": user.id,
        "digest": change.digest,
        "title": checks.text(change.title, "A key's title"),
        "protocols": checks.protocols(change.protocols),
        "path_prefixes": [checks.path(prefix) for prefix in change.path_prefixes],
        "read_only": change.read_only,
        "networks": checks.networks(change.networks),
        "expires_at": checks.moment(change.expires_at),
        "created_at": now,
    }
    tx.execute(insert(api_keys), row)
    return Effect("api_key.added", user.name, change.id, (user.id,), detail={"title": change.title})


def _revoke_api_key(tx: Connection, change: RevokeApiKey, now: float) -> Effect:
    key = tx.execute(select(api_keys).where(api_keys.c.id == change.key_id)).one_or_none()
    if key is None:
        raise NotFoundInStore("There is no such API key.")
    user = user_named(tx, key.user_id)
    live = key.revoked_at is None
    if live:
        tx.execute(update(api_keys).where(api_keys.c.id == key.id).values(revoked_at=now))
    return Effect("api_key.revoked", user.name, key.id, (user.id,) if live else (), live, {"title": key.title})
