"""``quaymaster scim held``, ``approve``, ``dismiss``, ``conflicts`` and ``restore``: an admin's word."""

from __future__ import annotations

import json

import pytest

from config.sso import SsoMethod, SsoProvider
from server.http.scim.requests import ScimAnswer, ScimRequest
from server.http.scim.service import ScimService
from storage.database.changes import LinkIdentity
from storage.database.records import Status
from storage.database.store import Store
from tests.support.cli import Cli
from tests.support.migration_rows import directory_user
from tests.support.scim_rows import join, join_many, leave, make_scim_group, say
from tests.unit.server.cli.conftest import KeptSso, Opened

FEW = SsoProvider(method=SsoMethod.SAML, max_disabled_count=1, max_disabled_percent=1)
OFF = {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}


def ask(store: Store, method: str, path: str, body: object = None, *, provider: str = "entra") -> ScimAnswer:
    """Let the client ask for something; it may put out one user a day."""
    raw = b"" if body is None else json.dumps(body).encode()
    return ScimService(store, provider, FEW, "https://h").answer(ScimRequest(method, path, "", {}, raw))


def statuses(cli: Cli) -> dict[str, str]:
    return {row["name"]: row["status"] for row in cli.ok("user", "list")}


@pytest.fixture
def burst(keep_sso: KeptSso, opened: Opened) -> list[str]:
    """The client has ended one user, and the ends of three more wait; the ids of these."""
    keep_sso()
    with opened() as store:
        first, *others = join_many(store, 5)
        assert ask(store, "PATCH", f"/Users/{first}", OFF).status == 200
        assert ask(store, "PATCH", f"/Users/{others[0]}", OFF).status == 503
        assert ask(store, "PATCH", f"/Users/{others[1]}", OFF).status == 503
        assert ask(store, "DELETE", f"/Users/{others[2]}").status == 503
    return others[:3]


# held, approve, dismiss ---------------------------------------------------------------------------


@pytest.mark.usefixtures("burst")
def test_held_ends_show_the_difference(cli: Cli) -> None:
    """How each user is, how the user would be, and what would let nobody in any more."""
    cli.ok("apikey", "issue", "user-00001")

    first, second, third = cli.ok("scim", "held", "entra")

    assert (first["user"], first["action"], first["status"], first["would_be"]) == (
        "user-00001",
        "disable",
        "active",
        "deprovisioned",
    )
    assert (first["keys"], first["apikeys"], second["apikeys"]) == (0, 1, 0)
    assert (third["user"], third["action"]) == ("user-00003", "delete")
    assert "lost access within a day" in first["reason"]
    words = cli.run("scim", "held")
    assert "user-00003" in words.out
    assert "quaymaster scim approve" in words.err


@pytest.mark.usefixtures("burst")
def test_an_approval_ends_those_who_were_shown(cli: Cli) -> None:
    """All who wait; they are named before, and nobody else ends."""
    said = cli.run("scim", "approve", "entra", "--yes", "--json")

    assert said.data == {
        "provider": "entra",
        "approved": ["user-00001", "user-00002", "user-00003"],
        "not_ended": [],
        "still_waiting": 0,
    }
    assert "disable  user-00001" in said.err
    assert "delete   user-00003" in said.err
    assert statuses(cli) == {
        "user-00000": "deprovisioned",
        "user-00001": "deprovisioned",
        "user-00002": "deprovisioned",
        "user-00003": "deprovisioned",
        "user-00004": "active",
    }
    assert cli.ok("scim", "held") == []


@pytest.mark.usefixtures("burst")
def test_an_approval_can_be_for_some(cli: Cli) -> None:
    """The others go on waiting."""
    said = cli.ok("scim", "approve", "entra", "--user=User-00002", "--yes")

    assert (said["approved"], said["still_waiting"]) == (["user-00002"], 2)
    assert statuses(cli)["user-00001"] == "active"
    assert [row["user"] for row in cli.ok("scim", "held")] == ["user-00001", "user-00003"]


@pytest.mark.usefixtures("burst")
def test_an_approval_must_be_confirmed(cli: Cli) -> None:
    """A script that does not say --yes ends nobody; who does not wait cannot be ended by it."""
    asked = cli.run("scim", "approve", "entra")
    other = cli.run("scim", "approve", "entra", "--user=user-00004", "--yes")

    assert (asked.code, asked.out, other.code) == (1, "", 1)
    assert "--yes" in asked.err
    assert "user-00003" in asked.err
    assert "these wait: user-00001, user-00002, user-00003" in other.err
    assert len(cli.ok("scim", "held")) == 3


def test_an_approval_is_for_what_was_shown(
    cli: Cli, burst: list[str], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who was shown as to be disabled, and is to be deleted by the time of the answer, goes on waiting."""

    def thinks_it_over(_question: str, *, yes: bool) -> None:
        with opened() as store:
            assert ask(store, "DELETE", f"/Users/{burst[0]}").status == 503

    monkeypatch.setattr("server.cli.scim.waiting.values.confirm", thinks_it_over)

    said = cli.run("scim", "approve", "entra", "--json")

    assert said.data["approved"] == ["user-00002", "user-00003"]
    assert (said.data["not_ended"], said.data["still_waiting"]) == (["user-00001"], 1)
    assert "not as they were shown" in said.err
    assert [(row["user"], row["action"]) for row in cli.ok("scim", "held")] == [("user-00001", "delete")]
    assert statuses(cli)["user-00001"] == "active"


def test_the_client_goes_on_after_an_approval(cli: Cli, burst: list[str], opened: Opened) -> None:
    """The ends that were seen count no more, so that the next one does not wait."""
    cli.ok("scim", "approve", "entra", f"--user={statuses_by_id(opened, burst[0])}", "--yes")

    with opened() as store:
        answer = ask(store, "PATCH", f"/Users/{burst[1]}", OFF)

    assert answer.status == 200
    assert [row["user"] for row in cli.ok("scim", "held")] == ["user-00003"]


def statuses_by_id(opened: Opened, user_id: str) -> str:
    with opened() as store:
        user = store.users.by_id(user_id)
    assert user is not None
    return user.name


@pytest.mark.usefixtures("burst")
def test_dismissed_users_stay(cli: Cli) -> None:
    """They must be named; what the client asked is forgotten until it asks again, which is told."""
    unnamed = cli.run("scim", "dismiss", "entra", "--yes")
    asked = cli.run("scim", "dismiss", "entra", "--user=user-00001")

    said = cli.run("scim", "dismiss", "entra", "--user=user-00001", "--user=user-00002", "--yes", "--json")

    assert (unnamed.code, asked.code) == (1, 1)
    assert "--user" in unnamed.err
    assert said.data == {"provider": "entra", "dismissed": ["user-00001", "user-00002"], "still_waiting": 1}
    assert "asks again with its next cycle" in said.err
    assert (statuses(cli)["user-00001"], statuses(cli)["user-00002"]) == ("active", "active")


def test_where_nothing_waits(cli: Cli, keep_sso: KeptSso) -> None:
    """Lists are empty, and there is nothing to approve or to dismiss."""
    keep_sso()

    assert (cli.ok("scim", "held", "entra"), cli.ok("scim", "conflicts", "entra")) == ([], [])
    assert "Nobody's end waits at entra." in cli.run("scim", "approve", "entra", "--yes").err
    assert cli.run("scim", "dismiss", "entra", "--user=ann", "--yes").code == 1
    assert [cli.run("scim", verb, "x").code for verb in ("held", "conflicts", "approve")] == [1, 1, 1]


# conflicts ----------------------------------------------------------------------------------------


def conflict(cli: Cli) -> dict[str, str]:
    (found,) = cli.ok("scim", "conflicts", "entra")
    return dict(found)


@pytest.mark.parametrize("method", ["none", "local", "local+key", "oidc"])
def test_a_conflict_names_the_holder(cli: Cli, keep_sso: KeptSso, opened: Opened, method: str) -> None:
    """Whose the name is, and that a user of the site's own can be handed over; nobody is merged."""
    keep_sso()
    cli.ok("user", "add", "ann", f"--method={method}", *(("--provider=okta",) if method == "oidc" else ()))
    with opened() as store:
        answer = ask(store, "POST", "/Users", {"userName": "Ann", "externalId": "oid-ann"})

    found = conflict(cli)

    assert answer.status == 409
    assert (found["user_name"], found["external_id"], found["holder"]) == ("Ann", "oid-ann", "ann")
    assert (found["held_as"], found["holder_method"], found["holder_status"]) == ("name", method, "active")
    assert found["holder_managed_by"] == "manual"
    assert "quaymaster user adopt ann --provider entra" in found["next"]
    assert "migrate" not in found["next"]
    assert "another name there" in found["next"]
    assert "quaymaster user adopt ann --provider entra" in cli.run("scim", "conflicts").err
    assert cli.ok("user", "show", "ann")["method"] == method
    cli.ok("user", "adopt", "ann", "--provider", "entra", "--yes")


def test_a_directorys_user_is_moved_over(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """By the login name or by what else the user may type to sign in."""
    keep_sso()
    with opened() as store:
        directory_user(store, aliases=frozenset({"ann@lab.test"}))
        ask(store, "POST", "/Users", {"userName": "ann@lab.test", "externalId": "oid-ann"})

    found = conflict(cli)

    assert found["held_as"] == "alias"
    assert "quaymaster user migrate ann --to entra." in found["next"]
    assert "adopt" not in found["next"]


def test_another_clients_user_is_handed_over_by_an_admin(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The advice is what works: the new client gets the user, and the old one finds the user no more."""
    keep_sso()
    keep_sso("okta")
    with opened() as store:
        ann = join(store, "ann", provider="okta")
        refused = ask(store, "POST", "/Users", {"userName": "ann", "externalId": "oid-ann"})

    advice = conflict(cli)["next"]
    cli.ok("user", "adopt", "ann", "--provider", "entra", "--yes")
    with opened() as store:
        made = ask(store, "POST", "/Users", {"userName": "ann", "externalId": "oid-ann"})
        ended = ask(store, "PATCH", f"/Users/{ann.id}", OFF, provider="okta")

    assert refused.status == 409
    assert "ann is managed by the client of okta." in advice
    assert "Unassign the person at okta" in advice
    assert "quaymaster user adopt ann --provider entra." in advice
    assert made.body is not None
    assert (made.status, made.body["id"], ended.status) == (201, ann.id, 404)
    assert statuses(cli)["ann"] == "active"


def test_a_former_name_is_moved_by_nobodys_guess(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """At the provider it may be somebody else's by now: the advice names the doubt and the id that decides."""
    keep_sso()
    cli.ok("user", "add", "ann", "--method=none")
    cli.ok("user", "rename", "ann", "anna")
    with opened() as store:
        directory_user(store, "bob")
        cli.ok("user", "rename", "bob", "robert")
        ask(store, "POST", "/Users", {"userName": "ann", "externalId": "oid-ann"})
        ask(store, "POST", "/Users", {"userName": "bob", "externalId": "oid bob"})

    own, directorys = cli.ok("scim", "conflicts", "entra")

    assert (own["held_as"], directorys["held_as"]) == ("reserved", "reserved")
    assert "ann was anna's former name, and may now mean somebody else" in own["next"]
    assert "quaymaster user adopt anna --provider entra --external-id 'oid-ann'." in own["next"]
    assert "quaymaster user migrate robert --to entra --external-id 'oid bob'." in directorys["next"]


def test_who_is_linked_already_is_told_by_the_link(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """An admin has linked the user to the very person, or to the wrong one."""
    keep_sso()
    cli.ok("user", "add", "ann", "--method=none")
    ann_id = cli.ok("user", "show", "ann")["id"]
    with opened() as store:
        store.apply(LinkIdentity(ann_id, "entra", "oid-ann"), actor="admin")
        ask(store, "POST", "/Users", {"userName": "other", "externalId": "oid-ann"})

    found = conflict(cli)
    adopted = cli.ok("user", "adopt", "ann", "--provider", "entra", "--yes")

    assert found["held_as"] == "link"
    assert "ann is linked to this very person. Hand the user over: quaymaster user adopt ann" in found["next"]
    assert "quaymaster user unlink ann --provider entra" in found["next"]
    assert [link["external_id"] for link in adopted["links"]] == ["oid-ann"]


def test_a_client_without_ids_is_told_to_send_one(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A user of the site's own is handed over by an immutable id alone."""
    keep_sso()
    cli.ok("user", "add", "ann", "--method=none")
    with opened() as store:
        ask(store, "POST", "/Users", {"userName": "ann"})

    assert "Let entra send an externalId first" in conflict(cli)["next"]


def test_the_admin_of_last_resort_is_handed_to_nobody(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The person there needs another name."""
    keep_sso()
    cli.ok("user", "add", "root", "--method=local", "--break-glass", "--password-stdin", stdin="a long enough one\n")
    with opened() as store:
        ask(store, "POST", "/Users", {"userName": "root", "externalId": "oid-root"})

    advice = conflict(cli)["next"]

    assert "last resort" in advice
    assert "migrate" not in advice


def test_a_name_of_somebody_who_is_gone_stays_reserved(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """There is no holder any more."""
    keep_sso()
    cli.ok("user", "add", "ann", "--method=none")
    cli.ok("user", "delete", "ann", "--yes")
    with opened() as store:
        ask(store, "POST", "/Users", {"userName": "ann", "externalId": "oid-ann"})

    found = conflict(cli)

    assert found["holder"] is None
    assert "stays reserved" in found["next"]


def test_somebody_who_was_made_anew_there_is_restored(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The client speaks of a deleted user under another id: after the restore it finds the user and corrects the id."""
    keep_sso()
    with opened() as store:
        ann = join(store, "ann", "oid-1")
        leave(store, ann)
        refused = ask(store, "POST", "/Users", {"userName": "ann", "externalId": "oid-2"})
    advice = conflict(cli)["next"]

    cli.ok("scim", "restore", "ann")
    with opened() as store:
        found = store.scim_people.by_user_name("entra", "ann")
        said = [{"op": "replace", "value": {"externalId": "oid-2", "active": True}}]
        corrected = ask(store, "PATCH", f"/Users/{ann.id}", {"Operations": said})

    assert (refused.status, corrected.status) == (409, 200)
    assert "quaymaster scim restore ann" in advice
    assert found is not None
    assert found.user_id == ann.id
    assert statuses(cli)["ann"] == "active"


# restore ------------------------------------------------------------------------------------------


def test_a_restored_user_stays_out_until_the_client_speaks(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The client finds the user again, and its word counts from then on."""
    keep_sso()
    with opened() as store:
        ann = join(store, "ann")
        leave(store, ann)

    said = cli.run("scim", "restore", "Ann", "--json")
    again = cli.run("scim", "restore", "ann", "--json")
    with opened() as store:
        before = store.users.by_id(ann.id)
        say(store, ann, active=True)

    assert (said.data["user"], said.data["status"], said.data["restored"]) == ("ann", "deprovisioned", True)
    assert said.data["scim"]["deleted_at"] is None
    assert "is still out" in said.err
    assert (again.data["restored"], "nothing to restore" in again.err) == (False, True)
    assert before is not None
    assert before.status is Status.DEPROVISIONED
    assert statuses(cli)["ann"] == "active"


def test_only_who_came_by_scim_is_restored(cli: Cli) -> None:
    """Anybody else is told, with where to look."""
    cli.ok("user", "add", "ann", "--method=none")

    said = cli.run("scim", "restore", "ann")

    assert said.code == 1
    assert "quaymaster user show ann" in said.err
    assert cli.run("scim", "restore", "nobody").code == 1


def test_a_group_members_end_takes_the_memberships(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """An approved deletion is one as any other: the client's memberships end with it."""
    keep_sso()
    with opened() as store:
        first, second = join_many(store, 2)
        make_scim_group(store, "Crew", second)
        ask(store, "PATCH", f"/Users/{first}", OFF)
        ask(store, "DELETE", f"/Users/{second}")

    cli.ok("scim", "approve", "entra", "--yes")

    shown = cli.ok("user", "show", "user-00001")
    assert shown["groups"] == []
    assert shown["scim"]["deleted_at"] is not None
