"""Runs of the sync: what waits for an admin, what fails, what is shown, kept and gone on with, on a real OpenLDAP."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from auth_backends.ldap.sync.api import LEASE_PREFIX, SyncBusy
from auth_backends.ldap.sync.apply import Applier
from storage.database.changes import (
    CreateUser,
)
from storage.database.records import Method, Status
from storage.database.store import Store
from storage.database.sync_log import Mode, Outcome
from tests.support.directories.sites import NAME, SyncSite, did, provider_for
from tests.support.directories.slapd import Slapd

pytestmark = pytest.mark.system

ACTOR = "test"


# The circuit breaker ------------------------------------------------------------------------------


def many(directory: Slapd, count: int) -> list[str]:
    return [directory.add_person(f"user{number:03}") for number in range(count)]


def test_a_run_that_would_end_too_many_waits_for_an_admin(site: SyncSite, directory: Slapd) -> None:
    """Nothing at all is changed; the held run shows whom; approved by its number it ends these and no others."""
    site = site.changed(max_disabled_count=2, max_disabled_percent=10)
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
        report = site.changed(**settings).run(full=True)

        assert Outcome.HELD is report.outcome
    assert {user.status for user in site.store.users.list()} == {Status.ACTIVE}


def test_an_answer_without_groups_takes_nobodys_groups(site: SyncSite) -> None:
    """The same for groups."""
    site.done()
    report = site.changed(group_filter="(cn=no-such-*)").run(full=True)

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
    site = site.changed(max_disabled_count=3, max_disabled_percent=1)
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
    report = site.changed(user_filter="(&(objectClass=inetOrgPerson)(!(uid=zzz)))").done()

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
