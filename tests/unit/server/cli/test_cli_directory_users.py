"""``quaymaster user`` and directories: who a user is there, and who owns the user."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.ldap import LdapProvider
from config.settings import Settings
from server.cli import directories
from server.cli.context import Site
from server.cli.linking import linked
from server.cli.output import Failure
from storage.database.changes import CreateUser, SetMethod
from storage.database.errors import Conflict, NotFoundInStore
from storage.database.records import Method
from storage.database.store import Store
from storage.database.sync_log import SyncConflict
from tests.support.cli import Cli
from tests.unit.server.cli.conftest import Kept, Opened

PEOPLE = {
    name: directories.Person(f"id-of-{name}", f"uid={name},ou=people,dc=lab,dc=test") for name in ("ann", "bob", "cleo")
}
AS_LDAP = ("--method=ldap", "--provider=corp")


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory knows three people, whatever the case of the letters, and nobody else."""

    def person(name: str, _provider: LdapProvider, login: str) -> directories.Person:
        if login.lower() not in PEOPLE:
            raise Failure(f"{name} knows nobody by the name {login!r}.")
        return PEOPLE[login.lower()]

    monkeypatch.setattr(directories, "person", person)


def site(cli: Cli, store: Store) -> Site:
    return Site(Settings(data=cli.data), store, "cli:test")


def ids(cli: Cli, name: str) -> list[str]:
    return [link["external_id"] for link in cli.ok("user", "show", name)["links"]]


# add ----------------------------------------------------------------------------------------------


def test_a_site_without_a_directory_can_prepare_ldap_users(cli: Cli) -> None:
    """The user is made, and it is told that nobody can check the password yet."""
    said = cli.run("user", "add", "ann", "--method=ldap", "--json")

    assert (said.code, said.data["method"], said.data["provider"]) == (0, "ldap", None)
    assert "nobody can check the password" in said.err


def test_an_ldap_user_needs_a_provider_that_exists(cli: Cli, keep: Kept) -> None:
    """Left away or misspelt, the known ones are told, and there is no user."""
    none_at_all = cli.run("user", "add", "ann", *AS_LDAP)
    keep("lab")
    keep("other")

    missing = cli.run("user", "add", "ann", "--method=ldap")
    unknown = cli.run("user", "add", "ann", *AS_LDAP)

    assert (none_at_all.code, missing.code, unknown.code) == (1, 1, 1)
    assert "quaymaster provider add ldap" in none_at_all.err
    assert "lab, other" in missing.err
    assert "lab (database), other (database)" in unknown.err
    assert cli.ok("user", "list") == []


@pytest.mark.usefixtures("answering")
def test_a_new_user_is_linked_by_the_immutable_id(cli: Cli, keep: Kept) -> None:
    """Found by the login name; ``show`` has id, place and state, and the user stays the admin's own."""
    keep()

    cli.ok("user", "add", "Ann", *AS_LDAP)

    shown = cli.ok("user", "show", "ann")
    (link,) = shown["links"]
    assert (shown["method"], shown["provider"], shown["managed_by"], shown["aliases"]) == ("ldap", "corp", "manual", [])
    assert {key: link[key] for key in ("provider", "external_id", "hint", "active")} == {
        "provider": "corp",
        "external_id": "id-of-ann",
        "hint": PEOPLE["ann"].dn,
        "active": True,
    }


@pytest.mark.usefixtures("answering")
def test_a_person_who_is_not_there_makes_no_user(cli: Cli, keep: Kept) -> None:
    """And the name stays free."""
    keep()

    said = cli.run("user", "add", "zed", *AS_LDAP)

    assert said.code == 1
    assert "knows nobody by the name 'zed'" in said.err
    cli.ok("user", "add", "zed", "--method=none")


def test_a_directory_that_does_not_answer_makes_no_user(cli: Cli, keep: Kept, nowhere: str) -> None:
    """What happened, why, and what to do."""
    keep()

    said = cli.run("user", "add", "ann", *AS_LDAP)

    assert said.code == 1
    assert f"Why: {nowhere}: " in said.err
    assert "quaymaster provider test corp" in said.err
    assert cli.ok("user", "list") == []


def test_an_id_is_taken_without_asking(cli: Cli, keep: Kept) -> None:
    """For the day when the directory cannot be reached; it is told that nobody verified it."""
    keep(vendor="active-directory")
    guid = "6B1F2A9E-3C4D-4E5F-8A9B-0C1D2E3F4A5B"

    said = cli.run("user", "add", "ann", *AS_LDAP, f"--external-id={guid}")
    wrong = cli.run("user", "add", "bob", *AS_LDAP, "--external-id=12")

    assert said.code == 0
    assert "was not verified" in said.err
    assert ids(cli, "ann") == [guid.lower()]
    assert wrong.code == 1
    assert "is no objectGUID" in wrong.err
    assert [row["name"] for row in cli.ok("user", "list")] == ["ann"]


def test_an_id_goes_with_a_directory_only(cli: Cli) -> None:
    """A local user has no entry anywhere."""
    assert cli.run("user", "add", "ann", "--method=none", "--external-id=x").code == 1
    assert cli.run("user", "add", "ann", "--method=ldap", "--external-id=x").code == 1
    assert cli.ok("user", "list") == []


@pytest.mark.usefixtures("answering")
def test_a_person_is_one_user(cli: Cli, keep: Kept) -> None:
    """Whoever is linked to a user already is told with that user, and no second one is made."""
    keep()
    cli.ok("user", "add", "ann", *AS_LDAP)

    said = cli.run("user", "add", "anna", *AS_LDAP, "--external-id=id-of-ann")

    assert said.code == 1
    assert "linked to the user 'ann' already" in said.err
    assert [row["name"] for row in cli.ok("user", "list")] == ["ann"]


def test_a_user_who_cannot_be_linked_is_not_made(cli: Cli, keep: Kept, opened: Opened) -> None:
    """User and link are one change: where somebody else linked the person meanwhile, the name stays free."""
    keep()
    cli.ok("user", "add", "ann", *AS_LDAP, "--external-id=id-of-ann")
    with opened() as store, pytest.raises(Conflict, match="linked to another user"):
        store.apply(CreateUser("anna", Method.LDAP, provider="corp", external_id="id-of-ann"), actor="test")

    cli.ok("user", "add", "anna", "--method=none")
    assert [row["name"] for row in cli.ok("user", "list")] == ["ann", "anna"]


# link, unlink, set-method -------------------------------------------------------------------------


@pytest.mark.usefixtures("answering")
def test_link_and_unlink(cli: Cli, keep: Kept) -> None:
    """Method and owner stay as they are; who has nothing to unlink is told."""
    keep()
    cli.ok("user", "add", "ann", "--method=none")

    link = cli.ok("user", "link", "ann", "--provider=corp")
    again = cli.ok("user", "link", "ann", "--provider=corp")
    unlinked = cli.ok("user", "unlink", "ann", "--provider=corp")

    assert (link["method"], link["managed_by"]) == ("none", "manual")
    assert link["links"] == again["links"]
    assert unlinked["links"] == []
    assert "is not linked to 'corp'" in cli.run("user", "unlink", "ann", "--provider=corp").err


@pytest.mark.usefixtures("answering")
def test_a_user_is_one_person(cli: Cli, keep: Kept) -> None:
    """A second person of the same directory is refused until the first link is ended."""
    keep()
    cli.ok("user", "add", "ann", *AS_LDAP)

    said = cli.run("user", "link", "ann", "--provider=corp", "--external-id=id-of-bob")

    assert said.code == 1
    assert "quaymaster user unlink ann --provider corp" in said.err
    assert ids(cli, "ann") == ["id-of-ann"]


@pytest.mark.usefixtures("answering")
def test_unlinking_an_ldap_user_is_warned_about(cli: Cli, keep: Kept) -> None:
    """Nobody can check the password any more."""
    keep()
    cli.ok("user", "add", "ann", *AS_LDAP)

    assert "only when linked again" in cli.run("user", "unlink", "ann", "--provider=corp").err


@pytest.mark.usefixtures("answering")
def test_set_method_makes_the_link(cli: Cli, keep: Kept) -> None:
    """Where there is none yet; one that is there is kept, and the directory is not asked for it."""
    keep()
    cli.ok("user", "add", "ann", "--method=none")
    cli.ok("user", "add", "zed", "--method=none")
    cli.ok("user", "link", "zed", "--provider=corp", "--external-id=id-of-zed")

    ann = cli.ok("user", "set-method", "ann", *AS_LDAP)
    zed = cli.ok("user", "set-method", "zed", *AS_LDAP)

    assert (ann["method"], zed["method"]) == ("ldap", "ldap")
    assert (ids(cli, "ann"), ids(cli, "zed")) == (["id-of-ann"], ["id-of-zed"])


@pytest.mark.usefixtures("answering")
def test_set_method_without_a_person_changes_nothing(cli: Cli, keep: Kept) -> None:
    """The password that was there is still there."""
    keep()
    cli.ok("user", "add", "zed", "--method=local", "--password-stdin", stdin="secret\n")

    said = cli.run("user", "set-method", "zed", *AS_LDAP)

    shown = cli.ok("user", "show", "zed")
    assert said.code == 1
    assert (shown["method"], shown["has_password"], shown["links"]) == ("local", True, [])


@pytest.mark.usefixtures("answering")
def test_a_method_that_is_refused_leaves_no_link(cli: Cli, keep: Kept, opened: Opened) -> None:
    """The link was made for it."""
    keep()
    cli.ok("user", "add", "ann", "--method=none")

    with opened() as store:
        here = site(cli, store)
        with pytest.raises(NotFoundInStore), linked(here, here.user("ann"), Method.LDAP, "corp", None):
            here.apply(SetMethod("nobody's id", Method.LDAP, "corp"))

    assert ids(cli, "ann") == []


# adopt --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("answering")
def test_a_user_is_handed_to_a_directory(cli: Cli, keep: Kept, opened: Opened, tmp_path: Path) -> None:
    """Keys, home and grants stay, the password goes, and the conflict is settled."""
    keep()
    cli.ok("user", "add", "ann", "--method=local", "--password-stdin", stdin="secret\n")
    cli.ok("key", "generate", "ann", "--out", str(tmp_path / "id"))
    cli.ok("grant", "add", "--user=ann", "--path=/", "--preset=read-only")
    with opened() as store:
        store.syncs.settle_conflicts("corp", [SyncConflict("corp", "id-of-ann", "ann", "taken")], [])
    before = cli.ok("user", "show", "ann")

    cli.ok("user", "adopt", "ann", "--provider=corp", "--yes")

    after = cli.ok("user", "show", "ann")
    assert (after["method"], after["provider"], after["managed_by"]) == ("ldap", "corp", "ldap")
    assert after["links"][0]["hint"] == PEOPLE["ann"].dn
    assert after["has_password"] is False
    assert [before[same] for same in ("id", "home", "keys", "grants")] == [
        after[same] for same in ("id", "home", "keys", "grants")
    ]
    assert cli.ok("sync", "conflicts") == []


@pytest.mark.usefixtures("answering")
def test_adopting_must_be_confirmed(cli: Cli, keep: Kept) -> None:
    """A script that does not say --yes hands nobody over."""
    keep()
    cli.ok("user", "add", "ann", "--method=none")

    said = cli.run("user", "adopt", "ann", "--provider=corp")

    assert said.code == 1
    assert "--yes" in said.err
    assert cli.ok("user", "show", "ann")["managed_by"] == "manual"


def test_the_id_of_a_conflict_is_as_good_as_a_look_up(cli: Cli, keep: Kept, opened: Opened) -> None:
    """A run of the sync has seen the entry; any other id is told to be unverified."""
    keep()
    cli.ok("user", "add", "ann", "--method=none")
    cli.ok("user", "add", "bob", "--method=none")
    conflict = SyncConflict("corp", "id-of-ann", "ann", "taken", PEOPLE["ann"].dn)
    with opened() as store:
        store.syncs.settle_conflicts("corp", [conflict], [])

    seen = cli.run("user", "adopt", "ann", "--provider=corp", "--external-id=id-of-ann", "--yes", "--json")
    unseen = cli.run("user", "adopt", "bob", "--provider=corp", "--external-id=id-of-bob", "--yes")

    assert seen.data["links"][0]["hint"] == PEOPLE["ann"].dn
    assert "was not verified" not in seen.err
    assert "was not verified" in unseen.err


@pytest.mark.usefixtures("answering")
def test_the_last_resort_is_never_handed_over(cli: Cli, keep: Kept) -> None:
    """A break-glass admin must work on the day when no directory does."""
    keep()
    cli.ok("user", "add", "ann", "--method=local", "--break-glass", "--password-stdin", stdin="x\n")

    said = cli.run("user", "adopt", "ann", "--provider=corp", "--yes")

    assert said.code == 1
    assert cli.ok("user", "show", "ann")["method"] == "local"


def test_the_list_can_be_narrowed_to_a_provider(cli: Cli, keep: Kept) -> None:
    """To see who depends on it."""
    keep()
    cli.ok("user", "add", "ann", *AS_LDAP, "--external-id=id-of-ann")
    cli.ok("user", "add", "bob", "--method=none")

    assert [row["name"] for row in cli.ok("user", "list", "--provider=corp")] == ["ann"]


@pytest.mark.usefixtures("answering")
def test_the_list_of_a_provider_has_those_who_are_only_linked(cli: Cli, keep: Kept) -> None:
    """They depend on it as those do who only belong to it; each is there once, and nobody from elsewhere is."""
    keep()
    keep("lab")
    cli.ok("user", "add", "ann", *AS_LDAP)
    cli.ok("user", "unlink", "ann", "--provider=corp")
    cli.ok("user", "add", "bob", "--method=local")
    cli.ok("user", "link", "bob", "--provider=corp")
    cli.ok("user", "add", "cleo", "--method=ldap", "--provider=lab")
    cli.ok("user", "add", "dora", "--method=none")
    cli.ok("user", "link", "dora", "--provider=lab", "--external-id=id-of-dora")

    listed = {name: cli.ok("user", "list", f"--provider={name}") for name in ("corp", "lab")}

    assert {name: [row["name"] for row in rows] for name, rows in listed.items()} == {
        "corp": ["ann", "bob"],
        "lab": ["cleo", "dora"],
    }
    assert [row["provider"] for row in listed["corp"]] == ["corp", None]
