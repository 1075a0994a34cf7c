"""``quaymaster user migrate`` and people who are somebody else's: named, with the way out, and never merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from storage.database.changes import LinkIdentity
from storage.database.store import Store
from tests.support.cli import Cli
from tests.support.migration_rows import directory_user
from tests.support.moving_site import TO, by_name, speaks_of
from tests.support.store_rows import ACTOR, make_api_key, make_ssh_key, make_user, user_again
from tests.unit.server.cli.conftest import Kept, KeptSso, Opened


@pytest.fixture
def store(keep: Kept, keep_sso: KeptSso, opened: Opened) -> Iterator[Store]:
    """The store of a site with the directory ``corp`` and the identity provider ``entra``."""
    keep()
    keep_sso(method="oidc")
    with opened() as found:
        yield found


# Conflicts ----------------------------------------------------------------------------------------


def second_user(cli: Cli, store: Store) -> dict[str, Any]:
    """The client has made the person a second time, under a name that nobody had; what a dry run says."""
    assert speaks_of(store, "ann@lab.test", "oid-ann").status == 201
    told = cli.ok("user", "migrate", "ann", *TO, "--external-id", "oid-ann", "--dry-run")
    return by_name(told)["ann"]


def test_a_second_user_that_the_client_made_is_named_with_the_way_out(cli: Cli, store: Store) -> None:
    """Empty: delete it and move on; the commands that it names do that, and the client finds the first user then."""
    user = directory_user(store)
    row = second_user(cli, store)
    refused = cli.run("user", "migrate", "ann", *TO, "--external-id", "oid-ann", "--yes")
    cli.ok("user", "delete", "ann@lab.test")
    cli.ok("user", "migrate", "ann", *TO, "--external-id", "oid-ann", "--yes")
    name_goes_on = speaks_of(store, "ann@lab.test", "oid-ann")

    assert (row["state"], refused.code) == ("conflict", 1)
    assert row["reason"].endswith("linked to the user ann@lab.test, whom its client made; it has nothing")
    assert "quaymaster user delete ann@lab.test, then at once quaymaster user migrate ann --to entra" in row["next"]
    assert name_goes_on.status == 201
    assert store.users.by_login("ann@lab.test") == user_again(store, user)


def test_a_second_user_with_belongings_is_told_with_them(cli: Cli, store: Store) -> None:
    """Keys, grants and files are named, so that nothing is deleted unseen."""
    directory_user(store)
    second_user(cli, store)
    second = store.users.by_name("ann@lab.test")
    assert second is not None
    make_ssh_key(store, second)
    for number in (1, 2):
        make_api_key(store, second, f"k{number}")
    cli.ok("grant", "add", "--user", "ann@lab.test", "--path", "/x", "--preset", "read-only")
    home = cli.data / "files" / "home" / second.home
    home.mkdir(parents=True)
    (home / "report").touch()
    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--external-id", "oid-ann", "--dry-run"))["ann"]

    assert f"it has 1 key, 2 API keys, 1 grant of its own, files in {home}" in row["reason"]
    assert row["next"].startswith("decide which of the two the person keeps")


def test_an_admins_link_of_another_user_is_a_conflict(cli: Cli, store: Store) -> None:
    """It can be ended, if it is wrong."""
    directory_user(store)
    other = make_user(store, "bob")
    store.apply(LinkIdentity(other.id, "entra", "oid-ann"), actor=ACTOR)

    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--external-id", "oid-ann", "--dry-run"))["ann"]

    assert row["reason"] == "this person of entra is linked to the user bob"
    assert "quaymaster user unlink bob --provider entra" in row["next"]


def test_a_name_that_is_another_users_is_a_conflict(cli: Cli, store: Store) -> None:
    """The client would call the moved user by somebody else's name."""
    directory_user(store)
    make_user(store, "bob")
    speaks_of(store, "bob", "oid-ann")

    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--external-id", "oid-ann", "--dry-run"))["ann"]

    assert (row["state"], row["reason"]) == ("conflict", "entra calls the person bob, and this name is the user bob's")


def test_a_name_of_somebody_who_is_gone_is_a_conflict(cli: Cli, store: Store) -> None:
    """It stays reserved."""
    directory_user(store)
    make_user(store, "bob")
    cli.ok("user", "delete", "bob")
    speaks_of(store, "bob", "oid-ann")

    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--external-id", "oid-ann", "--dry-run"))["ann"]

    assert row["reason"].endswith("and this name is a user's who is gone, and stays reserved")


def test_whom_the_provider_has_ended_does_not_move(cli: Cli, store: Store) -> None:
    """A move must put nobody out."""
    directory_user(store)
    speaks_of(store, "ann", active=False)

    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]

    assert row["state"] == "conflict"
    assert "is not active; enable the person there first" in row["reason"]
