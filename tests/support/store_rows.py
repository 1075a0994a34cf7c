"""Short ways to fill a user store in tests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict, Unpack

from storage.database.changes import AddApiKey, AddSshKey, CreateFolder, CreateGroup, CreateUser
from storage.database.credentials import fingerprint_of
from storage.database.records import ApiKey, Folder, Group, Method, Owner, Role, SessionRow, SshKey, User
from storage.database.store import Store

ACTOR = "test"


class NewUser(TypedDict, total=False):
    """What a user may be made with, beside name and method."""

    display_name: str
    email: str
    provider: str | None
    role: Role
    break_glass: bool
    managed_by: Owner
    home: str | None
    quota_bytes: int | None
    protocols: frozenset[str]
    networks: tuple[str, ...]
    expires_at: float | None
    password_hash: str | None
    external_id: str | None
    hint: str


class NewFolder(TypedDict, total=False):
    """What a shared folder may be made with, beside its name."""

    backend: str
    options: Mapping[str, str]
    quota_bytes: int | None


class NewKey(TypedDict, total=False):
    """What every key may be made with."""

    title: str
    expires_at: float | None
    networks: tuple[str, ...]
    read_only: bool


class NewApiKey(NewKey, total=False):
    """What an API key may be made with."""

    protocols: frozenset[str]
    path_prefixes: tuple[str, ...]


class SessionFields(TypedDict, total=False):
    """What a session's row may hold instead."""

    user_id: str
    user_name: str
    front_end: str
    peer: str
    factor: str
    credential_id: str | None
    epoch: int
    opened_at: float
    seen_at: float
    ended_at: float | None
    end_reason: str | None


def make_user(store: Store, name: str = "ann", method: Method = Method.LOCAL, **fields: Unpack[NewUser]) -> User:
    """Make a user and give the record."""
    applied = store.apply(CreateUser(name, method, **fields), actor=ACTOR)
    return user_again(store, applied.subject_id)


def make_admin(store: Store, name: str) -> User:
    """Make an active break-glass admin."""
    return make_user(store, name, role=Role.ADMIN, break_glass=True)


def user_again(store: Store, user: User | str) -> User:
    """Read the user's row anew."""
    found = store.users.by_id(user if isinstance(user, str) else user.id)
    assert found is not None
    return found


def make_group(store: Store, name: str = "crew") -> Group:
    """Make a group and give the record."""
    group = store.groups.by_id(store.apply(CreateGroup(name), actor=ACTOR).subject_id)
    assert group is not None
    return group


def make_folder(store: Store, name: str = "plans", **fields: Unpack[NewFolder]) -> Folder:
    """Make a shared folder and give the record."""
    applied = store.apply(CreateFolder(name, **fields), actor=ACTOR)
    folder = store.folders.by_id(applied.subject_id)
    assert folder is not None
    return folder


def ssh_key_change(user_id: str, blob: bytes = b"key one", **fields: Unpack[NewKey]) -> AddSshKey:
    """Give a change that adds a key of this wire form (the store does not read it)."""
    return AddSshKey(user_id, "ssh-ed25519", blob, fingerprint_of(blob), **fields)


def make_ssh_key(store: Store, user: User, blob: bytes = b"key one", **fields: Unpack[NewKey]) -> SshKey:
    """Add a key and give the record."""
    key = store.credentials.ssh_key(store.apply(ssh_key_change(user.id, blob, **fields), actor=ACTOR).subject_id)
    assert key is not None
    return key


def make_api_key(
    store: Store,
    user: User,
    id: str = "k1",  # noqa: A002 - the column's name
    **fields: Unpack[NewApiKey],
) -> ApiKey:
    """Add an API key and give the record."""
    digest = hashlib.sha256(id.encode()).digest()
    store.apply(AddApiKey(user.id, id, digest, **fields), actor=ACTOR)
    key = store.credentials.api_key(id)
    assert key is not None
    return key


def session_row(
    id: str = "s1",  # noqa: A002 - as above
    *,
    worker: str = "w1",
    **fields: Unpack[SessionFields],
) -> SessionRow:
    """Give an open session's row."""
    plain = SessionRow(
        id=id,
        user_id="u1",
        user_name="ann",
        front_end="sftp",
        peer="10.0.0.1",
        factor="key",
        credential_id=None,
        epoch=1,
        worker=worker,
        opened_at=100.0,
        seen_at=100.0,
    )
    return replace(plain, **fields)
