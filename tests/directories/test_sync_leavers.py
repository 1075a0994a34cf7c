"""Nobody stays in who should be out, and nobody is put out by accident: the corners of the sync, on a real OpenLDAP."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from auth_backends.ldap.sync import planning, snapshot
from config.ldap import Departure
from storage.database.changes import (
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DeleteProvider,
    MapRole,
    PutGrant,
    PutProvider,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Role, Status
from storage.database.store import Conflict
from storage.database.sync_log import Mode, Outcome
from tests.support.directories.sites import NAME, SyncSite, did
from tests.support.directories.slapd import Slapd
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

ACTOR = "test"
PEOPLE = "ou=people,dc=lab,dc=test"
GROUPS = "ou=groups,dc=lab,dc=test"
ANN = f"uid=ann,{PEOPLE}"


def long_ago(site: SyncSite) -> None:
    """Let the last run be long ago: what it saw is read no more, and only later changes are news."""
    state = site.store.syncs.state(NAME)
    second = time.strftime("%Y%m%d%H%M%SZ", time.gmtime())
    eventually(lambda: time.strftime("%Y%m%d%H%M%SZ", time.gmtime()) > second, what="the second to pass")
    cursor = {**state.cursor, "since": time.strftime("%Y%m%d%H%M%SZ", time.gmtime())}
    site.store.syncs.keep_state(replace(state, cursor=cursor))


def set_mail(directory: Slapd, name: str) -> None:
    with directory.administrator() as connection:
        connection.modify(f"uid={name},{PEOPLE}", {"mail": [("MODIFY_REPLACE", ["new@lab.test"])]})


@pytest.mark.parametrize("mode", list(Mode))
def test_a_name_that_nobody_can_have_keeps_nobody_in(site: SyncSite, directory: Slapd, mode: Mode) -> None:
    """Renamed to it, disabled and taken out of the group that gave a role: the old name stays, and nothing else."""
    (crew,) = directory.entry(f"cn=crew,{GROUPS}")["entryUUID"]
    site.store.apply(MapRole(NAME, crew, Role.ADMIN, "crew"), actor=ACTOR)
    site.done()
    renamed = directory.rename(ANN, "uid=-ann")
    directory.set_locked(renamed, permanently=True)
    directory.remove_from_group(f"cn=crew,{GROUPS}", renamed)
    site.done(full=mode is Mode.FULL)

    ann = site.user("ann")
    assert (ann.status, ann.role, site.groups("ann")) == (Status.DEPROVISIONED, Role.USER, [])
    assert [conflict.name for conflict in site.store.syncs.conflicts(NAME)] == ["ann"]


def test_who_changes_while_the_run_reads_is_no_leaver(
    site: SyncSite, directory: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed between the search for people and the one for leavers."""
    site.done()
    long_ago(site)
    real = snapshot.Reading._look_for_leavers

    def late(self: snapshot.Reading, *given: Any) -> None:
        set_mail(directory, "ann")
        real(self, *given)

    monkeypatch.setattr(snapshot.Reading, "_look_for_leavers", late)
    report = site.done()

    assert Mode.INCREMENTAL is report.mode
    assert (site.user("ann").status, site.user("ann").email) == (Status.ACTIVE, "new@lab.test")


@pytest.mark.parametrize("what", ["hidden by the filter", "moved out of the user base"])
def test_who_is_only_disabled_is_never_deleted(site: SyncSite, directory: Slapd, what: str) -> None:
    """With ``on_departure = delete``, too: somebody who is still there comes back as the same user."""
    site = site.changed(
        on_departure=Departure.DELETE,
        user_filter="(&(objectClass=inetOrgPerson)(!(employeeType=left)))",
        user_base_dn=PEOPLE,
    )
    site.done()
    before = site.user("ann").id
    place = ANN
    if what == "hidden by the filter":
        with directory.administrator() as connection:
            connection.modify(ANN, {"employeeType": [("MODIFY_REPLACE", ["left"])]})
    else:
        place = directory.rename(ANN, "uid=ann", "ou=other,dc=lab,dc=test")
    incremental, full = site.done(), site.done(full=True)
    ended = site.user("ann").status
    if what == "hidden by the filter":
        with directory.administrator() as connection:
            connection.modify(place, {"employeeType": [("MODIFY_REPLACE", [])]})
    else:
        directory.rename(place, "uid=ann", PEOPLE)
    site.done()

    assert (did(incremental), did(full)) == ({"disable": ["ann"]}, {})
    assert ended is Status.DEPROVISIONED
    assert (before, Status.ACTIVE) == (site.user("ann").id, site.user("ann").status)


def test_a_required_group_that_goes_takes_its_members_along(site: SyncSite, directory: Slapd) -> None:
    """No group changed, one is gone: an incremental run finds out as soon as anybody changes."""
    directory.add_group("req-a", [ANN])
    directory.add_group("req-b", [f"uid=bob,{PEOPLE}", f"uid=cleo,{PEOPLE}"])
    site = site.changed(groups_required=("req-*",))
    site.done()
    directory.delete(f"cn=req-a,{GROUPS}")
    long_ago(site)
    directory.add_person("dora")
    report = site.done()

    assert site.user("ann").status is Status.DEPROVISIONED
    assert did(report)["disable"] == ["ann"]


def test_who_moves_while_the_run_reads_is_judged_by_the_next_one(
    site: SyncSite, directory: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People were read before the move and groups after it: no required group seems to have the person."""
    site = site.changed(groups_required=("crew", "deck"))
    site.done()
    real = snapshot.Reading._read_groups
    moved: list[str] = []

    def late(self: snapshot.Reading, *given: Any) -> None:
        if not moved:
            moved.append(directory.rename(ANN, "uid=ann", "ou=other,dc=lab,dc=test"))
        real(self, *given)

    monkeypatch.setattr(snapshot.Reading, "_read_groups", late)
    site.done(full=True)
    meanwhile = site.user("ann").status
    site.done(full=True)

    assert (meanwhile, site.user("ann").status) == (Status.ACTIVE, Status.ACTIVE)


def test_an_admins_expiry_is_not_taken_away(site: SyncSite, directory: Slapd) -> None:
    """A directory that says nothing of expiry says nothing against it."""
    site.done()
    site.store.apply(UpdateUser(site.user("ann").id, UserFields(expires_at=1.0)), actor=ACTOR)
    set_mail(directory, "ann")
    site.done()
    site.done(full=True)

    assert (site.user("ann").expires_at, site.user("ann").email) == (1.0, "new@lab.test")


def test_a_group_that_was_hidden_for_a_run_comes_back_as_itself(site: SyncSite) -> None:
    """With its grants and its members; nobody has to adopt anything."""
    site.done()
    crew = site.group("crew").id
    site.store.apply(PutGrant("/x", frozenset({"read"}), group_id=crew), actor=ACTOR)
    hidden = site.changed(group_filter="(&(objectClass=groupOfNames)(!(cn=crew)))").done()
    without = site.groups("ann")
    back = site.done()

    assert did(hidden)["delete-group"] == ["crew"]
    assert (without, site.groups("ann")) == ([], ["crew"])
    assert site.group("crew").id == crew
    assert "skip-group" not in did(back)


def test_a_group_search_that_sees_less_waits_for_an_admin(site: SyncSite, directory: Slapd) -> None:
    """A share of the groups; approved by the number of the run that showed them, and by no other."""
    for number in range(10):
        directory.add_group(f"more{number}", [ANN])
    site.done()
    few = site.changed(group_filter="(&(objectClass=groupOfNames)(!(cn=more*)))")
    held = few.run()
    wrong = few.run(approve=987654)
    approved = few.run(approve=held.run_id)

    assert (held.outcome, wrong.outcome, approved.outcome) == (Outcome.HELD, Outcome.HELD, Outcome.DONE)
    assert "no held run" in wrong.detail
    assert len(did(held)["delete-group"]) == 10
    assert [event.actor for event in site.store.audit.tail(kind="sync.approved")] == ["test"]


def test_a_held_run_is_not_approved_for_ever(site: SyncSite, directory: Slapd) -> None:
    """After a week it says nothing of today."""
    people = [directory.add_person(f"user{number}") for number in range(8)]
    site = site.changed(max_disabled_count=1, max_disabled_percent=1)
    site.done()
    for dn in people[:2]:
        directory.set_locked(dn, permanently=True)
    held = site.run()
    late = site.run(approve=held.run_id, clock=lambda: time.time() + 8 * 86_400)

    assert (held.outcome, late.outcome) == (Outcome.HELD, Outcome.HELD)


def test_the_clocks_need_not_agree(site: SyncSite, directory: Slapd) -> None:
    """Ours is hours ahead or behind: what changes in the same second as the last change seen is not lost."""
    for skew in (7200.0, -7200.0):
        site.done(clock=lambda skew=skew: time.time() + skew)
        set_mail(directory, "bob")
        site.done(clock=lambda skew=skew: time.time() + skew)
        directory.set_locked(ANN, permanently=True)
        site.done(clock=lambda skew=skew: time.time() + skew)
        ended = site.user("ann").status
        directory.unlock(ANN)
        site.done(clock=lambda skew=skew: time.time() + skew)

        assert (ended, site.user("ann").status) == (Status.DEPROVISIONED, Status.ACTIVE)


def test_a_group_that_an_admin_deletes_in_mid_run_stops_nobody_else(
    site: SyncSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person whose membership cannot be kept is left for the next run; the run is done."""
    site.done()
    site.store.apply(CreateGroup("other"), actor=ACTOR)
    real = planning.Comparison.plan

    def late(self: planning.Comparison) -> planning.Plan:
        plan = real(self)
        site.store.apply(DeleteGroup(site.group("crew").id), actor=ACTOR)
        return plan

    monkeypatch.setattr(planning.Comparison, "plan", late)
    first = site.run(full=True)
    monkeypatch.setattr(planning.Comparison, "plan", real)
    site.done(full=True)

    assert first.outcome is Outcome.DONE
    assert site.groups("ann") == ["crew"]


def test_conflicts_beyond_those_that_are_read_again_stay_open(site: SyncSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is settled who was not looked at."""
    for name in ("ann", "bob"):
        site.store.apply(CreateUser(name, Method.LOCAL), actor=ACTOR)
    site.done()
    long_ago(site)
    monkeypatch.setattr(snapshot, "MAX_PENDING", 1)
    site.done()

    assert [conflict.name for conflict in site.store.syncs.conflicts(NAME)] == ["ann", "bob"]


def test_a_provider_is_not_removed_under_a_run(site: SyncSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would leave users whom nobody sweeps."""
    site.store.apply(PutProvider(NAME, "ldap", {}, {}), actor=ACTOR)
    real = planning.Comparison.plan
    told: list[str] = []

    def late(self: planning.Comparison) -> planning.Plan:
        with pytest.raises(Conflict) as caught:
            site.store.apply(DeleteProvider(NAME), actor=ACTOR)
        told.append(caught.value.message)
        return real(self)

    monkeypatch.setattr(planning.Comparison, "plan", late)
    site.done()

    assert "is running" in told[0]
    assert site.store.providers.by_name(NAME) is not None
