"""Keys that people give themselves: within the site's rules, and not without end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auth_backends.ssh_keys import generate_key_pair
from config.settings import Settings
from server import own_keys
from server.own_keys import DAY_S, OwnKeyRefused, OwnKeys
from storage.database.records import User
from storage.database.store import Store
from tests.support.store_rows import make_user

NOW = 1_900_000_000.0


class Clock:
    """Unix seconds that a test turns."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def ssh_key(keys: OwnKeys, user: User) -> None:
    """Add a new key."""
    keys.add_ssh_key(user, generate_key_pair("x").public.line, "x")


def api_key(keys: OwnKeys, user: User) -> None:
    """Add a key that ends after a day."""
    keys.add_api_key(user, "x", 1, read_only=True)


@pytest.fixture
def keys(sqlite_store: Store, tmp_path: Path) -> OwnKeys:
    """The rules of a site as it is delivered."""
    return OwnKeys(sqlite_store, Settings(data=tmp_path), clock=Clock())


@pytest.mark.parametrize("add", [ssh_key, api_key])
def test_a_person_has_so_many_keys_at_a_time(
    sqlite_store: Store, keys: OwnKeys, add: Callable[[OwnKeys, User], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each kind; one that was revoked makes room, and nobody else's count."""
    monkeypatch.setattr(own_keys, "MAX_KEYS", 2)
    ann, bob = make_user(sqlite_store, "ann"), make_user(sqlite_store, "bob")
    for user in (ann, ann, bob):
        add(keys, user)
    with pytest.raises(OwnKeyRefused, match="revoke one"):
        add(keys, ann)
    if add is ssh_key:
        keys.revoke_ssh_key(ann, sqlite_store.credentials.ssh_keys_of(ann.id)[0].id)
    else:
        keys.revoke_api_key(ann, sqlite_store.credentials.api_keys_of(ann.id)[0].id)
    add(keys, ann)

    with pytest.raises(OwnKeyRefused, match="revoke one"):
        add(keys, ann)


def test_a_key_that_has_ended_makes_room(sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody revoking it."""
    monkeypatch.setattr(own_keys, "MAX_KEYS", 1)
    clock = Clock()
    keys, ann = OwnKeys(sqlite_store, Settings(data=tmp_path), clock=clock), make_user(sqlite_store, "ann")
    api_key(keys, ann)
    with pytest.raises(OwnKeyRefused):
        api_key(keys, ann)
    clock.now += DAY_S

    api_key(keys, ann)
    assert len(sqlite_store.credentials.api_keys_of(ann.id)) == 2
