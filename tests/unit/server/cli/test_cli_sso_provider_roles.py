"""``quaymaster provider map-role`` and ``unmap-role`` with groups that a SCIM client has brought."""

from __future__ import annotations

from storage.database.scim_changes import AddMembers
from tests.support.cli import Cli
from tests.support.scim_rows import OKTA, join, make_scim_group, regroup
from tests.unit.server.cli.conftest import KeptSso, Opened

TO_ADMIN = ("--role=admin", "--yes")


def role(cli: Cli, name: str = "ann") -> str:
    return str(cli.ok("user", "show", name)["role"])


def test_a_role_counts_at_once(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The members have it with the command's end; whoever comes into the group later has it, too."""
    keep_sso()
    with opened() as store:
        ann, bob = join(store, "ann"), join(store, "bob")
        group = make_scim_group(store, "File Admins", ann.id, external_id="g-1")

    said = cli.run("provider", "map-role", "entra", "--group=file admins", *TO_ADMIN, "--json")
    with opened() as store:
        regroup(store, group, AddMembers((bob.id,)))

    assert said.data == {
        "provider": "entra",
        "group": "File Admins",
        "external_id": "g-1",
        "dn": None,
        "members": "1",
        "role": "admin",
    }
    assert "Group File Admins, 1 members, id g-1" in said.err
    assert "It counts already: 1 user has another role now." in said.err
    assert (role(cli), role(cli, "bob")) == ("admin", "admin")


def test_a_name_alone_gives_nothing(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A group that comes after, called as the mapped one was, is another group: roles hang on the id."""
    keep_sso()
    with opened() as store:
        ann, mallory = join(store, "ann"), join(store, "mallory")
        first = make_scim_group(store, "admins", ann.id, external_id="g-1")
    cli.ok("provider", "map-role", "entra", "--group=admins", *TO_ADMIN)
    with opened() as store:
        regroup(store, first, display_name="retired")
        make_scim_group(store, "admins", mallory.id, external_id="g-2")

    assert (role(cli), role(cli, "mallory")) == ("admin", "user")


def test_a_group_is_named_by_the_clients_id(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """By ours only where the client gave none; where it did, its own is told."""
    keep_sso()
    with opened() as store:
        ann = join(store, "ann")
        with_id = make_scim_group(store, "Crew", external_id="g-1")
        without = make_scim_group(store, "Deck", ann.id)

    by_theirs = cli.ok("provider", "map-role", "entra", "--group-id=g-1", *TO_ADMIN)
    by_ours = cli.ok("provider", "map-role", "entra", f"--group-id={without}", *TO_ADMIN)
    shadowed = cli.run("provider", "map-role", "entra", f"--group-id={with_id}", *TO_ADMIN)

    assert (by_theirs["group"], by_ours["group"], by_ours["external_id"]) == ("Crew", "Deck", without)
    assert shadowed.code == 1
    assert "--group-id g-1" in shadowed.err
    assert role(cli) == "admin"


def test_a_group_that_was_not_brought_gives_no_role(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Neither one of another provider, nor one of our own with the same name."""
    keep_sso()
    keep_sso("okta")
    cli.ok("group", "add", "local")
    with opened() as store:
        make_scim_group(store, "Crew", external_id="g-1", provider=OKTA)

    refused = [
        cli.run("provider", "map-role", "entra", named, *TO_ADMIN)
        for named in ("--group=crew", "--group-id=g-1", "--group=local")
    ]

    assert [said.code for said in refused] == [1, 1, 1]
    assert "has brought no group called 'crew'" in refused[0].err
    assert "quaymaster scim log entra" in refused[0].err
    assert cli.ok("provider", "show", "entra")["roles"] == []


def test_a_role_of_a_client_must_be_confirmed(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A script that does not say --yes makes nobody an admin."""
    keep_sso()
    with opened() as store:
        make_scim_group(store, "Crew", join(store, "ann").id, external_id="g-1")

    said = cli.run("provider", "map-role", "entra", "--group=Crew", "--role=admin")

    assert said.code == 1
    assert "--yes" in said.err
    assert role(cli) == "user"


def test_a_role_is_taken_back_at_once(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """From everybody who had it by the group."""
    keep_sso()
    with opened() as store:
        make_scim_group(store, "Crew", join(store, "ann").id, join(store, "bob").id, external_id="g-1")
    cli.ok("provider", "map-role", "entra", "--group=Crew", *TO_ADMIN)

    said = cli.run("provider", "unmap-role", "entra", "--group-id=g-1", "--json")

    assert (said.data["role"], said.data["role_before"]) == (None, "admin")
    assert "2 users have another role now" in said.err
    assert (role(cli), role(cli, "bob")) == ("user", "user")
