"""Short ways to fill a user store in tests."""

from __future__ import annotations

import hashlib

from storage.database.changes import AddApiKey, AddSshKey, CreateFolder, CreateGroup, CreateUser
from storage.database.credentials import fingerprint_of
from storage.database.records import ApiKey, Folder, Group, Method, Role, SessionRow, SshKey, User
from storage.database.store import Store

ACTOR = "test"


def make_user(store: Store, name: str = "ann", method: Method = Method.LOCAL, **fields: object) -> User:
    """Make a user and give the record."""
    applied = store.apply(CreateUser(name, method, **fields), actor=ACTOR)  # type: ignore[arg-type]  # fields by name
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


def make_folder(store: Store, name: str = "plans", **fields: object) -> Folder:
    """Make a shared folder and give the record."""
    applied = store.apply(CreateFolder(name, **fields), actor=ACTOR)  # type: ignore[arg-type]  # fields by name
    folder = store.folders.by_id(applied.subject_id)
    assert folder is not None
    return folder


def ssh_key_change(user_id: str, blob: bytes = b"key one", **fields: object) -> AddSshKey:
    """Give a change that adds a key of this wire form (the store does not read it)."""
    return AddSshKey(user_id, "ssh-ed25519", blob, fingerprint_of(blob), **fields)  # type: ignore[arg-type]  # by name


def make_ssh_key(store: Store, user: User, blob: bytes = b"key one", **fields: object) -> SshKey:
    """Add a key and give the record."""
    key = store.credentials.ssh_key(store.apply(ssh_key_change(user.id, blob, **fields), actor=ACTOR).subject_id)
    assert key is not None
    return key


def make_api_key(store: Store, user: User, id: str = "k1", **fields: object) -> ApiKey:  # noqa: A002 - the column's name
    """Add an API key and give the record."""
    digest = hashlib.sha256(id.encode()).digest()
    store.apply(AddApiKey(user.id, id, digest, **fields), actor=ACTOR)  # type: ignore[arg-type]  # fields by name
    key = store.credentials.api_key(id)
    assert key is not None
    return key


def session_row(id: str = "s1", *, worker: str = "w1", **fields: object) -> SessionRow:  # noqa: A002 - as above
    """Give an open session's row."""
    values: dict[str, object] = {
        "id": id,
        "user_id": "u1",
        "user_name": "ann",
        "front_end": "sftp",
        "peer": "10.0.0.1",
        "factor": "key",
        "credential_id": None,
        "epoch": 1,
        "worker": worker,
        "opened_at": 100.0,
        "seen_at": 100.0,
    }
    return SessionRow(**{**values, **fields})  # type: ignore[arg-type]  # fields by name
