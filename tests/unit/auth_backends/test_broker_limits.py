"""Brute-force limits as clients of several workers meet them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest

from auth_backends.api import Accepted, ApiKeyToken, Factor, FrontEnd, Reason, Rejected, Secret, Verdict
from auth_backends.ssh_keys import generate_key_pair
from auth_backends.throttle import KEPT_S
from config.settings import AuthSettings
from storage.database.records import Method
from storage.database.store import Store
from tests.support.brokers import PASSWORD, Argon2Spy, Desk, StandInBackend, reason_of

FAILURES = 3
NETWORK = 8
LIMITS = AuthSettings(max_failures_per_user=FAILURES, max_failures_per_network=NETWORK)
AWAY = ip_address("203.0.113.5")
WRONG = Reason.WRONG_PASSWORD


@pytest.fixture
def desk(store: Store) -> Desk:
    """On both databases: the limits live there."""
    desk = Desk(store, LIMITS)
    desk.user("alice")
    return desk


def test_limits_are_shared_by_workers_and_front_ends(desk: Desk) -> None:
    """Failures on one worker and protocol refuse the right password on another (B6)."""
    other = desk.another_worker()

    first = [desk.password("alice", "no", FrontEnd.SFTP), other.password("alice", "no", FrontEnd.FTPS)]
    third = desk.password("alice", "no", FrontEnd.WEBDAV)
    over = [one.password("alice", peer=AWAY) for one in (desk, other)]

    assert [reason_of(one) for one in [*first, third]] == [WRONG] * 3
    assert [reason_of(one) for one in over] == [Reason.THROTTLED_USER] * 2


def test_a_throttled_attempt_asks_nobody_and_costs_no_hash(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit neither the account nor a hash is touched, for known and unknown users alike."""
    for name in ("alice", "nobody"):
        for _ in range(FAILURES):
            desk.password(name, "no")
    argon2 = Argon2Spy(monkeypatch)
    asked: list[str] = []
    monkeypatch.setattr(desk.store.users, "by_login", asked.append)

    over = [desk.password(name) for name in ("alice", "nobody")]

    assert [reason_of(one) for one in over] == [Reason.THROTTLED_USER] * 2
    assert (asked, argon2.count) == ([], 0)


def test_the_limit_ends_with_its_window(desk: Desk) -> None:
    """Refusals by the throttle do not prolong it."""
    for _ in range(FAILURES + 2):
        desk.password("alice", "no")
    desk.clock.now += LIMITS.failure_window_s + 1

    assert reason_of(desk.password("alice")) is Reason.GRANTED


def test_a_good_password_clears_the_user_but_not_the_network(desk: Desk) -> None:
    """One good account does not whitewash the network that an attack comes from."""
    for _ in range(NETWORK // 2):
        desk.password("alice", "no")
        assert reason_of(desk.password("alice")) is Reason.GRANTED
    for number in range(NETWORK - NETWORK // 2):
        desk.password(f"guess{number}", "no")

    assert reason_of(desk.password("alice")) is Reason.THROTTLED_NETWORK
    assert reason_of(desk.password("alice", peer=AWAY)) is Reason.GRANTED


def test_a_network_is_a_slash_24_or_a_slash_64(desk: Desk) -> None:
    """Neighbours share the network's counter, also as IPv4-mapped IPv6; others do not."""
    for number in range(NETWORK):
        desk.password(f"a{number}", "no", peer=ip_address(f"198.51.100.{number}"))
        desk.password(f"b{number}", "no", peer=ip_address(f"2001:db8:0:1::{number}"))

    inside = [ip_address(text) for text in ("198.51.100.200", "::ffff:198.51.100.201", "2001:db8:0:1:ffff::1")]
    outside = [ip_address(text) for text in ("198.51.101.1", "2001:db8:0:2::1")]

    assert {reason_of(desk.password("alice", peer=peer)) for peer in inside} == {Reason.THROTTLED_NETWORK}
    assert {reason_of(desk.password("alice", peer=peer)) for peer in outside} == {Reason.GRANTED}


def test_names_that_are_none_do_not_get_round_the_network_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad names count and are cut off too, before any hash."""
    for _ in range(NETWORK):
        desk.password("DOM:x", "no")
    argon2 = Argon2Spy(monkeypatch)

    assert reason_of(desk.password("DOM:x", "no")) is Reason.THROTTLED_NETWORK
    assert argon2.count == 0


def test_keys_cannot_be_locked_out_by_guessing_passwords(desk: Desk) -> None:
    """The user's counter guards passwords; the same user's SSH key and API key go on."""
    user = desk.present("alice")
    key, issued = desk.ssh_key(user), desk.api_key(user)
    for _ in range(FAILURES):
        desk.password("alice", "no", peer=AWAY)

    assert reason_of(desk.password("alice")) is Reason.THROTTLED_USER
    assert reason_of(desk.key("alice", key)) is Reason.GRANTED
    assert reason_of(desk.token("alice", issued)) is Reason.GRANTED


def test_foreign_keys_count_for_the_network_only(desk: Desk) -> None:
    """An agent full of keys does not lock its owner's password, but a flood of keys is cut off."""
    foreign = generate_key_pair().public
    for number in range(NETWORK // 2):
        desk.key("alice", foreign)
        desk.try_in(FrontEnd.FTPS, ApiKeyToken("alice", Secret(f"qm_{number}")))

    assert reason_of(desk.password("alice", peer=AWAY)) is Reason.GRANTED
    assert reason_of(desk.password("alice")) is Reason.THROTTLED_NETWORK


def test_half_of_the_way_in_is_no_failure(desk: Desk) -> None:
    """The key of a ``local+key`` user without the password counts against nobody."""
    key = desk.ssh_key(desk.user("both", Method.LOCAL_KEY))
    for _ in range(NETWORK + FAILURES):
        assert reason_of(desk.key("both", key)) is Reason.NEEDS_KEY_AND_PASSWORD

    assert reason_of(desk.key("both", key, PASSWORD)) is Reason.GRANTED


def test_good_sign_ins_do_not_write_to_the_throttle(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an earlier failure there is a look-up before the check, one in its turn, and no write."""
    calls: list[str] = []
    table = desk.store.throttle
    real = table.counts
    monkeypatch.setattr(table, "counts", lambda keys, since: calls.append("counts") or real(keys, since))
    for verb in ("add", "clear", "prune"):
        monkeypatch.setattr(table, verb, lambda *_, verb=verb: calls.append(verb))

    desk.password("alice", front_end=FrontEnd.WEBDAV)
    checked = list(calls)
    desk.password("alice", front_end=FrontEnd.WEBDAV)

    assert checked == ["counts", "counts"]
    assert calls == ["counts"] * 3, "one look-up for what is remembered"


def test_old_failures_are_swept_now_and_then(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every so many failures, those that no window reaches any more are removed."""
    monkeypatch.setattr("auth_backends.throttle.PRUNE_EVERY", 2)
    swept: list[float] = []
    monkeypatch.setattr(desk.store.throttle, "prune", swept.append)

    desk.password("alice", "no")
    desk.password("alice", "no")

    assert swept == [desk.clock() - KEPT_S]


def test_a_burst_of_guesses_stays_within_the_limit(store: Store) -> None:
    """Guesses sent at the same time do not all slip past before the first failure is counted (L7)."""
    running, most = 0, 0
    lock = threading.Lock()

    def refuse() -> Verdict:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        return Rejected(WRONG)

    directory = StandInBackend(refuse)
    desk = Desk(store, LIMITS.model_copy(update={"max_failures_per_network": 1000}), others={Method.LDAP: directory})
    desk.user("linda", Method.LDAP)

    with ThreadPoolExecutor(16) as pool:
        decisions = list(pool.map(lambda number: desk.password("linda", f"guess {number}"), range(32)))

    assert len(directory.asked) == FAILURES
    assert most == 1
    reasons = [reason_of(one) for one in decisions]
    assert (reasons.count(WRONG), reasons.count(Reason.THROTTLED_USER)) == (FAILURES, 32 - FAILURES)
    assert len(desk.logins()) == 32


@pytest.mark.parametrize("front_end", [FrontEnd.FTPS, FrontEnd.WEBDAV])
@pytest.mark.parametrize("same", [True, False], ids=["one guess", "many guesses"])
def test_a_burst_does_not_tell_known_from_unknown_names(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, front_end: FrontEnd, same: object
) -> None:
    """As many hashes, refusals and counted failures for a user, an SSO user and nobody (B5)."""
    desk = Desk(sqlite_store, LIMITS.model_copy(update={"max_failures_per_network": 1000}))
    desk.user("alice")
    desk.user("erin", Method.OIDC)
    argon2 = Argon2Spy(monkeypatch)
    met = []

    for name in ("alice", "erin", "nobody"):
        argon2.texts.clear()
        guesses = ["one" if same else f"guess {number}" for number in range(16)]
        with ThreadPoolExecutor(16) as pool:
            reasons = [
                reason_of(one)
                for one in pool.map(lambda guess, name=name: desk.password(name, guess, front_end), guesses)
            ]
        met.append((argon2.count, reasons.count(Reason.THROTTLED_USER)))

    assert met == [(FAILURES, 16 - FAILURES)] * 3


def test_a_turn_that_never_comes_is_try_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's endless check of the same user ends in "cannot tell", not in a pile of waiting threads."""
    monkeypatch.setattr("auth_backends.throttle.TURN_WAIT_S", 0.01)
    entered, leave = threading.Event(), threading.Event()

    def slow() -> Verdict:
        entered.set()
        assert leave.wait(10)
        return Accepted(Factor.PASSWORD)

    desk = Desk(store, LIMITS, others={Method.LDAP: StandInBackend(slow)})
    desk.user("linda", Method.LDAP)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(desk.password, "linda")
        assert entered.wait(10)
        second = desk.password("linda")
        leave.set()

    assert reason_of(first.result()) is Reason.GRANTED
    assert reason_of(second) is Reason.BACKEND_UNAVAILABLE
