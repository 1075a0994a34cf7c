"""What a provider's word ends: the sessions that it names, once, and no others."""

from __future__ import annotations

import threading

import pytest

from storage.database.portal_sessions import EndedByWord, LogoutWord, PortalSession
from storage.database.records import Method
from storage.database.store import Store
from tests.support.store_rows import make_user

NOW = 1_000_000.0
OPEN = {  # of ann at op, twice; of bob at op; of ann's namesake at another provider
    "s1": ("ann", "op", {"sub": "a", "sid": "1"}),
    "s2": ("ann", "op", {"sub": "a", "sid": "2"}),
    "s3": ("bob", "op", {"sub": "b", "sid": "1"}),
    "s4": ("ann", "other", {"sub": "a", "sid": "1"}),
    "s5": ("cid", "op", {}),
}


@pytest.fixture
def opened(store: Store) -> Store:
    """A store with these sessions."""
    for id, (name, provider, logout) in OPEN.items():  # noqa: A001 - the column's name
        user = store.users.by_name(name) or make_user(store, name)
        factor = ("sso", Method.OIDC, provider, "192.0.2.1")
        store.portal.open(PortalSession(id, user.id, name, user.epoch, *factor, NOW, NOW, NOW + 3600, None, logout))
    return store


def word(id: str = "w1", until: float = NOW + 60, **named: str) -> LogoutWord:  # noqa: A002 - the standard's name
    """A word of the provider op; values are separated by commas."""
    return LogoutWord("op", id, until, {name: frozenset(values.split(",")) for name, values in named.items()})


@pytest.mark.parametrize(
    ("named", "over", "users"),
    [
        ({"sub": "a"}, {"s1", "s2"}, ("ann",)),
        ({"sid": "1"}, {"s1", "s3"}, ("ann", "bob")),
        ({"sub": "a", "sid": "1"}, {"s1"}, ("ann",)),
        ({"sub": "b", "sid": "2"}, set(), ()),
        ({"sub": "a", "sid": "1,2"}, {"s1", "s2"}, ("ann",)),
        ({"sub": "nobody"}, set(), ()),
        ({"name_id": "a"}, set(), ()),
        ({"sub": "' OR 1=1 --"}, set(), ()),
        ({}, set(), ()),
    ],
    ids=range(9),
)
def test_a_word_ends_what_it_names(opened: Store, named: dict[str, str], over: set[str], users: tuple[str]) -> None:
    """Of that provider, where every name fits; a word that names nothing ends nothing."""
    assert opened.portal.end_named(word(**named), "back_channel", NOW + 1) == EndedByWord(len(over), users)
    assert {row.id for row in opened.sessions.live()} == set(OPEN) - over


def test_a_word_counts_once(opened: Store) -> None:
    """A second time it ends nothing, not even what it names; another word does."""
    first = opened.portal.end_named(word(sid="2"), "back_channel", NOW)
    again = opened.portal.end_named(word(sub="a"), "back_channel", NOW)
    other = opened.portal.end_named(word("w2", sub="a"), "back_channel", NOW)

    assert (first, again, other) == (EndedByWord(1, ("ann",)), None, EndedByWord(1, ("ann",)))


def test_a_word_is_remembered_while_it_counts(opened: Store) -> None:
    """And no longer."""
    opened.portal.end_named(word(until=NOW + 60, sub="a"), "back_channel", NOW)
    opened.sso_flows.prune(NOW + 59)
    within = opened.portal.end_named(word(sub="a"), "back_channel", NOW + 59)
    opened.sso_flows.prune(NOW + 60)

    assert within is None
    assert opened.portal.end_named(word(sub="a"), "back_channel", NOW + 60) == EndedByWord(0, ())


def test_one_of_many_at_once_is_heard(opened: Store) -> None:
    """Whichever worker gets a copy first."""
    answers: list[EndedByWord | None] = []
    threads = [
        threading.Thread(target=lambda: answers.append(opened.portal.end_named(word(sub="a"), "back_channel", NOW)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(answers, key=lambda one: one is None) == [EndedByWord(2, ("ann",)), None, None, None]


def test_a_provider_that_cannot_be_names_nobody(opened: Store) -> None:
    """A NUL is no part of a name."""
    strange = LogoutWord("\0", "w1", NOW + 60, {"sub": frozenset({"a"})})

    assert opened.portal.end_named(strange, "back_channel", NOW) == EndedByWord(0, ())
