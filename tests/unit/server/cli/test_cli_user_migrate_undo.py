"""``quaymaster user pilot``, ``migrations`` and ``migrate-undo``: who tries it, the journal, and the way back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.database.records import Method, Status
from storage.database.store import Store
from tests.support.cli import Cli, Said
from tests.support.migration_rows import directory_user
from tests.support.moving_site import TO, ask, by_name, speaks_of
from tests.support.store_rows import make_user, user_again
from tests.unit.server.cli.conftest import Kept, KeptSso, Opened


@pytest.fixture
def store(keep: Kept, keep_sso: KeptSso, opened: Opened) -> Iterator[Store]:
    """The store of a site with the directory ``corp`` and the identity provider ``entra``."""
    keep()
    keep_sso(method="oidc")
    with opened() as found:
        yield found


# Pilots -------------------------------------------------------------------------------------------


def test_a_pilot_is_marked_and_linked_and_keeps_the_password(cli: Cli, store: Store) -> None:
    """Method and owner stay; the link is there for signing in to be tried, and the move follows it."""
    user = directory_user(store)
    directory_user(store, "bob")
    speaks_of(store, "ann")

    marked = cli.ok("user", "pilot", "ann", "bob", *TO)
    again = cli.ok("user", "pilot", "ann", *TO)
    dry = cli.ok("user", "migrate", "--pilots", *TO, "--dry-run")

    assert [(row["user"], row["link"], row["pilot"]) for row in marked] == [
        ("ann", "staged", True),
        ("bob", "none", True),
    ]
    assert again[0]["link"] == "present"
    assert user_again(store, user).method is Method.LDAP
    assert store.users.by_identity("entra", "oid-ann") == user_again(store, user)
    assert {name: (row["state"], row["found_by"]) for name, row in by_name(dry).items()} == {
        "ann": ("ready", "link"),
        "bob": ("no-link", None),
    }
    assert by_name(dry)["ann"]["provider_says"]["user_name"] == "ann"


def test_a_mark_can_be_taken_away(cli: Cli, store: Store) -> None:
    """The link stays, as nobody knows who else counts on it; the command that ends it is named."""
    user = directory_user(store)
    speaks_of(store, "ann")
    cli.ok("user", "pilot", "ann", *TO)

    said = cli.run("user", "pilot", "ann", *TO, "--remove")

    assert said.code == 0
    assert "quaymaster user unlink ann --provider entra" in said.err
    assert store.migrations.pilots() == []
    assert store.users.identity(user.id, "entra") is not None


def test_only_ldap_users_can_be_pilots(cli: Cli, store: Store) -> None:
    """One who cannot is named, and nobody is marked."""
    directory_user(store)
    make_user(store, "bob")

    said = cli.run("user", "pilot", "ann", "bob", *TO)

    assert said.code == 1
    assert "only ldap users move" in said.err
    assert store.migrations.pilots() == []


def test_a_pilot_in_conflict_is_marked_without_a_link(cli: Cli, store: Store) -> None:
    """And the conflict is told."""
    directory_user(store)
    speaks_of(store, "ann", "oid-ann", active=False)

    said = cli.run("user", "pilot", "ann", *TO)

    assert said.code == 0
    assert "is not active" in said.err
    assert [pilot.user_name for pilot in store.migrations.pilots("entra")] == ["ann"]
    assert store.users.by_identity("entra", "oid-ann") is None


# The journal and the way back ---------------------------------------------------------------------


def moved(cli: Cli, *names: str) -> Said:
    """Move these users by one command."""
    said = cli.run("user", "migrate", *names, *TO, "--yes")
    assert said.code == 0, said.err
    return said


def test_the_journal_says_until_when_a_move_can_be_undone(cli: Cli, store: Store) -> None:
    """Newest first."""
    for name in ("ann", "bob"):
        directory_user(store, name)
        speaks_of(store, name)
    empty = cli.run("user", "migrations")
    moved(cli, "ann")
    moved(cli, "bob")
    cli.ok("user", "migrate-undo", "1", "--yes")

    second, first = cli.ok("user", "migrations")
    assert "Nobody has moved" in empty.err
    assert (second["user"], second["from"], second["to"], second["state"]) == ("bob", "corp", "entra", "can be undone")
    assert second["undo_until"] > second["at"]
    assert (first["state"], first["undo_until"]) == ("undone", None)
    assert first["undone_by"].startswith("cli:")
    assert len(cli.ok("user", "migrations", "--limit", "1")) == 1
    assert "can be undone" in cli.run("user", "migrations").out


def test_the_last_batch_is_given_back(cli: Cli, store: Store) -> None:
    """Everybody of it, and nobody of the one before."""
    users = {name: directory_user(store, name) for name in ("ann", "bob", "cleo")}
    for name in users:
        speaks_of(store, name)
    moved(cli, "ann")
    moved(cli, "bob", "cleo")

    asked = cli.run("user", "migrate-undo", "--last-batch")
    done = cli.ok("user", "migrate-undo", "--last-batch", "--yes")

    methods = {name: user_again(store, user).method for name, user in users.items()}
    assert (asked.code, [row["user"] for row in done["undone"]]) == (1, ["cleo", "bob"])
    assert methods == {"ann": Method.OIDC, "bob": Method.LDAP, "cleo": Method.LDAP}


def test_who_was_put_out_meanwhile_is_told(cli: Cli, store: Store) -> None:
    """The user is the directory's again, and stays out; the words say how to let the user in."""
    user = directory_user(store)
    speaks_of(store, "ann")
    moved(cli, "ann")
    off = {"Operations": [{"op": "replace", "path": "active", "value": False}]}
    assert ask(store, "PATCH", f"/Users/{user.id}", off).status == 200

    said = cli.run("user", "migrate-undo", "1", "--yes")
    cli.ok("user", "enable", "ann")

    assert said.code == 0
    assert "quaymaster sync run corp --full" in said.err
    assert "ann stays out, as before" in said.err
    assert user_again(store, user).status is Status.ACTIVE


def test_what_cannot_be_undone_is_told_and_the_rest_is(cli: Cli, store: Store) -> None:
    """Exit code 1, with the words for each."""
    for name in ("ann", "bob"):
        directory_user(store, name)
        speaks_of(store, name)
    moved(cli, "ann", "bob")
    cli.ok("user", "delete", "ann")

    said = cli.run("user", "migrate-undo", "1", "2", "--yes", "--json")

    assert said.code == 1
    assert said.data["undone"] == [{"migration": 2, "user": "bob"}]
    assert said.data["failed"] == [{"migration": 1, "user": "ann", "error": "The user 'ann' was deleted since."}]
    assert "Not everybody was given back." in said.err


def test_nobody_is_given_back_to_a_directory_that_is_gone(cli: Cli, store: Store) -> None:
    """It can be removed when everybody has moved, and then there is nothing to check a password at."""
    user = directory_user(store)
    speaks_of(store, "ann")
    moved(cli, "ann")
    cli.ok("provider", "remove", "corp", "--yes")

    said = cli.run("user", "migrate-undo", "1", "--yes")

    assert said.code == 1
    assert "The directory 'corp' is not set up any more." in said.err
    assert user_again(store, user).method is Method.OIDC


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Which one?"),
        (("1", "--last-batch"), "Which one?"),
        (("--last-batch",), "nothing to undo"),
        (("7",), "no migration 7"),
    ],
)
def test_an_undo_that_means_nothing_is_refused(cli: Cli, store: Store, arguments: tuple[str, ...], words: str) -> None:
    """In words."""
    assert store.migrations.journal() == []
    said = cli.run("user", "migrate-undo", *arguments, "--yes")

    assert said.code == 1
    assert words in said.err
