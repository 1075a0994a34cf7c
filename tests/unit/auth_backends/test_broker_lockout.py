"""No directory is brought to lock an account: places for passwords over all workers, and one counter for all names."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from auth_backends.api import (
    Accepted,
    Account,
    AttemptLimit,
    Factor,
    FrontEnd,
    Granted,
    NotMine,
    Reason,
    Refused,
    Rejected,
    TryLater,
    Unavailable,
    Verdict,
)
from config.settings import AuthSettings
from storage.database.changes import Provision
from storage.database.records import Method, Owner
from storage.database.store import Store, StoreUnavailable
from tests.support.brokers import HOME, Argon2Spy, Desk, StandInBackend, reason_of
from tests.support.waiting import eventually

LIMIT = AttemptLimit(max_failures=2, window_s=1800.0)
YES, NO = Accepted(Factor.PASSWORD), Rejected(Reason.WRONG_PASSWORD)


class Directory(StandInBackend):
    """An authority that locks accounts."""

    limits: AttemptLimit | None = LIMIT

    def knows(self, account: Account) -> bool:
        """Every user is its own."""
        return True

    def limit(self, account: Account) -> AttemptLimit | None:
        """Say when it would lock."""
        return self.limits


def desk_with(store: Store, directory: Directory, **settings: object) -> Desk:
    """A desk with a directory and its user linda, who may type three names."""
    desk = Desk(store, AuthSettings(max_failures_per_network=1000, **settings), others={Method.LDAP: directory})  # type: ignore[arg-type]  # settings by name
    aliases = frozenset({"linda@corp.example", "corp\\linda"})
    store.apply(Provision("corp", Owner.LDAP, Method.LDAP, "e-1", "linda", aliases=aliases), actor="test")
    return desk


def answering(answer: Verdict) -> Callable[[], Verdict]:
    return lambda: answer


def test_wrong_passwords_reach_the_directory_no_more_often_than_it_allows(store: Store) -> None:
    """Over every front end, worker and spelling of the name together (L7)."""
    directory = Directory(answering(NO))
    desk = desk_with(store, directory)
    other = desk.another_worker()
    for name in ("linda", "LINDA", "linda@corp.example", "corp\\linda"):
        for front_end in (FrontEnd.SFTP, FrontEnd.FTPS, FrontEnd.WEBDAV):
            desk.password(name, "no", front_end)
            other.password(name, "no", front_end)

    assert len(directory.asked) == LIMIT.max_failures


def test_guesses_at_the_same_time_do_not_slip_past(store: Store) -> None:
    """Sixteen at once over two workers: never more under way and failed together than the directory allows."""
    lock, running, most = threading.Lock(), [0], [0]
    both = threading.Event()

    def slow() -> Verdict:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            if running[0] == LIMIT.max_failures:
                both.set()
        both.wait(5.0)
        with lock:
            running[0] -= 1
        return NO

    directory = Directory(slow)
    desk = desk_with(store, directory)
    workers = (desk, desk.another_worker())
    with ThreadPoolExecutor(16) as pool:
        decisions = list(pool.map(lambda number: workers[number % 2].password("linda", f"no{number}"), range(16)))

    assert len(directory.asked) == most[0] == LIMIT.max_failures
    assert all(isinstance(decision, Refused) for decision in decisions)


def test_the_directorys_window_counts_not_the_sites(sqlite_store: Store) -> None:
    """After the site's five minutes the directory still remembers for its thirty, and so do we."""
    directory = Directory(answering(NO))
    desk = desk_with(sqlite_store, directory)
    for _ in range(2):
        desk.password("linda", "no")
    desk.clock.now += 301.0
    early = desk.password("linda", "no")
    desk.clock.now += 1800.0
    late = desk.password("linda", "no")

    assert Reason.THROTTLED_USER is reason_of(early)
    assert Reason.WRONG_PASSWORD is reason_of(late)


def test_a_right_password_frees_its_place_and_the_counter(store: Store) -> None:
    """One wrong and one right, again and again: nobody is ever refused."""
    directory = Directory(answering(NO))
    desk = desk_with(store, directory)
    for _ in range(4):
        directory.answer = answering(NO)
        desk.password("corp\\linda", "no")
        directory.answer = answering(YES)

        assert isinstance(desk.password("linda@corp.example"), Granted)


def test_only_what_the_directory_refused_fills_its_places(sqlite_store: Store) -> None:
    """A client that goes on trying with the right password is let in as soon as the directory has forgotten."""
    directory = Directory(lambda: NO)
    desk = desk_with(sqlite_store, directory)
    desk.password("linda", "no")
    desk.password("linda", "no")
    directory.answer = answering(YES)
    refused = 0
    while not isinstance(desk.password("linda"), Granted):
        refused += 1
        desk.clock.now += 90.0
        assert refused < 40

    assert 19 <= refused <= 24  # half an hour, and at most the site's five minutes more


def test_a_success_is_forgotten_failures_there_and_here(sqlite_store: Store) -> None:
    """However long ago: the directory forgets with a success, so its places are free again."""
    directory = Directory(answering(NO))
    desk = desk_with(sqlite_store, directory)
    outcomes = []
    for at, answer in ((0.0, NO), (400.0, YES), (800.0, NO), (810.0, YES)):
        desk.clock.now = 1_900_000_000.0 + at
        directory.answer = answering(answer)
        outcomes.append(reason_of(desk.password("linda", "any")))

    assert outcomes == [Reason.WRONG_PASSWORD, Reason.GRANTED, Reason.WRONG_PASSWORD, Reason.GRANTED]


def test_the_sites_limit_keeps_its_own_window(sqlite_store: Store) -> None:
    """A directory that allows fifty a day does not turn the site's five in five minutes into five a day."""
    directory = Directory(answering(NO))
    directory.limits = AttemptLimit(49, 86_400.0)
    desk = desk_with(sqlite_store, directory)
    for _ in range(6):
        desk.password("linda", "no")
        desk.clock.now += 3600.0
    directory.answer = answering(YES)

    assert isinstance(desk.password("linda"), Granted)


def test_explain_knows_both_limits_and_every_name(sqlite_store: Store) -> None:
    """It says what a right password would meet, also under an alias."""
    directory = Directory(answering(NO))
    desk = desk_with(sqlite_store, directory)
    told = []
    for _ in range(3):
        told += [
            desk.broker.explain(name, FrontEnd.SFTP, Factor.PASSWORD, HOME).allowed for name in ("linda", "corp\\linda")
        ]
        desk.password("linda", "no")

    assert told == [True, True, True, True, False, False]


def test_a_password_whose_answer_nobody_heard_keeps_its_place(sqlite_store: Store) -> None:
    """The directory may have counted it: for a minute, no more go out than it allows, over all workers."""
    directory = Directory(answering(Unavailable("cut", perhaps_counted=True)))
    desk = desk_with(sqlite_store, directory)
    other = desk.another_worker()
    for worker in (desk, other, desk, other):
        assert isinstance(worker.password("linda"), TryLater)
    asked = len(directory.asked)
    desk.clock.now += 61.0
    directory.answer = answering(YES)

    assert asked == LIMIT.max_failures
    assert isinstance(desk.password("linda"), Granted)


def test_a_provider_that_is_gone_is_explained(sqlite_store: Store) -> None:
    """Explain says what the broker says: try later."""

    class Gone(Directory):
        """A backend without this directory."""

        def knows(self, account: Account) -> bool:
            """None."""
            return False

    desk = desk_with(sqlite_store, Gone(NotMine))
    told = desk.broker.explain("linda", FrontEnd.SFTP, Factor.PASSWORD, HOME)

    assert (told.allowed, told.reason) == (False, Reason.NO_BACKEND)
    assert Reason.NO_BACKEND is reason_of(desk.password("linda"))
    assert any("'corp' is not configured" in step for step in told.steps)


def test_many_good_sign_ins_at_once_wait_for_each_other(store: Store) -> None:
    """More at once than the directory allows failures: all come in."""
    directory = Directory(answering(YES))
    desk = desk_with(store, directory)
    with ThreadPoolExecutor(8) as pool:
        decisions = list(pool.map(lambda _: desk.password("linda"), range(8)))

    assert all(isinstance(decision, Granted) for decision in decisions)


def test_a_directory_that_is_down_counts_against_nobody(store: Store) -> None:
    """However often it is asked, all places are free again when it answers."""
    directory = Directory(answering(Unavailable("down")))
    desk = desk_with(store, directory)
    for _ in range(6):
        assert isinstance(desk.password("linda"), TryLater)
    directory.answer = answering(YES)

    assert isinstance(desk.password("linda"), Granted)


def test_a_backend_that_breaks_gives_its_place_back(store: Store) -> None:
    """An error is no failure of the person."""

    def broken() -> Verdict:
        message = "broken"
        raise RuntimeError(message)

    directory = Directory(broken)
    desk = desk_with(store, directory)
    for _ in range(3):
        assert Reason.INTERNAL_ERROR is reason_of(desk.password("linda"))
    directory.answer = answering(YES)

    assert isinstance(desk.password("linda"), Granted)


def test_a_hanging_check_of_the_same_user_is_not_waited_for_long(sqlite_store: Store) -> None:
    """When all places are taken by checks under way, the next one is told to try later within a second."""
    free = threading.Event()

    def hanging() -> Verdict:
        free.wait(10.0)
        return YES

    directory = Directory(hanging)
    desk = desk_with(sqlite_store, directory)
    with ThreadPoolExecutor(3) as pool:
        first = [pool.submit(desk.password, "linda") for _ in range(2)]
        eventually(lambda: len(directory.asked) == 2, what="both to be under way")
        third = desk.password("linda")
        free.set()

        assert Reason.BACKEND_UNAVAILABLE is reason_of(third)
        assert all(isinstance(one.result(), Granted) for one in first)


def test_a_directory_that_locks_nobody_leaves_the_sites_limit(sqlite_store: Store) -> None:
    """Without a limit of its own the site's five hold."""
    directory = Directory(answering(NO))
    directory.limits = None
    desk = desk_with(sqlite_store, directory)
    for _ in range(8):
        desk.password("linda", "no")

    assert len(directory.asked) == desk.settings.max_failures_per_user


def test_a_refusal_by_the_limit_looks_like_any_other(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs a hash and counts, as for a name that nobody has, until the site's own limit ends both alike."""
    directory = Directory(answering(NO))
    desk = desk_with(sqlite_store, directory)
    argon2 = Argon2Spy(monkeypatch)
    known = [(reason_of(desk.password("linda", "no")), argon2.count) for _ in range(6)]
    argon2.texts.clear()
    unknown = [(reason_of(desk.password("nobody", "no")), argon2.count) for _ in range(6)]

    assert [count for _, count in known] == [0, 0, 1, 2, 3, 3]  # the first two cost a bind instead
    assert [count for _, count in unknown] == [1, 2, 3, 4, 5, 5]
    assert (known[-1][0], unknown[-1][0]) == (Reason.THROTTLED_USER, Reason.THROTTLED_USER)


def test_an_alias_opens_its_own_persons_account_only(sqlite_store: Store) -> None:
    """The audit event names the person; a key under an alias is the person's, under another's name it is not."""
    directory = Directory(answering(YES))
    desk = desk_with(sqlite_store, directory)
    linda, bob = desk.present("linda"), desk.user("bob")
    issued, foreign = desk.api_key(linda), desk.api_key(bob)
    key = desk.ssh_key(linda)

    assert isinstance(desk.password("CORP\\Linda"), Granted)
    assert [event.subject for event in desk.logins()] == ["linda"]
    assert isinstance(desk.token("linda@corp.example", issued), Granted)
    assert Reason.API_KEY_OF_ANOTHER_USER is reason_of(desk.token("linda@corp.example", foreign))
    assert isinstance(desk.key("corp\\linda", key), Granted)
    assert Reason.UNKNOWN_USER is reason_of(desk.password("OTHER\\linda"))


# The floor ----------------------------------------------------------------------------------------


def held_back(desk: Desk, floor: Callable[[], float]) -> list[float]:
    """Let the broker keep a floor, and give the pauses that it makes."""
    pauses: list[float] = []
    desk.broker._floor_s, desk.broker._pause = floor, pauses.append
    return pauses


def test_no_password_is_refused_before_the_floor(sqlite_store: Store) -> None:
    """Known to the directory, local or unknown: each waits until the same time has passed (L9)."""
    desk = desk_with(sqlite_store, Directory(answering(NO)))
    desk.user("ada")
    pauses = held_back(desk, lambda: 30.0)
    for name in ("linda", "ada", "nobody", "not:a:name"):
        desk.password(name, "no")

    assert len(pauses) == 4
    assert all(29.0 < pause <= 30.0 for pause in pauses)


def test_what_is_let_in_or_cannot_be_told_does_not_wait(sqlite_store: Store) -> None:
    """Nor do keys, nor refusals over the limit, which tell nothing."""
    directory = Directory(answering(YES))
    desk = desk_with(sqlite_store, directory)
    pauses = held_back(desk, lambda: 30.0)
    desk.password("linda")
    directory.answer = answering(Unavailable("down"))
    desk.password("linda")
    desk.token("@api", desk.api_key(desk.user("bob")))
    before = len(pauses)
    for _ in range(9):
        desk.password("nobody", "no")

    assert before == 0
    assert len(pauses) <= desk.settings.max_failures_per_user


def test_a_floor_that_cannot_be_told_is_none(sqlite_store: Store) -> None:
    """The decision stands."""

    def gone() -> float:
        message = "gone"
        raise StoreUnavailable(message)

    desk = desk_with(sqlite_store, Directory(answering(NO)))
    pauses = held_back(desk, gone)

    assert Reason.WRONG_PASSWORD is reason_of(desk.password("linda", "no"))
    assert pauses == []
