"""Sessions that cannot be judged: they end, and hold up nobody else's revocation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.watcher import Watcher
from storage.database.changes import CreateUser, SetStatus, UpdateUser, UserFields
from storage.database.records import Method, Revocation, Status, User
from storage.database.store import Store
from storage.files.errors import StorageUnavailable
from storage.files.mounts import MountTable
from tests.support.live_sessions import Registry, registry, watched
from tests.support.waiting import eventually


@pytest.fixture
def live(sqlite_store: Store) -> Iterator[Registry]:
    for name in ("ada", "bob"):
        sqlite_store.apply(CreateUser(name, Method.LOCAL), actor="test")
    with registry(sqlite_store) as made:
        yield made


def user_id(store: Store, name: str) -> str:
    user = store.users.by_name(name)
    assert user is not None
    return user.id


def lose_the_home_of(live: Registry, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the tree of this user cannot be built."""
    build = live.mounts_for

    def mounts_for(user: User) -> MountTable:
        if user.name == name:
            raise StorageUnavailable("the home cannot be used")
        return build(user)

    monkeypatch.setattr(live, "mounts_for", mounts_for)


def test_a_home_that_is_gone_does_not_hold_up_the_revocation_of_others(
    live: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of a user whose tree cannot be built cuts that user; who is disabled after it is cut as well."""
    ada, bob = (live.sign_in(name, session_id=digit * 32) for name, digit in (("ada", "1"), ("bob", "2")))
    lose_the_home_of(live, "ada", monkeypatch)
    with watched(live):
        live.store.apply(UpdateUser(ada.session.principal.user.id, UserFields(quota_bytes=5)), actor="test")
        live.store.apply(SetStatus(bob.session.principal.user.id, Status.DISABLED), actor="test")
        took = eventually(lambda: bob.cuts and ada.cuts, what="the cuts")

    assert took < 1.0
    assert (ada.cuts, bob.cuts) == (["storage_unavailable"], ["not_active"])


def test_a_session_whose_credential_cannot_be_judged_ends(live: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """If asking whether a session may go on fails for a reason of its own, it may not."""
    ada = live.sign_in("ada", session_id="1" * 32)

    def fail(*_: object) -> None:
        message = "a row that nobody can read"
        raise ValueError(message)

    monkeypatch.setattr(live.sessions, "_still_valid", fail)
    live.store.apply(UpdateUser(ada.session.principal.user.id, UserFields(quota_bytes=5)), actor="test")
    live.sessions.compare_epochs()

    assert ada.cuts == ["internal_error"]


def test_a_session_that_changed_before_its_registration_and_has_no_tree_is_over(
    live: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening gives a session that has ended, and the registry keeps none."""
    granted = live.granted("ada")
    build = live.mounts_for
    live.store.apply(UpdateUser(granted.principal.user.id, UserFields(quota_bytes=5)), actor="test")
    calls: list[User] = []

    def mounts_for(user: User) -> MountTable:
        calls.append(user)
        if len(calls) > 1:
            raise StorageUnavailable("the home cannot be used")
        return build(user)

    monkeypatch.setattr(live, "mounts_for", mounts_for)
    client = live.open(granted, session_id="1" * 32)

    assert client.session.ended == "storage_unavailable"
    assert live.sessions.live() == []


def test_sessions_do_not_outlive_rounds_that_always_fail(live: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps the watcher from reading revocations: after the blind time all sessions are cut."""
    client = live.sign_in("ada", session_id="1" * 32)

    def unreadable(_sequence: int) -> list[Revocation]:
        message = "a row that nobody can read"
        raise ValueError(message)

    monkeypatch.setattr(live.store.revocations, "since", unreadable)
    watcher = Watcher(live.store, live.sessions, wait_s=0.01, blind_s=0.05)
    watcher.start()
    eventually(lambda: client.cuts, what="the cut")
    watcher.stop()

    assert client.cuts == ["revocations_unreadable"]
