"""``quaymaster user migrate --dry-run``: who is ready, what keeps the others, and how each link is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database.changes import LinkIdentity, SetStatus, UpdateUser, UserFields
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


# How the link is found ----------------------------------------------------------------------------


def test_a_link_is_found_by_what_counts_most(cli: Cli, store: Store) -> None:
    """What the admin says now, then a link that an admin made, then the one person who would be this user."""
    user = directory_user(store)
    speaks_of(store, "ann", "oid-said")
    by_scim = by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]
    store.apply(LinkIdentity(user.id, "entra", "oid-linked"), actor=ACTOR)
    by_link = by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]
    by_option = by_name(cli.ok("user", "migrate", "ann", *TO, "--external-id", "oid-given", "--dry-run"))["ann"]

    found = [(row["found_by"], row["external_id"]) for row in (by_scim, by_link, by_option)]
    assert found == [("scim", "oid-said"), ("link", "oid-linked"), ("option", "oid-given")]
    assert [row["provider_says"] is None for row in (by_scim, by_link, by_option)] == [False, True, True]


def test_two_people_who_could_be_the_user_are_no_link(cli: Cli, store: Store) -> None:
    """An admin says which one it is, by the immutable id."""
    directory_user(store, aliases=frozenset({"ann@lab.test"}))
    speaks_of(store, "ann", "oid-1")
    speaks_of(store, "ann@lab.test", "oid-2")

    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]
    data = cli.ok("user", "migrate", "ann", *TO, "--external-id", "oid-2", "--yes")

    assert (row["state"], row["reason"]) == ("no-link", "2 people of entra could be this user: ann, ann@lab.test")
    assert by_name(data)["ann"]["provider_says"]["user_name"] == "ann@lab.test"
    assert [conflict.external_id for conflict in store.scim_waiting.conflicts("entra")] == ["oid-1"]


def test_ids_come_from_a_file(cli: Cli, store: Store, tmp_path: Path) -> None:
    """With headings or without; alone it also says who is meant."""
    for name in ("ann", "bob", "cleo"):
        directory_user(store, name)
    file = tmp_path / "ids.csv"
    file.write_text("\ufeffname,external id\nann, oid-1\n\nbob,oid-2,more\n", encoding="utf-8")

    data = cli.ok("user", "migrate", "--ids", str(file), *TO, "--yes")
    rest = cli.ok("user", "migrate", "--all", "--ids", str(file), *TO, "--dry-run")

    assert {name: row["external_id"] for name, row in by_name(data).items()} == {"ann": "oid-1", "bob": "oid-2"}
    assert data["counts"]["moved"] == 2
    assert {name: row["state"] for name, row in by_name(rest).items()} == {"cleo": "no-link"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ann", "Line 1 of"),
        ("name,id\nann,\n", "has no id"),
        ("nobody,oid-1", "no user 'nobody'"),
        ("ann,oid-1\nann,oid-2", "names ann a second time"),
        ("ann,oid-1\nbob,oid-1", "gives bob the id of ann"),
        ("ann,oid\x01", "no immutable id"),
        ("name,id\n", "has nobody in it"),
        ("\udcff", "cannot be read"),
    ],
)
def test_a_file_with_a_mistake_moves_nobody(cli: Cli, store: Store, tmp_path: Path, text: str, words: str) -> None:
    """The line is named."""
    for name in ("ann", "bob"):
        directory_user(store, name)
    file = tmp_path / "ids.csv"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))

    said = cli.run("user", "migrate", "--ids", str(file), *TO, "--yes")

    assert said.code == 1
    assert words in said.err
    assert store.migrations.journal() == []


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
