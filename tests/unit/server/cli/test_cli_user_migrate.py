"""``quaymaster user migrate --dry-run``: who is ready, and what keeps the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from storage.database.changes import SetStatus, UpdateUser, UserFields
from storage.database.records import Method, Role, Status
from storage.database.store import Store
from tests.support.cli import Cli
from tests.support.migration_rows import directory_user
from tests.support.moving_site import TO, by_name, speaks_of, used_password
from tests.support.store_rows import ACTOR, make_api_key, make_ssh_key, make_user, user_again
from tests.unit.server.cli.conftest import Kept, KeptSso, Opened


@pytest.fixture
def store(keep: Kept, keep_sso: KeptSso, opened: Opened) -> Iterator[Store]:
    """The store of a site with the directory ``corp`` and the identity provider ``entra``."""
    keep()
    keep_sso(method="oidc")
    with opened() as found:
        yield found


# Who is ready -------------------------------------------------------------------------------------


def test_a_dry_run_says_of_everybody_what_a_run_would_do(cli: Cli, store: Store) -> None:
    """Ready, blocked, without a link, in conflict; and changes nothing."""
    ready, blocked, clash = (directory_user(store, name) for name in ("ready", "blocked", "clash"))
    directory_user(store, "nolink")
    make_user(store, "local")
    for user in (ready, blocked):
        used_password(store, user)
        speaks_of(store, user.name)
    make_ssh_key(store, ready)
    speaks_of(store, "clash@lab.test", "oid-clash")
    epochs = {user.name: user_again(store, user).epoch for user in (ready, blocked, clash)}

    data = cli.ok("user", "migrate", "--all", *TO, "--dry-run")
    given = cli.ok("user", "migrate", "clash", *TO, "--external-id", "oid-clash", "--dry-run")

    rows = by_name(data)
    assert {name: row["state"] for name, row in rows.items()} == {
        "blocked": "password-in-use",
        "clash": "no-link",
        "nolink": "no-link",
        "ready": "ready",
    }
    assert data["counts"] == {
        "ready": 1,
        "password-in-use": 1,
        "no-link": 2,
        "conflict": 0,
        "migrated": 0,
        "not-movable": 0,
        "admins": 0,
    }
    assert (rows["ready"]["external_id"], rows["ready"]["found_by"]) == ("oid-ready", "scim")
    assert (rows["ready"]["keys"], rows["ready"]["apikeys"], list(rows["ready"]["password_used"])) == (1, 0, ["sftp"])
    assert "in use on sftp, and no key is good for that" in rows["blocked"]["reason"]
    assert rows["nolink"]["external_id"] is None
    assert by_name(given)["clash"]["state"] == "conflict"
    assert {user.name: user_again(store, user).epoch for user in (ready, blocked, clash)} == epochs
    assert store.migrations.journal() == []


def test_the_dry_run_is_a_table_with_the_next_steps(cli: Cli, store: Store) -> None:
    """For an admin at a terminal: a row for each, the counts, and what helps whom."""
    user = directory_user(store)
    directory_user(store, "bob", role=Role.ADMIN)
    used_password(store, user, "ftps")
    speaks_of(store, "ann")

    said = cli.run("user", "migrate", "--all", *TO, "--dry-run")

    assert said.code == 0
    assert "a password is in use on ftps, and no key is good for that" in said.out
    assert "admin: the role admin of corp ends" in said.out
    assert "entra: 1 password in use, 1 no link" in said.out
    assert "Let entra provision these people" in said.err
    assert "--include-blocked" in said.err


@pytest.mark.parametrize(
    ("protocols", "used", "blocked"),
    [
        (None, ("sftp",), ["sftp"]),
        ((), ("sftp", "ftps", "webdav"), []),
        (("ftps",), ("ftps",), []),
        (("ftps",), ("ftps", "webdav"), ["webdav"]),
        (None, ("portal",), []),
    ],
)
def test_a_key_counts_where_it_lets_somebody_in(
    cli: Cli, store: Store, protocols: tuple[str, ...] | None, used: tuple[str, ...], blocked: list[str]
) -> None:
    """Each front end that was used with a password needs one; the portal does not, as SSO is the way in there."""
    user = directory_user(store)
    for front_end in used:
        used_password(store, user, front_end)
    if protocols is not None:
        make_api_key(store, user, protocols=frozenset(protocols))
    speaks_of(store, "ann")

    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]

    assert row["without_key"] == blocked
    assert row["state"] == ("password-in-use" if blocked else "ready")


@pytest.mark.parametrize(
    ("keys", "notes"),
    [
        ([{}], []),
        ([{"read_only": True}], ["the only keys for sftp, webdav are narrowed: read-only"]),
        ([{"read_only": True}, {}], []),
        (
            [{"networks": ("10.0.0.0/8",)}, {"path_prefixes": ("/in",), "protocols": frozenset({"webdav"})}],
            [
                "the only keys for sftp are narrowed: networks",
                "the only keys for webdav are narrowed: networks, paths, protocols",
            ],
        ),
        ([{"protocols": frozenset({"ftps"})}], ["the API keys are narrowed to ftps"]),
        ([{"read_only": True, "expires_at": 1.0}, {}], []),
    ],
)
def test_what_a_key_is_worth_is_said_where_a_password_is_in_use(
    cli: Cli, store: Store, keys: list[dict[str, Any]], notes: list[str]
) -> None:
    """Whoever wrote anywhere by password, and has one that only reads, or from one network, is not as before."""
    user = directory_user(store)
    used_password(store, user)
    used_password(store, user, "webdav")
    for number, limits in enumerate(keys):
        make_api_key(store, user, f"k{number}", **limits)
    speaks_of(store, "ann")

    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]

    assert row["notes"] == notes
    assert all(note in row["why"] for note in notes)


def test_a_narrowed_ssh_key_is_told_for_sftp_alone(cli: Cli, store: Store) -> None:
    """Nowhere else is it a way in."""
    user = directory_user(store)
    used_password(store, user)
    make_ssh_key(store, user, read_only=True)
    speaks_of(store, "ann")

    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]

    assert (row["state"], row["notes"]) == ("ready", ["the only keys for sftp are narrowed: read-only"])


def test_a_password_of_long_ago_blocks_nobody(cli: Cli, store: Store) -> None:
    """Thirty days are what the sessions are kept for."""
    user = directory_user(store)
    used_password(store, user, days_ago=31)
    speaks_of(store, "ann")

    assert by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]["state"] == "ready"


def test_who_would_be_locked_out_moves_if_it_is_said(cli: Cli, store: Store) -> None:
    """--include-blocked; the preview says what that means."""
    user = directory_user(store)
    used_password(store, user)
    speaks_of(store, "ann")

    refused = cli.run("user", "migrate", "ann", *TO, "--yes")
    told = by_name(cli.ok("user", "migrate", "ann", *TO, "--include-blocked", "--dry-run"))["ann"]
    done = cli.run("user", "migrate", "ann", *TO, "--include-blocked", "--yes")

    assert (refused.code, done.code) == (1, 0)
    assert "Nobody is ready to move." in refused.err
    assert told["notes"] == ["locked out from sftp until there is a key"]
    assert user_again(store, user).method is Method.OIDC


def test_what_becomes_of_an_admins_role_is_said_before(cli: Cli, store: Store) -> None:
    """One that a group of the directory gave ends; one that an admin said stays."""
    directory_user(store, "ann", role=Role.ADMIN)
    bob = directory_user(store, "bob")
    store.apply(UpdateUser(bob.id, UserFields(role=Role.READ_ONLY_ADMIN)), actor=ACTOR)
    for name in ("ann", "bob"):
        speaks_of(store, name)

    data = cli.ok("user", "migrate", "--all", *TO, "--dry-run")
    cli.ok("user", "migrate", "--all", *TO, "--yes")

    rows = by_name(data)
    assert data["counts"]["admins"] == 2
    assert [(rows[name]["role"], rows[name]["role_after"]) for name in ("ann", "bob")] == [
        ("admin", "user"),
        ("read-only-admin", "read-only-admin"),
    ]
    assert rows["bob"]["notes"] == ["admin: the role read-only-admin stays, an admin gave it"]
    assert [user.role for user in store.users.list()] == [Role.USER, Role.READ_ONLY_ADMIN]


def test_what_else_an_admin_should_look_at(cli: Cli, store: Store) -> None:
    """Another e-mail address there, an end date of the directory, a user who is out, a pilot."""
    user = directory_user(store, expires_at=4_000_000_000.0)
    store.apply(SetStatus(user.id, Status.DISABLED), actor=ACTOR)
    speaks_of(store, "ann", emails=[{"value": "ann@other.test"}])
    cli.ok("user", "pilot", "ann", *TO)

    row = by_name(cli.ok("user", "migrate", "--pilots", *TO, "--dry-run"))["ann"]

    assert row["notes"] == [
        "pilot",
        "is disabled, and stays so",
        "still expires at 2096-10-02T07:06:40Z",
        "e-mail is ann@lab.test here and ann@other.test there: the same person?",
    ]
    assert row["provider_says"] == {"user_name": "ann", "display_name": "", "email": "ann@other.test"}


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Who shall move?"),
        (("ann", "--all"), "exclude each other"),
        (("--group", "crew", "--pilots"), "exclude each other"),
        (("--all", "--external-id", "x"), "one person's"),
        (("ann", "--external-id", "a\tb"), "no immutable id"),
        (("ann", "--from", "entra"), "not a directory"),
        (("bob", "--from", "corp"), "does not belong to 'corp'"),
        (("nobody",), "no user 'nobody'"),
    ],
)
def test_a_choice_that_is_none_or_two_is_refused(
    cli: Cli, store: Store, arguments: tuple[str, ...], words: str
) -> None:
    """Before anything is judged."""
    directory_user(store)
    make_user(store, "bob")

    said = cli.run("user", "migrate", *arguments, *TO, "--yes")

    assert said.code == 1
    assert words in said.err


@pytest.mark.parametrize(("to", "words"), [("nowhere", "no provider 'nowhere'"), ("corp", "not an identity provider")])
def test_the_identity_provider_must_be_there(cli: Cli, store: Store, to: str, words: str) -> None:
    """Nobody is sent to where nobody can sign in."""
    directory_user(store)

    for command in (("migrate", "ann", "--yes"), ("pilot", "ann")):
        said = cli.run("user", *command, "--to", to)
        assert said.code == 1
        assert words in said.err
