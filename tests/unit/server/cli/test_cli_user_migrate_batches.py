"""``quaymaster user migrate``: the moves, and batches that end before their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from server.cli.user.migrate import run as user_migrate_run
from storage.database.changes import AddMember
from storage.database.records import Method, User
from storage.database.store import Store, StoreUnavailable
from tests.support.cli import Cli
from tests.support.migration_rows import directory_group, directory_user
from tests.support.moving_site import TO, ask, by_name, speaks_of
from tests.support.store_rows import ACTOR, make_group, make_user, user_again
from tests.unit.server.cli.conftest import Kept, KeptSso, Opened


@pytest.fixture
def store(keep: Kept, keep_sso: KeptSso, opened: Opened) -> Iterator[Store]:
    """The store of a site with the directory ``corp`` and the identity provider ``entra``."""
    keep()
    keep_sso(method="oidc")
    with opened() as found:
        yield found


# The moves ----------------------------------------------------------------------------------------


def test_a_user_moves_and_the_client_finds_the_user(cli: Cli, store: Store) -> None:
    """By its own name, under the same id; the login name stays."""
    user = directory_user(store, aliases=frozenset({"ann@lab.test"}))
    speaks_of(store, "ann@lab.test", "oid-ann")
    data = cli.ok("user", "migrate", "ann", *TO, "--yes")
    found = ask(store, "GET", "/Users", query='filter=userName eq "ann@lab.test"')
    renamed = ask(
        store, "PATCH", f"/Users/{user.id}", {"Operations": [{"op": "replace", "path": "displayName", "value": "A"}]}
    )

    after, row = user_again(store, user), by_name(data)["ann"]
    assert found.body is not None
    assert [one["id"] for one in found.body["Resources"]] == [user.id]
    assert renamed.status == 200
    assert (after.name, after.method, after.provider, after.display_name) == ("ann", Method.OIDC, "entra", "A")
    assert (row["migration"], row["error"], data["counts"]["moved"], data["stopped"]) == (1, None, 1, "")


def test_all_members_of_a_group_move_in_one_batch(cli: Cli, store: Store) -> None:
    """Local users in it are left alone, those of another directory as well; who has moved is no mistake."""
    crew = directory_group(store)
    for name in ("ann", "bob"):
        directory_user(store, name, groups=frozenset({crew}))
        speaks_of(store, name)
    local, other = make_user(store, "cleo"), make_user(store, "dora", Method.LDAP, provider="elsewhere")
    for user in (local, other):
        store.apply(AddMember(user.id, crew), actor=ACTOR)

    first = cli.ok("user", "migrate", "--group", "crew", "--from", "corp", *TO, "--yes")
    again = cli.run("user", "migrate", "--group", "crew", *TO, "--yes")
    whole = cli.ok("user", "migrate", "--group", "crew", *TO, "--dry-run")

    states = {name: row["state"] for name, row in by_name(whole).items()}
    journal = cli.ok("user", "migrations")
    assert [row["user"] for row in first["users"]] == ["ann", "bob"]
    assert {row["batch"] for row in journal} == {first["batch"]}
    assert (again.code, states) == (
        1,
        {"ann": "migrated", "bob": "migrated", "cleo": "not-movable", "dora": "no-link"},
    )


def test_who_moved_already_is_no_failure(cli: Cli, store: Store) -> None:
    """A script may say it again."""
    directory_user(store)
    speaks_of(store, "ann")
    cli.ok("user", "migrate", "ann", *TO, "--yes")

    again = cli.ok("user", "migrate", "ann", *TO, "--yes")

    assert by_name(again)["ann"]["state"] == "migrated"
    assert len(store.migrations.journal()) == 1


@pytest.mark.parametrize(("option", "left"), [((), ["crew", "own"]), (("--groups", "drop"), ["own"])])
def test_the_admin_says_what_becomes_of_the_directorys_groups(
    cli: Cli, store: Store, option: tuple[str, ...], left: list[str]
) -> None:
    """Kept as the site's own unless they are to end."""
    user = directory_user(store, groups=frozenset({directory_group(store)}))
    store.apply(AddMember(user.id, make_group(store, "own").id), actor=ACTOR)
    cli.ok("user", "migrate", "ann", *TO, "--external-id", "oid-1", "--yes", *option)

    assert [group.name for group in store.users.groups_of(user.id)] == left


def test_nothing_moves_without_a_word(cli: Cli, store: Store) -> None:
    """A script must say --yes; the preview was printed."""
    user = directory_user(store)
    speaks_of(store, "ann")

    said = cli.run("user", "migrate", "ann", *TO)

    assert said.code == 1
    assert "This must be confirmed" in said.err
    assert "oid-ann" in said.out
    assert user_again(store, user) == user


def test_a_named_user_who_cannot_move_is_a_failure(cli: Cli, store: Store) -> None:
    """The others move all the same."""
    directory_user(store)
    directory_user(store, "bob")
    speaks_of(store, "ann")

    said = cli.run("user", "migrate", "ann", "bob", *TO, "--yes")

    assert said.code == 1
    assert "Not everybody moved: bob." in said.err
    assert [row.user_name for row in store.migrations.journal()] == ["ann"]


# Batches that end early ---------------------------------------------------------------------------


@pytest.fixture
def six(store: Store) -> list[User]:
    """Six users who are ready."""
    users = [directory_user(store, f"user-{number}") for number in range(6)]
    for user in users:
        speaks_of(store, user.name)
    return users


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int, happen: Callable[[], object]) -> None:
    """Let something happen just before each move from this one on."""

    @contextmanager
    def telling(_count: int) -> Iterator[Callable[[int], object]]:
        yield lambda number: happen() if number >= at else None

    monkeypatch.setattr(user_migrate_run, "telling", telling)


def test_a_batch_stops_at_the_limit_of_errors(
    cli: Cli, store: Store, six: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other changes came in between; who had moved until then has, and the rest was not tried."""

    def spoilt() -> None:
        for user in six[1:]:
            if store.users.by_id(user.id) is not None:
                cli.ok("user", "delete", user.name)

    interrupted(monkeypatch, 1, spoilt)
    said = cli.run("user", "migrate", "--all", *TO, "--stop-after", "2", "--yes", "--json")

    rows = by_name(said.data)
    assert said.code == 1
    assert said.data["stopped"] == "stopped after 2 errors"
    assert (said.data["counts"]["moved"], said.data["counts"]["failed"]) == (1, 2)
    assert [rows[user.name]["error"] for user in six] == [None, *["There is no such user."] * 2, None, None, None]
    assert [row.user_name for row in store.migrations.journal()] == ["user-0"]


def test_ctrl_c_ends_a_batch_between_two_users(
    cli: Cli, store: Store, six: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was being moved is moved whole; running it again does the rest."""
    interrupted(monkeypatch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    said = cli.run("user", "migrate", "--all", *TO, "--yes")
    monkeypatch.undo()
    rest = cli.ok("user", "migrate", "--all", *TO, "--yes")

    assert said.code == 1
    assert "Not everybody moved: interrupted." in said.err
    assert (len(six), rest["counts"]["moved"]) == (6, 3)


def test_a_database_that_is_gone_ends_a_batch(
    cli: Cli, store: Store, six: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done is done and in the journal, and the exit code says that it is not all."""
    real, calls = Store.apply, iter(range(100))

    def apply(self: Store, *arguments: Any, **named: Any) -> Any:
        if next(calls) == 2:
            raise StoreUnavailable("The disk is full.")
        return real(self, *arguments, **named)

    monkeypatch.setattr(Store, "apply", apply)
    said = cli.run("user", "migrate", "--all", *TO, "--yes", "--json")

    assert said.code == 1
    assert said.data["stopped"] == "the database cannot be reached: The disk is full."
    assert (len(six), len(store.migrations.journal())) == (6, 2)
