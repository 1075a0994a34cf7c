"""Sessions: registered, ended once, held against the present rows, cut or narrowed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from storage.database.changes import CreateUser, DeleteUser, SetStatus, UpdateUser, UserFields
from storage.database.records import Method, Status
from storage.database.store import Store, StoreUnavailable
from storage.files.api import WriteMode
from storage.files.errors import NotFound, PermissionDenied, SessionEnded, StorageUnavailable
from storage.files.path import VirtualPath
from storage.files.permissions import READ_ONLY
from tests.support.live_sessions import Registry, registry, row_ended, watched
from tests.support.waiting import eventually

FILE = VirtualPath(("file",))


class Time:
    """A clock that the test moves."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def live(sqlite_store: Store, clock: Time) -> Iterator[Registry]:
    sqlite_store.apply(CreateUser("ada", Method.LOCAL), actor="test")
    sqlite_store.apply(CreateUser("bob", Method.LOCAL), actor="test")
    with registry(sqlite_store, clock=clock) as made:
        yield made


def user_id(store: Store, name: str) -> str:
    user = store.users.by_name(name)
    assert user is not None
    return user.id


def test_a_session_has_a_row_while_it_lives(live: Registry) -> None:
    """Opening writes the row, the front end's end closes it with its reason, and nobody is cut."""
    client = live.sign_in("ada", session_id="1" * 32)
    rows = [(row.id, row.user_name, row.worker) for row in live.store.sessions.live()]
    client.session.end("client_left")
    client.session.end("again")

    assert rows == [("1" * 32, "ada", "worker-1")]
    assert row_ended(live.store, "1" * 32) == "client_left"
    assert client.cuts == []
    assert live.sessions.live() == []


def test_disabling_a_user_cuts_all_sessions_of_the_user_and_no_other(live: Registry) -> None:
    """Both of the user's clients are cut, the uploads in flight are aborted, another user goes on."""
    ada = [live.sign_in("ada", session_id=digit * 32) for digit in "12"]
    bob = live.sign_in("bob", session_id="3" * 32)
    upload = ada[0].session.workspace.open_writer(FILE, WriteMode.REPLACE)
    upload.write_at(0, b"half")
    with watched(live):
        live.store.apply(SetStatus(user_id(live.store, "ada"), Status.DISABLED), actor="test")
        took = eventually(lambda: all(client.cuts for client in ada), what="the cut")

    assert [client.cuts for client in ada] == [["not_active"], ["not_active"]]
    assert took < 1.0
    with pytest.raises(SessionEnded):
        upload.commit()
    with pytest.raises(NotFound):
        live.filesystem.stat(FILE)
    assert bob.cuts == []
    assert bob.session.workspace.ended is None


def test_a_deleted_user_is_cut(live: Registry) -> None:
    """The row is gone: the sessions go too."""
    client = live.sign_in("ada", session_id="1" * 32)
    with watched(live):
        live.store.apply(DeleteUser(user_id(live.store, "ada")), actor="test")
        eventually(lambda: client.cuts, what="the cut")

    assert client.session.ended == "unknown_user"


def test_one_session_can_be_cut_alone(live: Registry) -> None:
    """``session cut`` ends the session it names and leaves the user's others."""
    first, second = (live.sign_in("ada", session_id=digit * 32) for digit in "12")
    with watched(live):
        live.store.revocations.add(session_id="1" * 32, reason="cut_by_admin")
        eventually(lambda: first.cuts, what="the cut")

    assert first.cuts == ["cut_by_admin"]
    assert second.cuts == []


def test_narrowed_rights_reach_a_live_session(live: Registry) -> None:
    """The session goes on with the new rights; an upload that lost its right is aborted."""
    client = live.sign_in("ada", session_id="1" * 32)
    upload = client.session.workspace.open_writer(FILE, WriteMode.REPLACE)
    ada = user_id(live.store, "ada")
    live.rights[ada] = READ_ONLY
    with watched(live):
        live.store.apply(UpdateUser(ada, UserFields(display_name="Ada")), actor="test")
        applied = live.store.apply(UpdateUser(ada, UserFields(quota_bytes=5)), actor="test")
        eventually(lambda: client.session.epoch == _epoch(live.store), what="the new epoch")

    assert applied.users == (ada,)
    with pytest.raises(PermissionDenied):
        client.session.workspace.open_writer(FILE, WriteMode.REPLACE)
    with pytest.raises(PermissionDenied):
        upload.commit()
    assert client.cuts == []
    assert client.session.principal.user.quota_bytes == 5


def test_rights_read_earlier_never_replace_rights_read_later(live: Registry) -> None:
    """Of two refreshes that cross, the older one changes nothing, whichever comes last."""
    client = live.sign_in("ada", session_id="1" * 32)
    session, user = client.session, client.session.principal.user
    wide = live.mounts_for(user)
    live.rights[user.id] = READ_ONLY
    newer, older = (replace(user, epoch=session.epoch + steps) for steps in (2, 1))

    refreshed = (session.refresh(newer, live.mounts_for(user)), session.refresh(older, wide))

    assert refreshed == (True, False)
    assert session.epoch == newer.epoch
    with pytest.raises(PermissionDenied):
        session.workspace.open_writer(FILE, WriteMode.REPLACE)


def _epoch(store: Store) -> int:
    user = store.users.by_name("ada")
    assert user is not None
    return user.epoch


def test_a_change_between_decision_and_registration_is_not_missed(live: Registry) -> None:
    """A user who was disabled after the broker said yes gets a session that is over already."""
    granted = live.granted("ada")
    live.store.apply(SetStatus(granted.principal.user.id, Status.DISABLED), actor="test")
    client = live.open(granted, session_id="1" * 32)

    assert client.session.ended == "not_active"
    assert client.cuts == ["not_active"]
    with pytest.raises(SessionEnded):
        client.session.workspace.stat(FILE)


def test_an_account_that_runs_out_is_cut(live: Registry, clock: Time) -> None:
    """At its expiry the session ends without any revocation."""
    ada = user_id(live.store, "ada")
    live.store.apply(UpdateUser(ada, UserFields(expires_at=1.0)), actor="test")
    granted = live.granted("bob", not_after=clock.now + 10)
    client = live.open(granted, session_id="1" * 32)
    live.store.apply(UpdateUser(granted.principal.user.id, UserFields(expires_at=2.0)), actor="test")
    live.sessions.expire()
    before = list(client.cuts)
    clock.now += 11
    live.sessions.expire()

    assert before == []
    assert client.cuts == ["expired"]


def test_a_prolonged_account_goes_on(live: Registry, clock: Time) -> None:
    """Past the first expiry the present rows decide, not the time of the sign-in."""
    client = live.sign_in("ada", session_id="1" * 32, not_after=clock.now - 1)
    live.sessions.expire()

    assert client.cuts == []
    assert client.session.not_after == clock.now + 5.0


def test_a_lost_wake_up_only_delays(live: Registry) -> None:
    """Without any revocation row, comparing epochs finds the change."""
    client = live.sign_in("ada", session_id="1" * 32)
    live.store.apply(SetStatus(user_id(live.store, "ada"), Status.DISABLED), actor="test")
    live.sessions.compare_epochs()

    assert client.cuts == ["not_active"]


def test_rights_that_cannot_be_put_in_force_end_the_session(live: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the user's tree not to be built anew, nobody goes on with the old rights."""
    client = live.sign_in("ada", session_id="1" * 32)

    def broken(_user: object) -> None:
        raise StorageUnavailable("the disk is gone")

    monkeypatch.setattr(live.sessions, "_mounts_for", broken)
    live.store.apply(UpdateUser(user_id(live.store, "ada"), UserFields(quota_bytes=5)), actor="test")
    live.sessions.compare_epochs()

    assert client.cuts == ["storage_unavailable"]


def test_a_cut_that_raises_does_not_save_the_next_session(live: Registry) -> None:
    """One front end's broken callback leaves the others cut."""
    first, second = (live.sign_in("ada", session_id=digit * 32) for digit in "12")

    def broken(reason: str) -> None:
        raise OSError(reason)

    first.session._cut = broken
    cut = live.sessions.close_all("server_stopped")

    assert cut == 2
    assert second.cuts == ["server_stopped"]
    assert first.session.workspace.ended == "server_stopped"


def test_no_store_no_session(live: Registry) -> None:
    """With the store gone nothing is registered, and the caller is told that nobody can tell."""
    granted = live.granted("ada")
    live.store.close()

    with pytest.raises(StoreUnavailable):
        live.open(granted, session_id="1" * 32)
    assert live.sessions.live() == []


def test_a_cut_is_written_to_the_audit_trail(live: Registry) -> None:
    """An auditor finds who was cut, why, and which session it was."""
    live.sign_in("ada", session_id="1" * 32)
    live.store.apply(SetStatus(user_id(live.store, "ada"), Status.DISABLED), actor="test")
    live.sessions.compare_epochs()
    row_ended(live.store, "1" * 32)
    live.journal.close()
    events = live.store.audit.tail(kind="session.cut")

    assert [(event.subject, event.reason, event.session_id) for event in events] == [("ada", "not_active", "1" * 32)]
