"""The sync against a real Active Directory domain controller: GUIDs, nested and primary groups, ranges, 5,000 users."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from storage.database.records import Status
from storage.database.store import Store
from storage.database.sync_log import Mode
from tests.support.directories.certificates import Authority
from tests.support.directories.samba import SambaAd
from tests.support.directories.sites import NAME, SyncSite, did, provider_for

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def domain(authority: Authority) -> Iterator[SambaAd]:
    """A domain controller of this file's own."""
    with SambaAd(authority) as server:
        yield server


@pytest.fixture
def site(domain: SambaAd, sqlite_store: Store) -> SyncSite:
    """The staff only: most tests need no 5,000 users."""
    return SyncSite(sqlite_store, provider_for(domain, user_base_dn=domain.staff_dn))


def test_people_are_linked_by_guid_and_may_type_three_names(site: SyncSite, domain: SambaAd) -> None:
    r"""``objectGUID`` in its canonical form; sAMAccountName, userPrincipalName and ``DOMAIN\user`` lead to one user."""
    site.done()

    alice = site.user("alice")
    link = site.store.users.identity(alice.id, NAME)
    assert link is not None
    assert str(domain.guid_of("alice")) == link.external_id
    assert site.store.users.aliases_of(alice.id) == ["alice@corp.test", "corp\\alice"]
    found = [site.store.users.by_login(name) for name in ("alice", "alice@corp.test", "corp\\alice")]
    assert [user.id for user in found if user is not None] == [alice.id] * 3
    assert sorted(domain.staff) == site.names()


def test_mail_is_a_name_to_type_where_the_site_says_so(domain: SambaAd, sqlite_store: Store) -> None:
    """An alias attribute more."""
    wanted = ("userPrincipalName", "mail")
    site = SyncSite(sqlite_store, provider_for(domain, user_base_dn=domain.staff_dn, alias_attributes=wanted))
    site.done()

    found = site.store.users.by_login("alice@mail.corp.test")
    assert found is not None
    assert found.name == "alice"


def test_nested_and_primary_groups_count(site: SyncSite, domain: SambaAd) -> None:
    """A group in a group, and the group that no member attribute names."""
    domain.create_group("inner-crew", "alice")
    domain.create_group("outer-crew", "inner-crew")
    site.done()

    groups = site.groups("alice")
    assert {"inner-crew", "outer-crew", "domain users"} <= set(groups)
    assert "outer-crew" not in site.groups("heidi")


@pytest.mark.parametrize("mode", list(Mode))
def test_what_changes_in_the_domain_changes_here(site: SyncSite, domain: SambaAd, mode: Mode) -> None:
    """Rename, move, disable, enable, expiry, a new member and one who left: the GUID tells who it is."""
    how = {"full": mode is Mode.FULL}
    name, new = f"grace-{mode.value[:4]}", f"gracia-{mode.value[:4]}"
    domain.create_user(name, "Str0ng-Passw0rd!")
    domain.create_group(f"crew-{mode.value[:4]}", name)
    site.done(full=True)
    before = site.user(name)
    first = site.groups(name)
    domain.rename(name, new)
    domain.disable(new)
    domain.remove_from_group(f"crew-{mode.value[:4]}", new)
    report = site.done(**how)
    ended = site.user(new)
    domain.enable(new)
    domain.expire_account(new)
    site.done(**how)
    expired = site.user(new)

    assert mode is report.mode
    assert f"crew-{mode.value[:4]}" in first
    assert (before.id, before.home, Status.DEPROVISIONED) == (ended.id, ended.home, ended.status)
    assert f"crew-{mode.value[:4]}" not in site.groups(new)
    assert expired.expires_at is not None
    assert (expired.status, expired.expires_at < time.time()) == (Status.ACTIVE, True)
    domain.delete(new)


def test_a_primary_group_survives_a_run_that_reads_only_changes(site: SyncSite, domain: SambaAd) -> None:
    """No group names its primary members, and still nobody loses it."""
    site.done()
    before = {name: site.groups(name) for name in site.names()}
    domain.create_group("something-new", "bob")
    report = site.done()

    assert Mode.INCREMENTAL is report.mode
    after = {name: site.groups(name) for name in site.names()}
    assert after == before | {"bob": sorted([*before["bob"], "something-new"])}


def test_a_renamed_folder_takes_nobodys_groups(site: SyncSite, domain: SambaAd) -> None:
    """The names of all entries below it change, and that is no entry's own change."""
    team = f"OU=Team,{domain.staff_dn}"
    with domain.administrator() as connection:
        connection.add(team, "organizationalUnit")
    domain.create_user("insider", "Str0ng-Passw0rd!", team)
    domain.create_group("insiders", "insider")
    site.done()
    before = site.groups("insider")
    with domain.administrator() as connection:
        connection.modify_dn(team, "OU=Crew")
    domain.create_user("newcomer", "Str0ng-Passw0rd!")
    report = site.done()

    assert Mode.INCREMENTAL is report.mode
    assert "newcomer" in did(report)["create"]
    assert "insiders" in before
    assert before == site.groups("insider")
    domain.delete("insider")
    domain.delete("newcomer")


def test_who_moves_out_of_the_base_has_left(site: SyncSite, domain: SambaAd) -> None:
    """Found at once, since the move is a change; whoever comes back is the same user."""
    domain.create_user("mover", "Str0ng-Passw0rd!")
    site.done()
    user = site.user("mover")
    domain.move("mover", domain.leavers_dn)
    site.done()
    gone = site.user("mover").status
    domain.move("mover", domain.staff_dn)
    site.done()

    assert (gone, site.user("mover").status) == (Status.DEPROVISIONED, Status.ACTIVE)
    assert user.id == site.user("mover").id
    domain.delete("mover")


def test_five_thousand_users_and_a_group_of_1600(domain: SambaAd, sqlite_store: Store) -> None:
    """All come, the large group whole; the next run reads only what changed."""
    site = SyncSite(sqlite_store, provider_for(domain))
    first = site.done()
    members = site.store.groups.members(site.group(domain.large_group).id)
    again = site.done()

    assert first.counts["created"] >= 5000
    assert len(members) == domain.large_group_size
    assert Mode.INCREMENTAL is again.mode
    assert did(again) == {}
    assert "svc-quaymaster" not in site.names()
