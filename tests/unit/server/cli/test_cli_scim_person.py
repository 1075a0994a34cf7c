"""``user show``, ``user enable`` and ``explain`` for users whom a SCIM client has brought."""

from __future__ import annotations

import time

import pytest

from storage.database.changes import MapRole
from storage.database.records import Role, User
from tests.support.cli import Cli
from tests.support.scim_rows import join, leave, make_scim_group, say
from tests.support.store_rows import user_again
from tests.unit.server.cli.conftest import KeptSso, Opened

WAY_IN = ("--front-end=sftp", "--credential=key")


def explained(cli: Cli, name: str = "ann") -> list[str]:
    """What is said of the provider, to a person."""
    lines = cli.run("explain", name, *WAY_IN).out.splitlines()
    return [line.strip() for line in lines if line.strip().startswith("scim: ")]


def test_what_the_client_says_of_a_user_is_shown(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The provider's own name and id for the person, in its own letters, and the version that it last changed."""
    keep_sso()
    with opened() as store:
        ann = join(store, "Ann@Contoso.example", "oid-1")
        say(store, ann, display_name="Ann")

    said = cli.ok("user", "show", "ann@contoso.example")["scim"]

    assert {name: said[name] for name in ("provider", "user_name", "external_id", "active", "version")} == {
        "provider": "entra",
        "user_name": "Ann@Contoso.example",
        "external_id": "oid-1",
        "active": True,
        "version": 2,
    }
    assert said["created_at"] <= said["modified_at"]
    assert (said["deleted_at"], said["held_end"]) == (None, None)


def test_a_deleted_user_and_a_held_end_are_shown(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """When, and what the client asked for."""
    keep_sso()
    with opened() as store:
        leave(store, join(store, "ann"))
        bob = join(store, "bob")
        store.scim_waiting.hold("entra", bob.id, "disable", "too many", time.time())

    assert cli.ok("user", "show", "ann")["scim"]["deleted_at"] is not None
    assert cli.ok("user", "show", "bob")["scim"]["held_end"]["action"] == "disable"


def test_users_of_other_sources_have_no_client(cli: Cli) -> None:
    """The field is there, and empty; ``explain`` says nothing of SCIM."""
    cli.ok("user", "add", "ann", "--method=none")

    assert cli.ok("user", "show", "ann")["scim"] is None
    assert cli.ok("explain", "ann", *WAY_IN)["scim"] is None
    assert explained(cli) == []
    assert cli.ok("explain", "a:b", *WAY_IN)["scim"] is None


def test_explain_says_what_the_provider_last_said(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Active or not and when; scripts get the same facts as ``user show`` gives."""
    keep_sso()
    with opened() as store:
        ann = join(store, "ann")
    created = explained(cli)
    with opened() as store:
        say(store, ann, active=False)

    ended = explained(cli)
    as_json = cli.ok("explain", "ann", *WAY_IN)

    assert len(created) == len(ended) == 1
    assert created[0].startswith("scim: entra says that ann is active; created at 2")
    assert ended[0].startswith("scim: entra says that ann is not active; last changed at 2")
    assert (as_json["allowed"], as_json["reason"]) == (False, "not_active")
    assert as_json["scim"]["active"] is False


def test_explain_says_what_waits_and_what_is_gone(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A held end and a deletion, each with the command that helps; an admin's own word, too."""
    keep_sso()
    with opened() as store:
        leave(store, join(store, "ann"))
        bob = join(store, "bob")
        store.scim_waiting.hold("entra", bob.id, "delete", "too many", time.time())
    cli.ok("user", "disable", "bob")

    gone, held = explained(cli), explained(cli, "bob")

    assert "entra deleted the person at 2" in gone[0]
    assert "quaymaster scim restore ann" in gone[0]
    assert "has asked to delete the user since 2" in held[1]
    assert "quaymaster scim held entra" in held[1]
    assert "an admin has disabled the user here" in held[2]


def test_an_admins_disable_outlasts_the_provider(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """It is the instant way out, and taken back by the admin alone."""
    keep_sso()
    with opened() as store:
        ann = join(store, "ann")
    disabled = cli.ok("user", "disable", "ann")["status"]
    with opened() as store:
        say(store, ann, active=False)
        say(store, ann, active=True)

    still = cli.ok("user", "show", "ann")["status"]
    enabled = cli.ok("user", "enable", "ann")["status"]

    assert (disabled, still, enabled) == ("disabled", "disabled", "active")


def test_whom_the_provider_ended_is_enabled_there(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The refusal says who has the say, since when, and how to let the person in."""
    keep_sso()
    with opened() as store:
        ann = join(store, "ann")
        say(store, ann, active=False)
    cli.ok("user", "disable", "ann")  # an admin's word on top changes nothing of that

    said = cli.run("user", "enable", "ann")

    assert said.code == 1
    assert "entra says that ann is not active, as of 2" in said.err
    assert "must not outlive a leaver" in said.err
    assert "provisioning on demand" in said.err
    assert cli.ok("user", "show", "ann")["status"] == "disabled"


def test_whom_the_provider_deleted_is_created_there(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Or given back to it."""
    keep_sso()
    with opened() as store:
        leave(store, join(store, "ann"))

    said = cli.run("user", "enable", "ann")

    assert said.code == 1
    assert "entra deleted ann at 2" in said.err
    assert "quaymaster scim restore ann" in said.err


@pytest.mark.parametrize("deleted", [False, True], ids=["inactive", "deleted"])
def test_an_ended_link_lets_no_leaver_in(cli: Cli, keep_sso: KeptSso, opened: Opened, *, deleted: bool) -> None:
    """What the provider said counts beyond ``user unlink``; the words say so, and what does take the user from it."""
    keep_sso()
    with opened() as store:
        ann = join(store, "ann")
        leave(store, ann) if deleted else say(store, ann, active=False)

    unlinked = cli.run("user", "unlink", "ann", "--provider=entra")
    refused = cli.run("user", "enable", "ann")
    status = cli.ok("user", "show", "ann")["status"]
    cli.ok("user", "set-method", "ann", "--method=none")
    enabled = cli.ok("user", "enable", "ann")["status"]

    assert unlinked.code == 0
    assert "Whom it has ended stays out" in unlinked.err
    assert (refused.code, status) == (1, "deprovisioned")
    assert ("entra deleted ann at 2" if deleted else "entra says that ann is not active") in refused.err
    assert "quaymaster user set-method ann" in refused.err
    assert enabled == "active"


# The role that a group gave -----------------------------------------------------------------------


@pytest.fixture
def admin(keep_sso: KeptSso, opened: Opened) -> User:
    """Ann, whom a mapped group of the client makes an admin."""
    keep_sso()
    with opened() as store:
        ann = join(store, "ann")
        make_scim_group(store, "Crew", ann.id, external_id="g-1")
        store.apply(MapRole("entra", "g-1", Role.ADMIN, "Crew"), actor="test")
        return user_again(store, ann)


def test_a_role_of_a_group_that_stays_is_told(cli: Cli, admin: User) -> None:
    """Taken from the provider, ann is an admin by nobody's word; the command that is named ends that."""
    said = cli.run("user", "set-method", "ann", "--method=none")
    before = cli.ok("user", "show", "ann")["role"]
    cli.ok("user", "set", "ann", "--no-admin")

    assert (admin.role, said.code, before) == (Role.ADMIN, 0, "admin")
    assert "ann keeps the role admin, which a group of entra gave" in said.err
    assert "quaymaster user set ann --no-admin" in said.err
    assert cli.ok("user", "show", "ann")["role"] == "user"


def test_a_role_goes_with_the_link_that_gave_it(cli: Cli, admin: User) -> None:
    """Ending the link takes the role at once, so that nothing is left to warn of."""
    cli.ok("user", "unlink", "ann", "--provider=entra")
    after = cli.ok("user", "show", "ann")["role"]

    said = cli.run("user", "set-method", "ann", "--method=none")

    assert (admin.role, after, said.code, said.err) == (Role.ADMIN, "user", 0, "")


def test_a_role_that_an_admin_gave_is_not_told(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Nor is anything said of who has none, or whom nobody managed."""
    keep_sso()
    with opened() as store:
        join(store, "ann")
        join(store, "bob")
    cli.ok("user", "set", "ann", "--admin")
    cli.ok("user", "add", "cleo", "--method=none", "--admin")

    said = [cli.run("user", "set-method", name, "--method=local") for name in ("ann", "bob", "cleo")]

    assert [one.code for one in said] == [0, 0, 0]
    assert not any("keeps the role" in one.err for one in said)


def test_other_refusals_stay_as_they_are(cli: Cli) -> None:
    """The last admin of last resort cannot be disabled."""
    cli.ok("user", "add", "root", "--method=local", "--break-glass", "--password-stdin", stdin="a long enough one\n")

    said = cli.run("user", "disable", "root")

    assert said.code == 1
    assert "last active break-glass admin" in said.err
    assert "nothing was changed" in said.err
