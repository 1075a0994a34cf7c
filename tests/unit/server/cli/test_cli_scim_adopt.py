"""``quaymaster user adopt`` with an identity provider: a user of the site's own becomes the provider's."""

from __future__ import annotations

import json

from config.sso import SsoMethod, SsoProvider
from server.http.scim.requests import ScimAnswer, ScimRequest
from server.http.scim.service import ScimService
from storage.database.store import Store
from tests.support.cli import Cli
from tests.unit.server.cli.conftest import KeptSso, Opened

ANN = {"userName": "Ann", "externalId": "oid-ann", "displayName": "Ann A.", "active": True}


def create(store: Store, **more: object) -> ScimAnswer:
    """Let the client create Ann."""
    service = ScimService(store, "entra", SsoProvider(method=SsoMethod.SAML), "https://h")
    return service.answer(ScimRequest("POST", "/Users", "", {}, json.dumps(ANN | more).encode()))


def test_the_conflict_says_who_it_is(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The client's create is a conflict before and finds this very user afterwards; name, home and keys stay."""
    keep_sso()
    mine = cli.ok("user", "add", "ann", "--method", "local", "--password-stdin", stdin="right horse battery\n")
    cli.ok("apikey", "issue", "ann")
    with opened() as store:
        refused = create(store)
    said = cli.ok("user", "adopt", "ann", "--provider", "entra", "--yes")
    with opened() as store:
        made = create(store)
    user = cli.ok("user", "show", "ann")

    assert refused.status == 409
    assert (said["method"], said["managed_by"], said["provider"]) == ("saml", "scim", "entra")
    assert made.status == 201
    assert made.body is not None
    assert (made.body["id"], user["id"], user["name"], user["home"]) == (mine["id"], mine["id"], "ann", mine["home"])
    assert (user["has_password"], len(user["apikeys"]), user["display_name"]) == (False, 1, "Ann A.")
    assert cli.ok("scim", "conflicts") == []


def test_nobody_is_guessed(cli: Cli, keep_sso: KeptSso) -> None:
    """Without a conflict the id must be given; a break-glass admin is never handed over."""
    keep_sso()
    cli.ok("user", "add", "ann", "--method", "local", "--password-stdin", stdin="right horse battery\n")
    cli.ok(
        "user", "add", "root", "--method", "local", "--break-glass", "--password-stdin", stdin="right horse battery\n"
    )
    unknown = cli.run("user", "adopt", "ann", "--provider", "entra", "--yes")
    emergency = cli.run("user", "adopt", "root", "--provider", "entra", "--external-id", "oid-root", "--yes")
    unasked = cli.run("user", "adopt", "ann", "--provider", "entra", "--external-id", "oid-ann")
    given = cli.ok("user", "adopt", "ann", "--provider", "entra", "--external-id", "oid-ann", "--yes")

    assert unknown.code == 1
    assert "--external-id" in unknown.err
    assert emergency.code == 1
    assert unasked.code == 1
    assert [link["external_id"] for link in given["links"]] == ["oid-ann"]


def test_a_former_name_says_nothing(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """At the provider it may be somebody else's, who would get ann's keys and files; only the id decides."""
    keep_sso()
    cli.ok("user", "add", "ann", "--method", "none")
    cli.ok("user", "rename", "ann", "anna")
    with opened() as store:
        create(store)

    guessed = cli.run("user", "adopt", "anna", "--provider", "entra", "--yes")
    before = cli.ok("user", "show", "anna")
    given = cli.ok("user", "adopt", "anna", "--provider", "entra", "--external-id", "oid-ann", "--yes")

    assert guessed.code == 1
    assert "Ann was anna's former name, and may now mean somebody else: oid-ann" in guessed.err
    assert "--external-id" in guessed.err
    assert (before["managed_by"], before["links"]) == ("manual", [])
    assert [link["external_id"] for link in given["links"]] == ["oid-ann"]
    assert cli.ok("scim", "conflicts") == []


def test_the_one_by_the_present_name_is_the_user(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Beside somebody who has the former name, and goes on waiting for a decision."""
    keep_sso()
    cli.ok("user", "add", "ann", "--method", "none")
    cli.ok("user", "rename", "ann", "anna")
    with opened() as store:
        create(store)
        create(store, userName="anna", externalId="oid-anna")

    said = cli.ok("user", "adopt", "anna", "--provider", "entra", "--yes")

    assert [link["external_id"] for link in said["links"]] == ["oid-anna"]
    assert [row["external_id"] for row in cli.ok("scim", "conflicts")] == ["oid-ann"]


def test_two_by_the_present_name_are_nobody(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """An admin says which one."""
    keep_sso()
    cli.ok("user", "add", "ann", "--method", "none")
    with opened() as store:
        create(store)
        create(store, externalId="oid-2")

    said = cli.run("user", "adopt", "ann", "--provider", "entra", "--yes")

    assert said.code == 1
    assert "2 people by this name: oid-2, oid-ann" in said.err
