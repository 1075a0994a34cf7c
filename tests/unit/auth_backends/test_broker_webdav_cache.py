"""The short memory of WebDAV sign-ins: who may use it, and how little it may know."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest

from auth_backends.api import Accepted, Factor, FrontEnd, Granted, Reason, Rejected, Secret, Unavailable, Verdict
from auth_backends.cache import VerdictCache
from config.settings import AuthSettings
from storage.database.changes import SetPassword
from storage.database.records import Method, Status, User
from storage.database.store import Store
from tests.support.brokers import PASSWORD, Argon2Spy, Desk, StandInBackend, TurnedClock, reason_of
from tests.support.waiting import eventually

DAV = FrontEnd.WEBDAV


@pytest.fixture
def desk(sqlite_store: Store) -> Desk:
    desk = Desk(sqlite_store)
    desk.user("alice")
    return desk


@pytest.fixture
def argon2(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Argon2Spy:
    return Argon2Spy(monkeypatch)


def test_webdav_remembers_a_right_password_for_a_minute(desk: Desk, argon2: Argon2Spy) -> None:
    """One hash a minute, not one a request; every request still has its audit event."""
    for seconds in (0.0, 30.0, 29.9):
        desk.clock.now += seconds
        assert isinstance(desk.password("alice", front_end=DAV), Granted)
    within = argon2.count
    desk.clock.now += 0.2
    desk.password("alice", front_end=DAV)

    assert (within, argon2.count) == (1, 2)
    assert [(event.detail or {}).get("cached", False) for event in desk.logins()] == [False, True, True, False]


@pytest.mark.parametrize("front_end", [FrontEnd.SFTP, FrontEnd.FTPS, FrontEnd.PORTAL])
def test_no_other_front_end_remembers(desk: Desk, argon2: Argon2Spy, front_end: FrontEnd) -> None:
    """Elsewhere each sign-in is checked, also after WebDAV's (B2)."""
    desk.password("alice", front_end=DAV)
    for _ in range(2):
        desk.password("alice", front_end=front_end)

    assert argon2.count == 3


def test_nothing_else_hits_what_was_remembered(desk: Desk, argon2: Argon2Spy) -> None:
    """Another password or another user with the same password is checked (B2)."""
    desk.user("bob", password=PASSWORD)
    desk.password("alice", front_end=DAV)
    before = argon2.count

    wrong, other = desk.password("alice", PASSWORD + " ", DAV), desk.password("bob", front_end=DAV)

    assert [reason_of(wrong), reason_of(other)] == [Reason.WRONG_PASSWORD, Reason.GRANTED]
    assert argon2.count == before + 2


def test_a_wrong_password_is_not_remembered(desk: Desk, argon2: Argon2Spy) -> None:
    """Failures are checked each time: only a yes is kept."""
    for _ in range(2):
        desk.password("alice", "no", DAV)

    assert argon2.count == 2


def test_a_raised_epoch_forgets(desk: Desk) -> None:
    """A new password, a disabled account or any change of rights ends the memory at once (B2)."""
    user = desk.present("alice")
    desk.password("alice", front_end=DAV)
    desk.store.apply(SetPassword(user.id, desk.hasher.hash(Secret("new"))), actor="test")
    old = desk.password("alice", front_end=DAV)
    desk.password("alice", "new", DAV)
    desk.with_status(desk.present("alice"), Status.DISABLED)
    disabled = desk.password("alice", "new", DAV)

    assert [reason_of(old), reason_of(disabled)] == [Reason.WRONG_PASSWORD, Reason.NOT_ACTIVE]


def test_policy_and_limits_come_before_the_memory(desk: Desk) -> None:
    """What was remembered does not get round a network that is not allowed, or a limit that was reached."""
    desk.user("lan", networks=("192.0.2.0/24",))
    desk.password("lan", front_end=DAV)
    desk.password("alice", front_end=DAV)
    for _ in range(desk.settings.max_failures_per_user):
        desk.password("alice", "no")

    elsewhere = desk.password("lan", front_end=DAV, peer=ip_address("203.0.113.1"))

    assert reason_of(elsewhere) is Reason.NETWORK_NOT_ALLOWED
    assert reason_of(desk.password("alice", front_end=DAV)) is Reason.THROTTLED_USER


def test_a_remembered_yes_does_not_clear_the_counter(desk: Desk) -> None:
    """A mount that polls must not wash away somebody else's guesses; a password that was checked does."""
    desk.password("alice", front_end=DAV)
    for _ in range(desk.settings.max_failures_per_user - 1):
        desk.password("alice", "no")
        desk.password("alice", front_end=DAV)
    desk.password("alice", "no")

    assert reason_of(desk.password("alice", front_end=DAV)) is Reason.THROTTLED_USER


def test_zero_seconds_switch_the_memory_off(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """``auth.webdav_cache_s = 0`` checks every request."""
    desk = Desk(sqlite_store, AuthSettings(webdav_cache_s=0))
    desk.user("alice")
    argon2 = Argon2Spy(monkeypatch)
    for _ in range(2):
        desk.password("alice", front_end=DAV)

    assert argon2.count == 2


@pytest.mark.parametrize(
    ("verdict", "reason", "checks"),
    [
        (Accepted(Factor.PASSWORD), Reason.GRANTED, 1),
        (Unavailable("down"), Reason.BACKEND_UNAVAILABLE, 1),
        (Rejected(Reason.WRONG_PASSWORD), Reason.WRONG_PASSWORD, 8),
    ],
)
def test_identical_attempts_at_once_are_checked_once(
    sqlite_store: Store, verdict: Verdict, reason: Reason, checks: int
) -> None:
    """A client that opens many connections costs one bind; only a no is asked again, as for unknown users."""
    leave = threading.Event()

    def slow() -> Verdict:
        assert leave.wait(10)
        return verdict

    directory = StandInBackend(slow)
    desk = Desk(sqlite_store, AuthSettings(max_failures_per_user=9), others={Method.LDAP: directory})
    desk.user("linda", Method.LDAP)
    cache = desk.broker._passwords._cache

    with ThreadPoolExecutor(8) as pool:
        attempts = [pool.submit(desk.password, "linda", front_end=DAV) for _ in range(8)]
        eventually(
            lambda: [len(answer._condition._waiters) for answer in list(cache._asked.values())] == [7],  # type: ignore[attr-defined]  # who waits
            what="seven attempts that wait for the eighth",
        )
        leave.set()
        reasons = [reason_of(attempt.result()) for attempt in attempts]

    assert reasons == [reason] * 8
    assert len(directory.asked) == checks
    assert len(desk.logins()) == 8


# The cache alone -----------------------------------------------------------------------------------


YES = Accepted(Factor.PASSWORD)


def user(number: int = 1, epoch: int = 1) -> User:
    return User(f"{number:032x}", "alice", Method.LDAP, Status.ACTIVE, epoch, "alice")


def test_the_cache_is_bounded() -> None:
    """The oldest go first."""
    cache = VerdictCache(60, clock=TurnedClock(), max_entries=2)
    asked: list[int] = []
    for number in (1, 2, 3, 3, 2, 1):
        cache.ask(user(number), DAV, Secret("x"), lambda number=number: asked.append(number) or YES)

    assert asked == [1, 2, 3, 1]


def test_the_cache_keeps_no_password() -> None:
    """What is kept is an HMAC under a key of this process: two processes keep different ones."""
    caches = [VerdictCache(60), VerdictCache(60)]
    for cache in caches:
        cache.ask(user(), DAV, Secret("a secret text"), lambda: YES)

    kept = [next(iter(cache._kept)) for cache in caches]
    assert kept[0] != kept[1]
    assert all(b"secret" not in key and len(key) == 32 for key in kept)


def test_fields_of_a_question_cannot_flow_into_each_other() -> None:
    """User, epoch, front end and password are told apart whatever they contain."""
    cache = VerdictCache(60)
    questions = {
        cache._question(user(epoch=1), DAV, Secret("1x")),
        cache._question(user(epoch=11), DAV, Secret("x")),
        cache._question(user(epoch=1), FrontEnd.FTPS, Secret("1x")),
        cache._question(user(number=2, epoch=1), DAV, Secret("1x")),
    }

    assert len(questions) == 4


def test_more_than_a_minute_is_never_kept() -> None:
    """Whatever the caller says, 60 s is the most."""
    clock = TurnedClock()
    cache = VerdictCache(3600, clock=clock)
    cache.ask(user(), DAV, Secret("x"), lambda: YES)
    clock.now += 60

    assert not cache.ask(user(), DAV, Secret("x"), lambda: YES).shared


def test_what_fails_for_one_is_asked_again_by_those_who_waited() -> None:
    """An exception belongs to the attempt that met it; the others do not take it for a verdict."""
    cache = VerdictCache(60)
    started, leave = threading.Event(), threading.Event()

    def fails() -> Verdict:
        started.set()
        assert leave.wait(10)
        raise OSError

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.ask, user(), DAV, Secret("x"), fails)
        assert started.wait(10)
        second = pool.submit(cache.ask, user(), DAV, Secret("x"), lambda: YES)
        leave.set()

        assert isinstance(first.exception(timeout=10), OSError)
        assert second.result(timeout=10).verdict == YES


def test_waiting_for_an_identical_question_has_an_end() -> None:
    """A check that hangs is "cannot tell" for those who wait for it."""
    cache = VerdictCache(60, wait_s=0.01)
    started, leave = threading.Event(), threading.Event()

    def hangs() -> Verdict:
        started.set()
        assert leave.wait(10)
        return YES

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.ask, user(), DAV, Secret("x"), hangs)
        assert started.wait(10)
        second = cache.ask(user(), DAV, Secret("x"), lambda: YES)
        leave.set()

        assert isinstance(second.verdict, Unavailable)
        assert first.result(timeout=10).verdict == YES
