"""Reading passwords, SSH keys and API keys; issuing and revoking them goes through ``changes``."""

from __future__ import annotations

import base64
import hashlib
import threading

from sqlalchemy import Table, bindparam, or_, select, update

from storage.database.engine import Database
from storage.database.names import storable
from storage.database.records import ApiKey, SshKey, StoredPassword
from storage.database.rows import api_key_of, ssh_key_of
from storage.database.tables import api_keys, passwords, ssh_keys

TOUCH_INTERVAL_S = 60.0
_TOUCHES_KEPT = 10_000

_PASSWORD = select(passwords).where(passwords.c.user_id == bindparam("user_id"))
_HASH = select(passwords.c.hash).where(passwords.c.user_id == bindparam("user_id"))
_LIVE_FIRST = (ssh_keys.c.revoked_at.is_not(None), ssh_keys.c.created_at.desc())
_KEYS_BY_FINGERPRINT = select(ssh_keys).where(ssh_keys.c.fingerprint == bindparam("fingerprint")).order_by(*_LIVE_FIRST)
_KEY_OF_USER = _KEYS_BY_FINGERPRINT.where(ssh_keys.c.user_id == bindparam("user_id"))
_API_KEY = select(api_keys).where(api_keys.c.id == bindparam("id"))


class Credentials:
    """What users prove themselves with, as stored: hashes, public keys and digests; no secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched: dict[str, float] = {}
        self._touching = threading.Lock()

    def password_hash(self, user_id: str) -> str | None:
        """Give the password hash of this user, or None when no password is set."""
        with self._database.read() as connection:
            return connection.execute(_HASH, {"user_id": user_id}).scalar_one_or_none()

    def password(self, user_id: str) -> StoredPassword | None:
        """Give the password hash of this user and when the password was set, or None when there is none."""
        with self._database.read() as connection:
            row = connection.execute(_PASSWORD, {"user_id": user_id}).one_or_none()
        return None if row is None else StoredPassword(row.hash, row.changed_at)

    def replace_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Store a stronger hash of the same password, unless the hash is no longer ``old``.

        The epoch stays: rights and credential are the same. Whether it was stored is returned.
        """
        same = update(passwords).where(passwords.c.user_id == user_id, passwords.c.hash == old)
        with self._database.write() as connection:
            return connection.execute(same.values(hash=new)).rowcount == 1

    def ssh_keys_of(self, user_id: str) -> list[SshKey]:
        """Give all SSH keys of this user, the oldest first, expired and revoked ones too."""
        query = select(ssh_keys).where(ssh_keys.c.user_id == user_id).order_by(ssh_keys.c.created_at, ssh_keys.c.id)
        with self._database.read() as connection:
            return [ssh_key_of(row) for row in connection.execute(query)]

    def ssh_key_by_blob(self, user_id: str, blob: bytes) -> SshKey | None:
        """Give this user's key of this wire form: the live one, else the one revoked last made, else None."""
        values = {"user_id": user_id, "fingerprint": fingerprint_of(blob)}
        with self._database.read() as connection:
            row = connection.execute(_KEY_OF_USER, values).first()
        return None if row is None else ssh_key_of(row)

    def ssh_key(self, id: str) -> SshKey | None:  # noqa: A002 - the column's name
        """Give the SSH key of this id, or None."""
        if not storable(id):
            return None
        with self._database.read() as connection:
            row = connection.execute(select(ssh_keys).where(ssh_keys.c.id == id)).one_or_none()
        return None if row is None else ssh_key_of(row)

    def ssh_keys_with_blob(self, blob: bytes) -> list[SshKey]:
        """Give every user's keys of this wire form, live ones first."""
        with self._database.read() as connection:
            rows = connection.execute(_KEYS_BY_FINGERPRINT, {"fingerprint": fingerprint_of(blob)})
            return [ssh_key_of(row) for row in rows]

    def api_key(self, id: str) -> ApiKey | None:  # noqa: A002 - the column's name
        """Give the API key of this public id, or None."""
        if not storable(id):
            return None
        with self._database.read() as connection:
            row = connection.execute(_API_KEY, {"id": id}).one_or_none()
        return None if row is None else api_key_of(row)

    def api_keys_of(self, user_id: str) -> list[ApiKey]:
        """Give all API keys of this user, the oldest first, expired and revoked ones too."""
        query = select(api_keys).where(api_keys.c.user_id == user_id).order_by(api_keys.c.created_at, api_keys.c.id)
        with self._database.read() as connection:
            return [api_key_of(row) for row in connection.execute(query)]

    def touch_ssh_key(self, id: str, at: float) -> None:  # noqa: A002 - the column's name
        """Note that the key was used; written at most once a minute per key."""
        self._touch(ssh_keys, id, at)

    def touch_api_key(self, id: str, at: float) -> None:  # noqa: A002 - the column's name
        """Note that the key was used; written at most once a minute per key."""
        self._touch(api_keys, id, at)

    def _touch(self, table: Table, key_id: str, at: float) -> None:
        known = f"{table.name}:{key_id}"
        with self._touching:  # this process remembers, so that a busy key costs no write transaction
            if at - self._touched.get(known, float("-inf")) < TOUCH_INTERVAL_S:
                return
            if len(self._touched) >= _TOUCHES_KEPT:
                self._touched.clear()
            self._touched[known] = at
        stale = or_(table.c.last_used_at.is_(None), table.c.last_used_at <= at - TOUCH_INTERVAL_S)
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.id == key_id, stale).values(last_used_at=at))


def fingerprint_of(blob: bytes) -> str:
    """Give the fingerprint of an SSH key in wire form as OpenSSH shows it (``SHA256:…``)."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
