"""The sync against a real OpenLDAP: people and groups come, change, leave and return; only what is owned is touched."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from auth_backends.ldap.sync.api import LEASE_PREFIX, SyncBusy
from auth_backends.ldap.sync.apply import Applier
from config.ldap import Departure, HomeLayout, LdapProvider
from storage.database.changes import (
    AddMember,
    AdoptUser,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DeleteUser,
    MapRole,
    PutGrant,
    RenameUser,
    SetMethod,
    SetStatus,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Owner, Role, Status
from storage.database.store import Store
from storage.database.sync_log import Mode, Outcome
from tests.support.directories.certificates import Authority
from tests.support.directories.sites import NAME, SyncSite, did, provider_for
from tests.support.directories.slapd import Slapd

pytestmark = pytest.mark.system

ACTOR = "test"


@pytest.fixture
def directory(authority: Authority) -> Iterator[Slapd]:
    """A server of this test's own: the sync reads all of it."""
    with Slapd(authority) as server:
        yield server


@pytest.fixture
def site(directory: Slapd, sqlite_store: Store) -> SyncSite:
    """Three people, two groups, and a store that is empty."""
    people = [directory.add_person(name, displayName=f"{name.title()} of Lab") for name in ("ann", "bob", "cleo")]
    directory.add_group("crew", people[:2])
    directory.add_group("deck", [people[2]])
    return SyncSite(sqlite_store, provider_for(directory))


def changed(site: SyncSite, **settings: object) -> SyncSite:
    """Give the site with other settings of its provider."""
    told = site.provider.model_dump() | settings
    return SyncSite(site.store, LdapProvider.model_validate(told))


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
    site = changed(site, on_departure=Departure.DELETE)
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
    site = changed(site, user_filter="(&(objectClass=inetOrgPerson)(!(employeeType=left)))")
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
    site = changed(site, groups_include=("*c*",), groups_exclude=("wrap*",), groups_required=("wrap-*",))
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
    site = changed(site, default_group="Directory people")
    site.done()
    with_it = site.groups("ann")
    again = site.done(full=True)
    site = changed(site, default_group=None)
    site.done()

    assert with_it == ["crew", "directory people"]
    assert did(again) == {}
    assert site.groups("ann") == ["crew"]


def test_new_users_get_the_providers_ways_in_and_home(site: SyncSite, directory: Slapd) -> None:
    """Protocols and the home's name count once; what an admin sets later stays."""
    site = changed(site, protocols=frozenset({"sftp"}), home_layout=HomeLayout.ID)
    site.done()
    ann = site.user("ann")
    site.store.apply(UpdateUser(ann.id, UserFields(protocols=frozenset({"webdav"}))), actor=ACTOR)
    site = changed(site, protocols=frozenset({"ftps"}))
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


# Clashes ------------------------------------------------------------------------------------------


def test_a_local_user_of_that_name_is_a_conflict_and_never_merged(site: SyncSite) -> None:
    """It stays listed until an admin hands the user over; then the directory speaks for the same user."""
    local = site.store.apply(CreateUser("ann", Method.LOCAL, password_hash="h"), actor=ACTOR).subject_id
    first = site.done()
    (conflict,) = site.store.syncs.conflicts(NAME)
    untouched = site.user("ann")
    site.done(full=True)
    site.store.apply(AdoptUser(local, NAME, Owner.LDAP, Method.LDAP, conflict.external_id, conflict.hint), actor=ACTOR)
    site.done(full=True)

    assert did(first)["skip"] == ["ann"]
    assert (untouched.method, untouched.managed_by, untouched.display_name) == (Method.LOCAL, Owner.MANUAL, "")
    adopted = site.user("ann")
    assert (local, Method.LDAP, "Ann of Lab") == (adopted.id, adopted.method, adopted.display_name)
    assert site.store.syncs.conflicts(NAME) == []


def test_a_conflict_is_tried_again_by_every_run(site: SyncSite) -> None:
    """Once the admin has made room, nobody has to change anything in the directory."""
    person = site.store.apply(CreateUser("ann", Method.LOCAL), actor=ACTOR).subject_id
    group = site.store.apply(CreateGroup("crew"), actor=ACTOR).subject_id
    site.done()
    open_ones = [conflict.name for conflict in site.store.syncs.conflicts(NAME)]
    site.store.apply(DeleteGroup(group), actor=ACTOR)
    site.store.apply(RenameUser(person, "ann-local"), actor=ACTOR)
    site.store.apply(DeleteUser(person), actor=ACTOR)
    second = site.done()

    assert open_ones == ["ann", "group crew"]
    assert Mode.INCREMENTAL is second.mode
    assert (site.groups("bob"), [conflict.name for conflict in site.store.syncs.conflicts(NAME)]) == (["crew"], ["ann"])


def test_a_rename_onto_somebody_elses_name_is_a_conflict(site: SyncSite, directory: Slapd) -> None:
    """The person keeps the old name, and everything else follows."""
    site.store.apply(CreateUser("zoe", Method.LOCAL), actor=ACTOR)
    site.done()
    directory.rename("uid=ann,ou=people,dc=lab,dc=test", "uid=zoe")
    site.done()
    first = [conflict.name for conflict in site.store.syncs.conflicts(NAME)]
    again = site.done(full=True)

    ann = site.user("ann")
    link = site.store.users.identity(ann.id, NAME)
    assert link is not None
    assert link.hint == "uid=zoe,ou=people,dc=lab,dc=test"
    assert first == ["ann"]
    assert did(again) == {"skip": ["ann"]}
    assert [conflict.name for conflict in site.store.syncs.conflicts(NAME)] == ["ann"]


def test_a_group_of_that_name_is_a_conflict(site: SyncSite) -> None:
    """Its members do not get into the site's own group, and everything else is done."""
    site.store.apply(CreateGroup("crew"), actor=ACTOR)
    report = site.done()

    assert did(report)["skip-group"] == ["crew"]
    assert (site.groups("ann"), site.groups("cleo")) == ([], ["deck"])
    assert [conflict.name for conflict in site.store.syncs.conflicts(NAME)] == ["group crew"]


def test_names_that_nobody_can_have_are_skipped_with_the_reason(site: SyncSite, directory: Slapd) -> None:
    """The run goes on, and says who was left out and why."""
    directory.add_person("-dash")
    directory.add_person("we,ird*()")
    report = site.done()

    reasons = {item.subject: item.reason for item in report.items if item.action == "skip"}
    assert set(reasons) == {"-dash", "we,ird*()"}
    assert "cannot be a login name" in reasons["-dash"]
    assert site.names() == ["ann", "bob", "cleo"]


def test_users_of_another_source_are_never_touched(site: SyncSite, directory: Slapd) -> None:
    """Handed to SCIM or SSO, they are not changed, not disabled and not swept."""
    site.done()
    ann, bob = site.user("ann"), site.user("bob")
    site.store.apply(UpdateUser(ann.id, UserFields(managed_by=Owner.SCIM)), actor=ACTOR)
    site.store.apply(SetMethod(bob.id, Method.OIDC, "entra"), actor=ACTOR)
    directory.set_locked("uid=ann,ou=people,dc=lab,dc=test", permanently=True)
    site.done()
    directory.delete("uid=ann,ou=people,dc=lab,dc=test")
    directory.delete("uid=bob,ou=people,dc=lab,dc=test")
    site.done(full=True)

    assert (site.user("ann").status, site.user("bob").status) == (Status.ACTIVE, Status.ACTIVE)


def test_an_admins_disable_stays(site: SyncSite) -> None:
    """The directory's word for a person does not enable whom an admin disabled."""
    site.done()
    site.store.apply(SetStatus(site.user("ann").id, Status.DISABLED), actor=ACTOR)
    site.done(full=True)

    assert site.user("ann").status is Status.DISABLED


# The circuit breaker ------------------------------------------------------------------------------


def many(directory: Slapd, count: int) -> list[str]:
    return [directory.add_person(f"user{number:03}") for number in range(count)]


def test_a_run_that_would_end_too_many_waits_for_an_admin(site: SyncSite, directory: Slapd) -> None:
    """Nothing at all is changed; the held run shows whom; approved by its number it ends these and no others."""
    site = changed(site, max_disabled_count=2, max_disabled_percent=10)
    people = many(directory, 30)
    site.done()
    for dn in people[:5]:
        directory.set_locked(dn, permanently=True)
    directory.add_person("newcomer")
    held = site.run()
    again = site.run()
    epochs = {user.status for user in site.store.users.list()}
    directory.set_locked(people[5], permanently=True)
    more = site.run(approve=held.run_id)
    directory.unlock(people[5])
    approved = site.run(approve=held.run_id)

    assert (held.outcome, again.outcome, more.outcome) == (Outcome.HELD, Outcome.HELD, Outcome.HELD)
    assert did(held) == {"disable": [f"user{number:03}" for number in range(5)]}
    assert epochs == {Status.ACTIVE}
    assert "user005" in more.detail
    assert f"--approve {held.run_id}" in held.detail
    assert Outcome.DONE is approved.outcome, approved.detail
    assert [user.name for user in site.store.users.list(status=Status.DEPROVISIONED)] == [
        f"user{number:03}" for number in range(5)
    ]
    assert "newcomer" in site.names()


def test_an_answer_without_anybody_ends_nobody(site: SyncSite) -> None:
    """A wrong base, a filter with a mistake, a service account that may see nothing any more (L13)."""
    site.done()
    for settings in ({"user_filter": "(uid=no-such-*)"}, {"user_base_dn": "ou=services,dc=lab,dc=test"}):
        report = changed(site, **settings).run(full=True)

        assert Outcome.HELD is report.outcome
    assert {user.status for user in site.store.users.list()} == {Status.ACTIVE}


def test_an_answer_without_groups_takes_nobodys_groups(site: SyncSite) -> None:
    """The same for groups."""
    site.done()
    report = changed(site, group_filter="(cn=no-such-*)").run(full=True)

    assert Outcome.HELD is report.outcome
    assert site.groups("ann") == ["crew"]


def test_more_than_half_of_a_small_site_waits_too(site: SyncSite, directory: Slapd) -> None:
    """Three of five are fewer than twenty, and are held all the same."""
    people = many(directory, 2)
    site.done()
    for name in ("ann", "bob", "cleo"):
        directory.delete(f"uid={name},ou=people,dc=lab,dc=test")
    assert Outcome.HELD is site.run(full=True).outcome
    assert len(people) == 2


def test_a_slow_mistake_waits_too(site: SyncSite, directory: Slapd) -> None:
    """Few at a time, run after run: those of the last day count, but not those that an admin approved."""
    site = changed(site, max_disabled_count=3, max_disabled_percent=1)
    people = many(directory, 20)
    site.done()
    directory.set_locked(people[0], permanently=True)
    directory.set_locked(people[1], permanently=True)
    site.done()
    directory.set_locked(people[2], permanently=True)
    directory.set_locked(people[3], permanently=True)
    held = site.run()
    approved = site.run(approve=held.run_id)
    directory.set_locked(people[4], permanently=True)
    after = site.run()

    assert (held.outcome, approved.outcome, after.outcome) == (Outcome.HELD, Outcome.DONE, Outcome.DONE)
    assert "after 2 within a day" in held.detail


def test_a_directory_that_stops_half_way_changes_nothing(site: SyncSite, directory: Slapd) -> None:
    """It fails with words for an admin, is tried again soon, and the next run goes on where this one began."""
    site.done()
    directory.stop()
    report = site.run()
    state = site.store.syncs.state(NAME)
    directory.start()
    directory.add_person("dora")
    after = site.done()

    assert Outcome.FAILED is report.outcome
    assert "cannot be read" in report.detail
    assert state.cursor
    assert Mode.INCREMENTAL is after.mode
    assert did(after) == {"create": ["dora"]}


# Runs ---------------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_differences_and_leaves_nothing(site: SyncSite, directory: Slapd) -> None:
    """What it shows is what the run then does."""
    nothing = site.run(dry_run=True)
    empty = (site.names(), site.store.groups.list(), site.store.syncs.runs(), site.store.syncs.state(NAME).cursor)
    site.done()
    directory.set_locked("uid=bob,ou=people,dc=lab,dc=test", permanently=True)
    directory.rename("uid=ann,ou=people,dc=lab,dc=test", "uid=anna")
    shown = site.run(dry_run=True)
    done = site.done()

    assert did(nothing) == {"create": ["ann", "bob", "cleo"], "create-group": ["crew", "deck"]}
    assert empty == ([], [], [], {})
    assert did(shown) == did(done) == {"change": ["ann"], "disable": ["bob"]}
    (change,) = (item for item in shown.items if item.action == "change")
    assert change.detail["name"] == {"old": "ann", "new": "anna"}


def test_a_run_that_dies_changes_nothing_twice_and_goes_on(
    site: SyncSite, directory: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two transactions: the next run makes the rest, and raises nobody's epoch again."""
    many(directory, 70)
    real = Applier.steps
    calls: list[str] = []

    def dying(self: Applier, steps: object, stage: str) -> None:
        def one() -> Iterator[object]:
            for page in steps:  # type: ignore[attr-defined]  # pages of steps
                if stage == "people brought up to date" and calls:
                    raise KeyboardInterrupt
                calls.append(stage)
                yield page

        real(self, one(), stage)  # type: ignore[arg-type]  # as above

    monkeypatch.setattr(Applier, "steps", dying)
    with pytest.raises(KeyboardInterrupt):
        site.run()
    half = {user.name: user.epoch for user in site.store.users.list()}
    monkeypatch.setattr(Applier, "steps", real)
    after = site.done()

    assert 0 < len(half) < 73
    assert after.counts["created"] == 73 - len(half)
    assert {user.name: user.epoch for user in site.store.users.list()} == dict.fromkeys(site.names(), 1)
    assert [run.outcome for run in site.store.syncs.runs(NAME)] == [Outcome.DONE, Outcome.INTERRUPTED]


def test_a_run_stops_when_the_server_drains_and_goes_on_later(site: SyncSite) -> None:
    """It ends between two pages, says so, and is due again at once."""
    stopping = threading.Event()
    stopping.set()
    report = site.run(stopping=stopping.is_set)

    assert Outcome.INTERRUPTED is report.outcome
    assert site.names() == []
    assert did(site.done())["create"] == ["ann", "bob", "cleo"]


def test_one_run_at_a_time_over_all_processes(site: SyncSite) -> None:
    """Another holder of the lease keeps this one away."""
    site.store.leases.take(LEASE_PREFIX + NAME, "another node", 60.0)
    with pytest.raises(SyncBusy):
        site.run()
    site.store.leases.release(LEASE_PREFIX + NAME, "another node")

    site.done()


def test_changed_settings_ask_for_a_full_run(site: SyncSite) -> None:
    """An incremental run would not see who newly belongs."""
    site.done()
    report = changed(site, user_filter="(&(objectClass=inetOrgPerson)(!(uid=zzz)))").done()

    assert Mode.FULL is report.mode


def test_a_run_is_kept_with_what_it_did(site: SyncSite) -> None:
    """When, how, how many, and each person with the reason where one was left out."""
    site.store.apply(CreateUser("bob", Method.LOCAL), actor=ACTOR)
    report = site.done()

    (run,) = site.store.syncs.runs(NAME)
    assert report.run_id is not None
    items = site.store.syncs.items(report.run_id)
    assert (run.mode, run.outcome, run.actor) == (Mode.FULL, Outcome.DONE, ACTOR)
    assert run.finished_at is not None
    assert (run.counts["seen"], run.counts["created"], run.counts["skipped"]) == (3, 2, 1)
    assert [item.subject for item in items if item.action == "skip"] == ["bob"]
    assert [event.actor for event in site.store.audit.tail(kind="user.created") if event.subject == "ann"] == [
        f"sync:{NAME}"
    ]


def test_the_same_on_postgresql(directory: Slapd, store: Store) -> None:
    """People come, change and leave on both databases."""
    site = SyncSite(store, provider_for(directory))
    dn = directory.add_person("ann")
    directory.add_person("bob")
    directory.add_group("crew", [dn])
    site.done()
    directory.set_locked(dn, permanently=True)
    site.done()
    directory.unlock(dn)
    site.done(full=True)

    assert (site.user("ann").status, site.groups("ann")) == (Status.ACTIVE, ["crew"])
