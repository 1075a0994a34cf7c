"""Not being able to tell is its own answer: it lets nobody in, counts against nobody and asks nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from auth_backends.api import (
    PUBLIC_UNAVAILABLE,
    Accepted,
    Factor,
    FrontEnd,
    Granted,
    NotMine,
    Reason,
    TryLater,
    Unavailable,
    Verdict,
)
from auth_backends.passwords import HasherBusy, PasswordHasher
from config.settings import AuthSettings
from storage.database.records import Method
from storage.database.store import Store, StoreUnavailable
from tests.support.brokers import HOME, PASSWORD, Desk, StandInBackend, reason_of

MANY = AuthSettings().max_failures_per_user + 1


def gone(*_: object, **__: object) -> None:
    raise StoreUnavailable("the database is gone")


@pytest.fixture
def desk(sqlite_store: Store) -> Desk:
    desk = Desk(sqlite_store)
    desk.user("alice")
    return desk


def with_directory(store: Store, answer: Callable[[], Verdict]) -> tuple[Desk, StandInBackend]:
    directory = StandInBackend(answer)
    desk = Desk(store, others={Method.LDAP: directory})
    desk.user("linda", Method.LDAP)
    return desk, directory


def test_a_directory_that_is_down_is_try_later_and_counts_against_nobody(sqlite_store: Store) -> None:
    """More outages than the limit of failures, and the right password is still let in afterwards."""
    desk, directory = with_directory(sqlite_store, lambda: Unavailable("connect timed out", 7.0))

    down = [desk.password("linda") for _ in range(MANY)]
    directory.answer = lambda: Accepted(Factor.PASSWORD)
    up = desk.password("linda")

    assert down == [TryLater(Reason.BACKEND_UNAVAILABLE, 7.0, PUBLIC_UNAVAILABLE)] * MANY
    assert isinstance(up, Granted)
    events = desk.logins()
    assert [(event.outcome, event.reason) for event in events[:MANY]] == [("try_later", "backend_unavailable")] * MANY
    assert (events[0].detail or {})["note"] == "connect timed out"


def test_an_authority_that_disowns_the_account_falls_through_to_nobody(sqlite_store: Store) -> None:
    """One identity has one authority: no other backend is asked."""
    desk, _ = with_directory(sqlite_store, NotMine)

    assert reason_of(desk.password("linda", PASSWORD)) is Reason.NO_BACKEND


def test_a_backend_that_fails_lets_nobody_in_and_tells_no_secret(sqlite_store: Store) -> None:
    """An unexpected exception is TryLater; the log has its type and place, never its message."""

    def broken() -> Verdict:
        raise RuntimeError(f"could not check {PASSWORD}")

    desk, _ = with_directory(sqlite_store, broken)

    with capture_logs() as logs:
        decision = desk.password("linda")

    assert decision == TryLater(Reason.INTERNAL_ERROR, 5.0)
    failed = next(one for one in logs if one["event"] == "sign_in.failed")
    assert failed["error"] == "RuntimeError"
    assert any("broken" in place for place in failed["at"])
    assert PASSWORD not in repr(logs) + repr(desk.logins())


EVERY_STEP = [
    (verb, secret)
    for verb in ("throttle.counts", "users.by_login", "credentials.password", "audit.add")
    for secret in (PASSWORD, "wrong")
]


@pytest.mark.parametrize(("step", "secret"), [*EVERY_STEP, ("users.by_id", PASSWORD)])
def test_a_store_that_is_gone_at_any_step_is_try_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str, secret: str
) -> None:
    """Whatever the store does not answer, also the writing of the audit event: nobody comes in."""
    table, verb = step.split(".")
    monkeypatch.setattr(getattr(desk.store, table), verb, gone)

    assert desk.password("alice", secret) == TryLater(Reason.STORE_UNAVAILABLE, 5.0)


@pytest.mark.parametrize("verb", ["add", "clear"])
def test_limits_that_cannot_be_written_are_try_later(desk: Desk, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """A failure that cannot be counted is no free guess, and a grant whose counter cannot be cleared is none."""
    desk.password("alice", "wrong")
    monkeypatch.setattr(desk.store.throttle, verb, gone)

    decision = desk.password("alice", "wrong" if verb == "add" else PASSWORD)

    assert decision == TryLater(Reason.STORE_UNAVAILABLE, 5.0)


def test_a_closed_database_is_try_later_for_every_kind(desk: Desk) -> None:
    """The real store, closed: every credential of known and unknown users gets the same temporary answer."""
    user = desk.present("alice")
    key, issued = desk.ssh_key(user), desk.api_key(user)
    desk.store.close()

    decisions = [
        desk.password("alice"),
        desk.password("nobody"),
        desk.password("DOM:alice"),
        desk.key("alice", key),
        desk.token("@api", issued),
    ]

    assert decisions == [TryLater(Reason.STORE_UNAVAILABLE, 5.0)] * 5


def test_key_offers_raise_when_the_store_is_gone(desk: Desk) -> None:
    """The front end must drop the connection: "no" would send the client on to its password."""
    key = desk.ssh_key(desk.present("alice"))
    desk.store.close()

    with pytest.raises(StoreUnavailable):
        desk.broker.would_accept("alice", key.algorithm, key.blob, HOME)
    with pytest.raises(StoreUnavailable):
        desk.broker.key_needs_password("alice", key.blob, HOME)


class BusyHasher(PasswordHasher):
    """Never gets its turn."""

    def spend(self) -> None:
        raise HasherBusy("no turn")

    def verify(self, password_hash: str, secret: object) -> bool:
        raise HasherBusy("no turn")


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_a_hasher_without_a_turn_is_try_later_for_known_and_unknown(desk: Desk, name: str) -> None:
    """Overload looks the same whether the user exists, and counts against nobody."""
    busy = desk.another_worker(hasher=BusyHasher(memory_kib=8, rounds=1))

    decisions = [busy.password(name) for _ in range(MANY)]

    assert decisions == [TryLater(Reason.BACKEND_UNAVAILABLE, 5.0)] * MANY
    assert {event.outcome for event in desk.logins()} == {"try_later"}


def test_a_stored_hash_that_cannot_be_read_is_try_later(desk: Desk) -> None:
    """A broken row says nothing about the password."""
    user = desk.present("alice")
    kept = desk.store.credentials.password_hash(user.id)
    assert kept is not None
    desk.store.credentials.replace_password_hash(user.id, kept, "$argon2id$broken")

    assert desk.password("alice") == TryLater(Reason.INTERNAL_ERROR, 5.0)


def test_an_outage_is_not_remembered(sqlite_store: Store) -> None:
    """An outage seen by WebDAV is not remembered: the next request asks again."""
    desk, directory = with_directory(sqlite_store, lambda: Unavailable("down"))

    first = desk.password("linda", front_end=FrontEnd.WEBDAV)
    directory.answer = lambda: Accepted(Factor.PASSWORD)
    second = desk.password("linda", front_end=FrontEnd.WEBDAV)

    assert [reason_of(first), reason_of(second)] == [Reason.BACKEND_UNAVAILABLE, Reason.GRANTED]
