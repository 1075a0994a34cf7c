"""The demo's users: one of each kind that the decision table treats differently."""

from __future__ import annotations

import secrets
from pathlib import Path

from auth_backends.api import Secret
from auth_backends.api_keys import issue
from auth_backends.passwords import PasswordHasher
from auth_backends.ssh_keys import generate_key_pair
from config.settings import Settings
from server.runtime.keys import write_atomically
from server.runtime.preparation import ADMIN, LOCAL, SSO, DemoUser
from storage.database.changes import AddApiKey, AddSshKey, CreateUser
from storage.database.records import Method, Role
from storage.database.store import Store

ACTOR = "demo"
ROLES = {
    LOCAL: "local user, signs in with a password",
    SSO: "SSO user (method oidc), signs in with an SSH key or an API key, never with a password",
    ADMIN: "local user with the role admin, signs in with a password",
}
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that are easily confused


def demo_users(store: Store, settings: Settings) -> tuple[DemoUser, ...]:
    """Make the demo's users in an empty store, or name those that are there; secrets are given once."""
    if store.users.count():
        return tuple(_known(store, settings))
    hasher = PasswordHasher(concurrency=2)
    password, admin_password = _password(), _password()
    _create(store, hasher, LOCAL, password, Role.USER)
    _create(store, hasher, ADMIN, admin_password, Role.ADMIN)
    created = CreateUser(name=SSO, method=Method.OIDC, provider="demo", display_name="Grace (demo)")
    sso_id = store.apply(created, actor=ACTOR).subject_id
    return (
        DemoUser(LOCAL, ROLES[LOCAL], password=password),
        DemoUser(SSO, ROLES[SSO], api_key=_api_key(store, sso_id), private_key=str(_ssh_key(store, settings, sso_id))),
        DemoUser(ADMIN, ROLES[ADMIN], password=admin_password),
    )


def private_key_file(settings: Settings) -> Path:
    """Name the SSO user's private key file."""
    return settings.data / "demo" / f"{SSO}_ed25519"


def _known(store: Store, settings: Settings) -> list[DemoUser]:
    file = private_key_file(settings)
    key = str(file) if file.exists() else None
    present = [name for name in (LOCAL, SSO, ADMIN) if store.users.by_name(name) is not None]
    return [DemoUser(name, ROLES[name], private_key=key if name == SSO else None) for name in present]


def _create(store: Store, hasher: PasswordHasher, name: str, password: str, role: Role) -> None:
    change = CreateUser(
        name=name,
        method=Method.LOCAL,
        display_name=f"{name.capitalize()} (demo)",
        role=role,
        password_hash=hasher.hash(Secret(password)),
    )
    store.apply(change, actor=ACTOR)


def _ssh_key(store: Store, settings: Settings, user_id: str) -> Path:
    pair = generate_key_pair(f"{SSO}@demo")
    file = private_key_file(settings)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomically(file, pair.private.reveal().encode())
    public = pair.public
    store.apply(
        AddSshKey(
            user_id=user_id,
            algorithm=public.algorithm,
            blob=public.blob,
            fingerprint=public.fingerprint,
            title="demo key",
        ),
        actor=ACTOR,
    )
    return file


def _api_key(store: Store, user_id: str) -> str:
    issued = issue()
    store.apply(AddApiKey(user_id=user_id, id=issued.id, digest=issued.digest, title="demo key"), actor=ACTOR)
    return issued.token.reveal()


def _password() -> str:
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(3))
