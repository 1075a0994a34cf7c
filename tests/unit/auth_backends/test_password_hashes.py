"""Password hashes: parameters, bounds, spellings, and what can't be a password."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import argon2
import pytest

from auth_backends.api import FrontEnd, Granted, Secret
from auth_backends.passwords import HasherBusy, PasswordHasher, PasswordRefused, usable
from storage.database.store import Store
from tests.support.brokers import PASSWORD, Argon2Spy, Desk


@pytest.fixture
def cheap() -> PasswordHasher:
    return PasswordHasher(memory_kib=8, rounds=1)


def test_hashes_are_argon2id_with_the_promised_cost() -> None:
    """m=19 MiB, t=2, p=1, and a salt of its own each time."""
    hasher = PasswordHasher()
    first, second = (hasher.hash(Secret(PASSWORD)) for _ in range(2))

    found = argon2.extract_parameters(first)

    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (argon2.Type.ID, 19 * 1024, 2, 1)
    assert first != second
    assert hasher.verify(first, Secret(PASSWORD))
    assert not hasher.verify(first, Secret(PASSWORD + " "))
    assert not hasher.needs_rehash(first)


def test_dummy_work_costs_what_a_check_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One computation with the same parameters, of a fixed text."""
    spy = Argon2Spy(monkeypatch)

    PasswordHasher(memory_kib=8, rounds=1).spend()

    assert spy.texts == [b"no password is compared here"]


@pytest.mark.parametrize("text", ["", "a\0", "x" * 1025, "\udcff"])
def test_a_text_that_can_be_no_password_gets_no_hash(cheap: PasswordHasher, text: str) -> None:
    """Empty, NUL, too long, not UTF-8."""
    assert not usable(Secret(text))
    with pytest.raises(PasswordRefused, match="1 to 1024"):
        cheap.hash(Secret(text))


def test_a_password_cannot_begin_as_an_api_key(cheap: PasswordHasher) -> None:
    """It would never be asked as a password."""
    with pytest.raises(PasswordRefused, match="qm_"):
        cheap.hash(Secret("qm_secret"))


def test_composed_and_decomposed_letters_are_one_password(cheap: PasswordHasher) -> None:
    """The same keys on another system give the same password (RFC 8265)."""
    kept = cheap.hash(Secret("caf\u00e9"))

    assert cheap.verify(kept, Secret("cafe\u0301"))


def test_weaker_hashes_are_made_anew_at_the_next_sign_in(sqlite_store: Store) -> None:
    """The hash is replaced after a right password only; the epoch and live sessions stay."""
    old = Desk(sqlite_store)
    user = old.user("alice")
    before = sqlite_store.credentials.password_hash(user.id)
    live = old.password("alice")
    stronger = old.another_worker(hasher=PasswordHasher(memory_kib=16, rounds=1))

    stronger.password("alice", "wrong")
    kept = sqlite_store.credentials.password_hash(user.id)
    granted = stronger.password("alice")
    after = sqlite_store.credentials.password_hash(user.id)

    assert isinstance(live, Granted)
    assert isinstance(granted, Granted)
    assert kept == before != after
    assert granted.epoch == user.epoch
    assert stronger.broker.still_valid(old.present("alice"), live.principal) is None
    assert isinstance(stronger.password("alice"), Granted)


def test_no_time_to_strengthen_is_no_reason_to_refuse(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password was right; the hash is made anew another time."""
    desk = Desk(sqlite_store)
    user = desk.user("alice")
    before = sqlite_store.credentials.password_hash(user.id)
    hasher = PasswordHasher(memory_kib=16, rounds=1)

    def busy(secret: Secret) -> str:
        raise HasherBusy

    monkeypatch.setattr(hasher, "rehash", busy)

    assert isinstance(desk.another_worker(hasher=hasher).password("alice"), Granted)
    assert sqlite_store.credentials.password_hash(user.id) == before


def test_only_so_many_hashes_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 19 MiB: the others wait for their turn, and not for ever."""
    hasher = PasswordHasher(concurrency=2, wait_s=0.05, memory_kib=8, rounds=1)
    inside, leave = threading.Semaphore(0), threading.Event()

    def slow(**_: object) -> bytes:
        inside.release()
        assert leave.wait(10)
        return b"$argon2id$"

    monkeypatch.setattr("argon2._password_hasher.hash_secret", slow)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(hasher.spend) for _ in range(2)]
        for _ in running:
            assert inside.acquire(timeout=10)
        with pytest.raises(HasherBusy):
            hasher.spend()
        leave.set()
        for one in running:
            one.result(timeout=10)

    hasher.spend()
    assert inside.acquire(timeout=10)


def test_an_overloaded_hasher_is_unavailable_for_known_users_too(sqlite_store: Store) -> None:
    """The local backend says "cannot tell" when its check gets no turn."""
    desk = Desk(sqlite_store, hasher=PasswordHasher(wait_s=0.01, concurrency=1, memory_kib=8, rounds=1))
    desk.user("alice")
    held = desk.hasher._turn()
    with held:
        decision = desk.password("alice", front_end=FrontEnd.FTPS)

    assert type(decision).__name__ == "TryLater"
    assert isinstance(desk.password("alice"), Granted)
