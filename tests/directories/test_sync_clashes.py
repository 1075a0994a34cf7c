"""Clashes of names, and users of other sources: nobody is merged, taken over or swept, on a real OpenLDAP."""

from __future__ import annotations

import pytest

from storage.database.changes import (
    AdoptUser,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DeleteUser,
    RenameUser,
    SetMethod,
    SetStatus,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Owner, Status
from storage.database.sync_log import Mode
from tests.support.directories.sites import NAME, SyncSite, did
from tests.support.directories.slapd import Slapd

pytestmark = pytest.mark.system

ACTOR = "test"


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
