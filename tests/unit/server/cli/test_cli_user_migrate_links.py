"""``quaymaster user migrate``: how it is known who a user is at the identity provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database.changes import LinkIdentity
from storage.database.records import Method
from storage.database.store import Store
from tests.support.cli import Cli
from tests.support.migration_rows import contest, directory_user
from tests.support.moving_site import TO, by_name, speaks_of, used_password
from tests.support.store_rows import ACTOR, make_user, user_again
from tests.unit.server.cli.conftest import Kept, KeptSso, Opened


@pytest.fixture
def store(keep: Kept, keep_sso: KeptSso, opened: Opened) -> Iterator[Store]:
    """The store of a site with the directory ``corp`` and the identity provider ``entra``."""
    keep()
    keep_sso(method="oidc")
    with opened() as found:
        yield found


# By name and by link ------------------------------------------------------------------------------


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


def test_a_former_name_is_no_link(cli: Cli, store: Store) -> None:
    """It may be somebody else's there by now, who would get the user's home and keys: only the id decides."""
    user = directory_user(store)
    cli.ok("user", "rename", "ann", "anna")
    speaks_of(store, "ann", "oid-other")

    row = by_name(cli.ok("user", "migrate", "--all", *TO, "--dry-run"))["anna"]
    refused = cli.run("user", "migrate", "anna", *TO, "--yes")
    pilot = cli.run("user", "pilot", "anna", *TO, "--json")
    untouched = user_again(store, user)
    links = store.users.identities_of(user.id)
    cli.ok("user", "migrate", "anna", *TO, "--external-id", "oid-other", "--yes")

    assert (row["state"], row["external_id"]) == ("conflict", None)
    assert row["reason"] == "ann was anna's former name, and may now mean somebody else"
    assert "quaymaster user migrate anna --to entra --external-id oid-other (or --ids FILE)" in row["next"]
    assert (refused.code, untouched.method) == (1, Method.LDAP)
    assert (pilot.data[0]["link"], pilot.data[0]["pilot"]) == ("conflict", True)
    assert "may now mean somebody else" in pilot.data[0]["reason"]
    assert [link.provider for link in links] == ["corp"]
    assert user_again(store, user).method is Method.OIDC


def test_a_name_that_was_given_up_since_the_client_said_it_is_no_link(cli: Cli, store: Store) -> None:
    """Until the client says it again, what it said before the rename is a former name, too."""
    directory_user(store)
    speaks_of(store, "ann", "oid-other")
    cli.ok("user", "rename", "ann", "anna")

    row = by_name(cli.ok("user", "migrate", "anna", *TO, "--dry-run"))["anna"]

    assert (row["state"], row["external_id"]) == ("conflict", None)


def test_a_conflict_of_which_nobody_knows_what_the_name_is_is_no_link(cli: Cli, store: Store) -> None:
    """As an older version kept it: what is not known counts for nothing, until the client says it again."""
    contest(store, directory_user(store), "ann")

    row = by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]
    advice = cli.ok("scim", "conflicts")[0]["next"]
    speaks_of(store, "ann")
    again = by_name(cli.ok("user", "migrate", "ann", *TO, "--dry-run"))["ann"]

    assert (row["state"], row["external_id"]) == ("conflict", None)
    assert row["reason"] == "it is not known whether ann is, or was, ann's name"
    assert row["reason"] in advice
    assert (again["state"], again["external_id"]) == ("ready", "oid-ann")


def test_the_one_person_by_a_present_name_is_the_link(cli: Cli, store: Store) -> None:
    """A name or an alias of now; people who have a former one do not count beside it, and are left alone."""
    directory_user(store, aliases=frozenset({"ann@lab.test"}))
    cli.ok("user", "rename", "ann", "anna")
    speaks_of(store, "ann", "oid-other")
    speaks_of(store, "ann@lab.test", "oid-anna")

    data = cli.ok("user", "migrate", "anna", *TO, "--yes")

    assert by_name(data)["anna"]["external_id"] == "oid-anna"
    assert [conflict.external_id for conflict in store.scim_waiting.conflicts("entra")] == ["oid-other"]


def test_a_client_without_ids_is_believed_by_the_present_name_alone(cli: Cli, store: Store) -> None:
    """A former name needs an admin's word, by our own id, which such a client keeps."""
    user = directory_user(store)
    cli.ok("user", "rename", "ann", "anna")
    speaks_of(store, "ann", "")

    before = by_name(cli.ok("user", "migrate", "anna", *TO, "--dry-run"))["anna"]
    after = by_name(cli.ok("user", "migrate", "anna", *TO, "--external-id", user.id, "--dry-run"))["anna"]

    assert (before["state"], after["state"]) == ("conflict", "ready")
    assert f"--external-id {user.id}" in before["next"]
    assert after["provider_says"]["user_name"] == "ann"


# From a file --------------------------------------------------------------------------------------


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
    "raw",
    [
        b"login name,immutable id\r\nann,oid-1\r\nbob,oid-2\r\n",
        b"\xef\xbb\xbfLogin name;Immutable ID\nann;oid-1\nbob;oid-2\n",
        b"ann;oid-1\nbob;oid-2",
        b"\xef\xbb\xbfann;oid-1\r\n\r\nbob;oid-2;a,b,c\r\n",
        b'"User Name";"Object ID"\n"ann";"oid-1"\n"bob";"oid-2"\n',
        b"sAMAccountName\tobjectId\rann\toid-1\rbob\toid-2\r",
        "login_name;id\r\nann;oid-1\r\nbob;oid-2\r\n".encode("utf-16"),
    ],
)
def test_a_file_is_understood_as_spreadsheets_write_it(cli: Cli, store: Store, tmp_path: Path, raw: bytes) -> None:
    """Commas, semicolons or tabs, the headings of the how-to, and the mark that some programs put before all."""
    for name in ("ann", "bob"):
        directory_user(store, name)
    file = tmp_path / "ids.csv"
    file.write_bytes(raw)

    rows = by_name(cli.ok("user", "migrate", "--ids", str(file), *TO, "--dry-run"))

    assert {name: row["external_id"] for name, row in rows.items()} == {"ann": "oid-1", "bob": "oid-2"}


def test_an_id_may_have_what_separates_other_files(cli: Cli, store: Store, tmp_path: Path) -> None:
    """What stands in most lines separates; commas win."""
    for name in ("ann", "bob"):
        directory_user(store, name)
    file = tmp_path / "ids.csv"
    file.write_text('name,id\nann,a;1\nbob,"b,2"\n')

    rows = by_name(cli.ok("user", "migrate", "--ids", str(file), *TO, "--dry-run"))

    assert {name: row["external_id"] for name, row in rows.items()} == {"ann": "a;1", "bob": "b,2"}


def test_who_stands_in_the_file_and_does_not_move_is_told(cli: Cli, store: Store, tmp_path: Path) -> None:
    """As anybody who was named: exit code 1, with the name; who was not named is no reason for it."""
    for name in ("ann", "bob", "cleo"):
        directory_user(store, name)
    used_password(store, store.users.list()[1])
    file = tmp_path / "ids.csv"
    file.write_text("ann,oid-1\nbob,oid-2\n")

    said = cli.run("user", "migrate", "--ids", str(file), *TO, "--yes")
    again = cli.run("user", "migrate", "--ids", str(file), *TO, "--yes")
    used_password(store, store.users.list()[2])
    rest = cli.run("user", "migrate", "--all", "--ids", str(file), *TO, "--include-blocked", "--yes")

    assert (said.code, again.code) == (1, 1)
    assert "Not everybody moved: bob." in said.err
    assert "Nobody is ready to move." in again.err
    assert rest.code == 0
    assert [user.method.value for user in store.users.list()] == ["oidc", "oidc", "ldap"]


def test_a_file_with_others_than_those_of_from_is_refused(cli: Cli, store: Store, tmp_path: Path) -> None:
    """As names are: they would be left out in silence."""
    directory_user(store)
    make_user(store, "bob")
    file = tmp_path / "ids.csv"
    file.write_text("ann,oid-1\nbob,oid-2\n")

    said = cli.run("user", "migrate", "--ids", str(file), "--from", "corp", *TO, "--yes")

    assert said.code == 1
    assert "bob does not belong to 'corp'" in said.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ann", "Line 1 of"),
        ("name;id\n\nann;oid-1\n\nbob;\n", "Line 5 of"),
        ("ann;oid-1\nbob", "Line 2 of"),
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
