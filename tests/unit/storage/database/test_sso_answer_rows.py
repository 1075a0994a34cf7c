"""What is kept of providers: their answers, bounded, and the last good copy of what they say of themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.database import sso_answers as module
from storage.database.sso_answers import SsoAnswer
from storage.database.store import Store

NOW = 1_000_000.0
URL = "https://idp.example/metadata"
ANSWER = SsoAnswer(
    "entra",
    "sign_in",
    "refused",
    "out_of_time",
    "too old",
    "192.0.2.1",
    NOW,
    "oid-1",
    [{"name": "time", "passed": False, "detail": "too old"}],
    {"groups": ["a", "b"]},
    "<xml/>",
)


def test_an_answer_is_kept_as_it_was(store: Store) -> None:
    """With its checks and claims, under its number."""
    number = store.sso_answers.add(ANSWER)

    assert store.sso_answers.by_id(number) == replace(ANSWER, id=number)
    assert store.sso_answers.by_id(number + 1) is None


def test_answers_hold_what_no_database_takes(store: Store) -> None:
    """Strangers choose the text."""
    claims = {"n\0": ["v\ud800"]}
    number = store.sso_answers.add(replace(ANSWER, detail="\0" * 5000, body="\0" * 100_000, claims=claims))

    kept = store.sso_answers.by_id(number)
    assert kept is not None
    assert "\0" not in kept.detail + kept.body
    assert len(kept.detail) <= module.MAX_DETAIL


def test_an_answer_is_kept_whole(store: Store) -> None:
    """As long as answers of providers are: an admin looks for the attribute that is not as expected."""
    body = "<Response>\n" + "<AttributeValue>group</AttributeValue>\n" * 150 + "</Response>"
    number = store.sso_answers.add(replace(ANSWER, body=body, detail="d" * 1000))

    kept = store.sso_answers.by_id(number)
    assert kept is not None
    assert (kept.body, kept.detail) == (body, "d" * 1000)


def test_the_newest_come_first(store: Store) -> None:
    """Of one provider."""
    first, second = store.sso_answers.add(ANSWER), store.sso_answers.add(ANSWER)
    store.sso_answers.add(replace(ANSWER, provider="okta"))

    assert [one.id for one in store.sso_answers.list("entra", 10)] == [second, first]
    assert [one.id for one in store.sso_answers.list("entra", 1)] == [second]
    assert store.sso_answers.list("\0", 1) == []


def test_a_provider_has_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's answers cannot fill the disk, and put out no other provider's."""
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    store.sso_answers.add(replace(ANSWER, provider="okta"))
    numbers = [store.sso_answers.add(ANSWER) for _ in range(5)]

    assert [one.id for one in store.sso_answers.list("entra", 10)] == numbers[:1:-1]
    assert len(store.sso_answers.list("okta", 10)) == 1


def test_old_answers_go(store: Store) -> None:
    """After their time."""
    store.sso_answers.add(ANSWER)
    store.sso_answers.add(replace(ANSWER, at=NOW + 10))

    assert store.sso_answers.prune(NOW + 10) == 1
    assert [one.at for one in store.sso_answers.list("entra", 10)] == [NOW + 10]


def test_the_last_good_copy_outlives_a_failure(store: Store) -> None:
    """With the reason beside it, until there is a better one."""
    store.sso_kept.put("entra", URL, "<good/>", NOW)
    store.sso_kept.failed("entra", URL, "no answer", NOW + 5)
    failed = store.sso_kept.of("entra", URL)
    store.sso_kept.put("entra", URL, "<better/>", NOW + 9)
    better = store.sso_kept.of("entra", URL)

    assert failed is not None
    assert (failed.body, failed.fetched_at, failed.tried_at, failed.problem) == ("<good/>", NOW, NOW + 5, "no answer")
    assert better is not None
    assert (better.body, better.problem) == ("<better/>", "")


def test_a_failure_before_the_first_copy_is_kept(store: Store) -> None:
    """So that an admin sees why nobody can sign in there."""
    store.sso_kept.failed("entra", URL, "no such host", NOW)

    kept = store.sso_kept.of("entra", URL)
    assert kept is not None
    assert (kept.body, kept.fetched_at, kept.problem) == ("", None, "no such host")


def test_a_copy_from_another_address_is_worthless(store: Store) -> None:
    """An admin who changes the address is not served by the old provider's keys."""
    store.sso_kept.put("entra", URL, "<good/>", NOW)

    assert store.sso_kept.of("entra", "https://other.example/") is None
    assert store.sso_kept.of("\0", URL) is None
    store.sso_kept.failed("entra", "https://other.example/", "no answer", NOW)
    assert store.sso_kept.of("entra", URL) is None
