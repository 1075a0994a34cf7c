"""The sync against a real OpenLDAP: people and groups come, change, leave and return; only what is owned is touched."""

from __future__ import annotations

import pytest

from config.ldap import Departure
from config.providers import HomeLayout
from storage.database.changes import (
    AddMember,
    CreateGroup,
    MapRole,
    PutGrant,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Owner, Role, Status
from storage.database.sync_log import Mode
from tests.support.directories.sites import NAME, SyncSite, did
from tests.support.directories.slapd import Slapd

pytestmark = pytest.mark.system

ACTOR = "test"


def test_people_and_groups_come(site: SyncSite, directory: Slapd) -> None:
    """Linked by entryUUID, with names, mail, groups and a home; the service account is nobody here."""
    report = site.done()

    ann = site.user("ann")
    link = site.store.users.identity(ann.id, NAME)
    assert link is not None
    (uuid,) = directory.entry("uid=ann,ou=people,dc=lab,dc=test")["entryUUID"]
    assert (uuid, "uid=ann,ou=people,dc=lab,dc=test") == (link.external_id, link.hint)
    assert (ann.method, ann.provider, ann.managed_by, ann.status) == (Method.LDAP, NAME, Owner.LDAP, Status.ACTIVE)
    assert (ann.display_name, ann.email, ann.home) == ("Ann of Lab", "ann@lab.test", "ann")
    assert site.names() == ["ann", "bob", "cleo"]
    assert (site.groups("ann"), site.groups("cleo")) == (["crew"], ["deck"])
    assert (report.mode, report.counts["seen"], report.counts["created"]) == (Mode.FULL, 3, 3)
    assert did(report) == {"create": ["ann", "bob", "cleo"], "create-group": ["crew", "deck"]}


def test_a_second_run_finds_nothing_and_reads_next_to_nothing(site: SyncSite) -> None:
    """It is incremental, raises no epoch, and tells so."""
    site.done()
    before = {user.name: user.epoch for user in site.store.users.list()}
    report = site.done()

    assert Mode.INCREMENTAL is report.mode
    assert did(report) == {}
    assert before == {user.name: user.epoch for user in site.store.users.list()}
    full = site.done(full=True)
    assert (full.mode, did(full)) == (Mode.FULL, {})
    assert before == {user.name: user.epoch for user in site.store.users.list()}


@pytest.mark.parametrize("mode", list(Mode))
def test_a_rename_a_move_and_a_new_mail_follow_the_person(site: SyncSite, directory: Slapd, mode: Mode) -> None:
    """Keys, home, grants and id stay; the old name is reserved; the groups are kept."""
    site.done()
    before = site.user("ann")
    moved = directory.rename("uid=ann,ou=people,dc=lab,dc=test", "uid=anna", "ou=other,dc=lab,dc=test")
    with directory.administrator() as connection:
        connection.modify(moved, {"mail": [("MODIFY_REPLACE", ["anna@lab.test"])]})
    report = site.done(full=mode is Mode.FULL)

    anna = site.user("anna")
    link = site.store.users.identity(anna.id, NAME)
    assert link is not None
    assert (before.id, before.home, "anna@lab.test", moved) == (anna.id, anna.home, anna.email, link.hint)
    assert site.groups("anna") == ["crew"]
    assert site.store.users.names_reserved("ann")
    assert did(report)["change"] == ["ann"]


@pytest.mark.parametrize("mode", list(Mode))
def test_an_administrators_lock_ends_a_user_and_its_end_brings_the_user_back(
    site: SyncSite, directory: Slapd, mode: Mode
) -> None:
    """A lock by wrong passwords does not: a stranger must not be able to end a person's keys."""
    site.done()
    for name, permanently in (("ann", True), ("bob", False)):
        directory.set_locked(f"uid={name},ou=people,dc=lab,dc=test", permanently=permanently)
    report = site.done(full=mode is Mode.FULL)
    ended = site.user("ann").status
    directory.unlock("uid=ann,ou=people,dc=lab,dc=test")
    site.done(full=mode is Mode.FULL)

    assert did(report) == {"disable": ["ann"]}
    assert (ended, site.user("bob").status) == (Status.DEPROVISIONED, Status.ACTIVE)
    assert site.user("ann").status is Status.ACTIVE


def test_who_is_deleted_is_found_by_a_full_run(site: SyncSite, directory: Slapd) -> None:
    """Disabled by default, once."""
    site.done()
    directory.delete("uid=ann,ou=people,dc=lab,dc=test")
    report = site.done(full=True)

    assert did(report) == {"disable": ["ann"]}
    assert site.user("ann").status is Status.DEPROVISIONED
    assert did(site.done(full=True)) == {}


def test_a_deletion_is_found_whenever_anything_changed(site: SyncSite, directory: Slapd) -> None:
    """A run that reads who is there needs no full one."""
    site.done()
    directory.delete("uid=ann,ou=people,dc=lab,dc=test")
    directory.add_person("dora")
    report = site.done()

    assert Mode.INCREMENTAL is report.mode
    assert did(report) == {"create": ["dora"], "disable": ["ann"]}


def test_who_is_deleted_can_be_deleted_here_too(site: SyncSite, directory: Slapd) -> None:
    """With ``on_departure = delete``; somebody of that name who comes later is a conflict, not an heir."""
    site = site.changed(on_departure=Departure.DELETE)
    site.done()
    directory.delete("uid=ann,ou=people,dc=lab,dc=test")
    report = site.done(full=True)
    directory.add_person("ann")
    again = site.done()

    assert did(report) == {"delete": ["ann"]}
    assert site.names() == ["bob", "cleo"]
    assert did(again) == {"skip": ["ann"]}
    assert [conflict.name for conflict in site.store.syncs.conflicts(NAME)] == ["ann"]


def test_who_leaves_the_user_filter_is_found_at_once(site: SyncSite, directory: Slapd) -> None:
    """Also by an incremental run: a filter that hides disabled people must not keep them in."""
    site = site.changed(user_filter="(&(objectClass=inetOrgPerson)(!(employeeType=left)))")
    site.done()
    with directory.administrator() as connection:
        connection.modify("uid=ann,ou=people,dc=lab,dc=test", {"employeeType": [("MODIFY_REPLACE", ["left"])]})
    report = site.done()

    assert Mode.INCREMENTAL is report.mode
    assert did(report) == {"disable": ["ann"]}
    assert site.user("ann").status is Status.DEPROVISIONED


@pytest.mark.parametrize("mode", list(Mode))
def test_groups_change_by_their_own_members_and_names(site: SyncSite, directory: Slapd, mode: Mode) -> None:
    """A new member, one who left, a renamed group; an admin's own membership stays."""
    site.done()
    own = site.store.apply(CreateGroup("own"), actor=ACTOR).subject_id
    site.store.apply(AddMember(site.user("cleo").id, own), actor=ACTOR)
    site.store.apply(AddMember(site.user("bob").id, site.group("crew").id), actor=ACTOR)
    crew = site.group("crew").id
    directory.add_to_group("cn=crew,ou=groups,dc=lab,dc=test", "uid=cleo,ou=people,dc=lab,dc=test")
    directory.remove_from_group("cn=crew,ou=groups,dc=lab,dc=test", "uid=ann,ou=people,dc=lab,dc=test")
    directory.remove_from_group("cn=crew,ou=groups,dc=lab,dc=test", "uid=bob,ou=people,dc=lab,dc=test")
    directory.rename("cn=crew,ou=groups,dc=lab,dc=test", "cn=sailors")
    site.done(full=mode is Mode.FULL)

    assert site.group("sailors").id == crew
    assert (site.groups("ann"), site.groups("bob"), site.groups("cleo")) == (
        [],
        ["sailors"],
        ["deck", "own", "sailors"],
    )


def test_groups_within_groups_count_whatever_circles_they_make(site: SyncSite, directory: Slapd) -> None:
    """A member of an inner group is a member of every group around it."""
    inner = directory.add_group("inner", ["uid=ann,ou=people,dc=lab,dc=test"])
    middle = directory.add_group("middle", [inner])
    outer = directory.add_group("outer", [middle])
    directory.add_to_group(inner, outer)
    site.done()

    assert site.groups("ann") == ["crew", "inner", "middle", "outer"]


def test_a_group_that_goes_ends_its_memberships_and_stays_where_a_grant_needs_it(
    site: SyncSite, directory: Slapd
) -> None:
    """Nobody keeps access by a group that the directory no longer has."""
    site.done()
    site.store.apply(PutGrant("/x", frozenset({"read"}), group_id=site.group("crew").id), actor=ACTOR)
    directory.delete("cn=crew,ou=groups,dc=lab,dc=test")
    directory.delete("cn=deck,ou=groups,dc=lab,dc=test")
    directory.add_group("last", ["uid=bob,ou=people,dc=lab,dc=test"])
    report = site.done(full=True)

    assert did(report)["delete-group"] == ["crew", "deck"]
    assert (site.groups("ann"), site.groups("bob")) == ([], ["last"])
    assert [group.name for group in site.store.groups.list()] == ["crew", "last"]


def test_wildcards_choose_the_groups_and_the_people(site: SyncSite, directory: Slapd) -> None:
    """Included and not excluded groups come; with required groups only their members are users, nested ones too."""
    directory.add_group("wrap-crew", ["cn=crew,ou=groups,dc=lab,dc=test"])
    site = site.changed(groups_include=("*c*",), groups_exclude=("wrap*",), groups_required=("wrap-*",))
    site.done()

    assert site.names() == ["ann", "bob"]
    assert [group.name for group in site.store.groups.list()] == ["crew", "deck"]
    directory.remove_from_group("cn=crew,ou=groups,dc=lab,dc=test", "uid=ann,ou=people,dc=lab,dc=test")
    directory.add_to_group("cn=crew,ou=groups,dc=lab,dc=test", "uid=cleo,ou=people,dc=lab,dc=test")
    report = site.done()
    assert did(report)["disable"] == ["ann"]
    assert did(report)["create"] == ["cleo"]


def test_posix_groups_name_their_members_by_login(site: SyncSite, directory: Slapd) -> None:
    """RFC 2307, memberUid."""
    directory.add_ldif(
        "dn: cn=unix,ou=groups,dc=lab,dc=test\nobjectClass: posixGroup\ncn: unix\ngidNumber: 7\n"
        "memberUid: ann\nmemberUid: nobody\n"
    )
    site.done()

    assert site.groups("ann") == ["crew", "unix"]


def test_every_user_is_put_into_the_default_group(site: SyncSite) -> None:
    """It is made if it is missing, and ends with the setting."""
    site = site.changed(default_group="Directory people")
    site.done()
    with_it = site.groups("ann")
    again = site.done(full=True)
    site = site.changed(default_group=None)
    site.done()

    assert with_it == ["crew", "directory people"]
    assert did(again) == {}
    assert site.groups("ann") == ["crew"]


def test_new_users_get_the_providers_ways_in_and_home(site: SyncSite, directory: Slapd) -> None:
    """Protocols and the home's name count once; what an admin sets later stays."""
    site = site.changed(protocols=frozenset({"sftp"}), home_layout=HomeLayout.ID)
    site.done()
    ann = site.user("ann")
    site.store.apply(UpdateUser(ann.id, UserFields(protocols=frozenset({"webdav"}))), actor=ACTOR)
    site = site.changed(protocols=frozenset({"ftps"}))
    site.done()

    (uuid,) = directory.entry("uid=ann,ou=people,dc=lab,dc=test")["entryUUID"]
    assert (uuid, frozenset({"webdav"})) == (ann.home, site.user("ann").protocols)
    assert site.user("bob").protocols == frozenset({"sftp"})


def test_a_confirmed_group_gives_a_role_and_takes_it(site: SyncSite, directory: Slapd) -> None:
    """By the group's immutable id: a group that is only called so gives nothing."""
    directory.add_group("admin", ["uid=bob,ou=people,dc=lab,dc=test"])
    (crew,) = directory.entry("cn=crew,ou=groups,dc=lab,dc=test")["entryUUID"]
    site.store.apply(MapRole(NAME, crew, Role.READ_ONLY_ADMIN, "crew"), actor=ACTOR)
    site.done()
    given = (site.user("ann").role, site.user("bob").role, site.user("cleo").role)
    directory.remove_from_group("cn=crew,ou=groups,dc=lab,dc=test", "uid=ann,ou=people,dc=lab,dc=test")
    site.done()

    assert given == (Role.READ_ONLY_ADMIN, Role.READ_ONLY_ADMIN, Role.USER)
    assert (site.user("ann").role, site.user("bob").role) == (Role.USER, Role.READ_ONLY_ADMIN)
