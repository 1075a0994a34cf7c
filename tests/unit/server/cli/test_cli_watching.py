"""``quaymaster session``, ``audit`` and ``explain``: looking at what goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from config.settings import Settings
from storage.database.records import SessionRow
from storage.database.store import Store, open_store
from tests.support.cli import Cli


@pytest.fixture
def store(cli: Cli) -> Iterator[Store]:
    """The store under the command line, with one user."""
    cli.ok("user", "add", "anna", "--method", "oidc")
    opened = open_store(Settings(data=cli.data).database_url)
    yield opened
    opened.close()


def connect(store: Store, session_id: str) -> None:
    user = store.users.by_name("anna")
    assert user is not None
    now = time.time()
    store.sessions.open(
        SessionRow(session_id, user.id, "anna", "sftp", "192.0.2.1", "key", None, user.epoch, "w1", now, now)
    )


def test_sessions_are_listed(cli: Cli, store: Store) -> None:
    """A JSON array of the live sessions of all workers; empty when nobody is connected."""
    assert cli.ok("session", "list") == []
    connect(store, "a" * 32)

    (row,) = cli.ok("session", "list", "--user=anna")

    assert (row["id"], row["user"], row["front_end"], row["peer"]) == ("a" * 32, "anna", "sftp", "192.0.2.1")


def test_cut_asks_every_worker_to_end_the_sessions(cli: Cli, store: Store) -> None:
    """One revocation and one audit event for each session: by id, then all of a user."""
    before = store.revocations.latest()
    for letter in "abc":
        connect(store, letter * 32)

    one = cli.ok("session", "cut", "a" * 32)
    every = cli.ok("session", "cut", "--user", "anna")

    assert one["cut"] == ["a" * 32]
    assert sorted(every["cut"]) == ["a" * 32, "b" * 32, "c" * 32]
    assert store.revocations.since(before)[0].session_id == "a" * 32
    assert len(store.revocations.since(before)) == 4
    assert len(cli.ok("audit", "tail", "--kind=session.cut_requested")) == 4


def test_cut_needs_one_target(cli: Cli, store: Store) -> None:
    """Neither both nor none; an unknown session is told."""
    assert cli.run("session", "cut").code == 1
    assert cli.run("session", "cut", "x", "--user", "anna").code == 1
    assert "no live session" in cli.run("session", "cut", "x").err


def test_audit_tail_gives_the_newest_events_oldest_first(cli: Cli, store: Store) -> None:
    """``--limit`` counts from the end; ``--user`` and ``--kind`` choose."""
    for number in range(5):
        store.audit.add("test.event", "system", f"user{number}", "ok", "")

    assert [row["subject"] for row in cli.ok("audit", "tail", "--limit=2")] == ["user3", "user4"]
    assert [row["subject"] for row in cli.ok("audit", "tail", "--user=USER2")] == ["user2"]
    assert [row["subject"] for row in cli.ok("audit", "tail", "--kind=user.created")] == ["anna"]


def test_a_strangers_name_cannot_drive_the_terminal(cli: Cli, store: Store) -> None:
    """Escape sequences and right-to-left marks in the trail are shown, not obeyed."""
    store.audit.add("login", "system", "a\u202eb\u009b31m", "refused", "unknown_user")

    said = cli.run("audit", "tail", "--kind=login")

    assert "\u202e" not in said.out
    assert "\u009b" not in said.out
    assert "a\\u202eb" in said.out


@pytest.mark.parametrize("front_end", ["sftp", "ftps", "webdav", "api", "portal"])
def test_explain_refuses_the_password_of_an_sso_user_everywhere(cli: Cli, store: Store, front_end: str) -> None:
    """The rule of the product, as the command tells it; exit code 0, for it is an answer."""
    answer = cli.ok("explain", "anna", "--front-end", front_end, "--credential", "password", "--from", "10.0.0.1")

    assert (answer["allowed"], answer["reason"]) == (False, "sso_password_refused")
    assert answer["steps"]


def test_explain_allows_a_user_with_an_api_key(cli: Cli, store: Store) -> None:
    """With a key the answer turns; without JSON the same is told in words."""
    arguments = ("anna", "--front-end", "webdav", "--credential", "apikey")
    before = cli.ok("explain", *arguments)
    cli.ok("apikey", "issue", "anna")

    after = cli.ok("explain", *arguments)

    assert (before["allowed"], after["allowed"], after["reason"]) == (False, True, "granted")
    assert cli.run("explain", *arguments).out.startswith("ALLOWED: granted")


def test_explain_of_an_unknown_user_is_an_answer(cli: Cli) -> None:
    """Not an error: that is what would happen."""
    answer = cli.ok("explain", "nobody", "--front-end", "sftp", "--credential", "key")

    assert (answer["allowed"], answer["reason"]) == (False, "unknown_user")
    assert "no address" in cli.run("explain", "x", "--front-end=sftp", "--credential=key", "--from=home").err
