"""A user who moved to an identity provider: the sync of the directory leaves the user alone, on a real OpenLDAP."""

from __future__ import annotations

import pytest

from storage.database.migration_changes import MigrateUser
from storage.database.records import Method, Owner, Status, User
from storage.database.store import Store
from tests.support.directories.sites import NAME, SyncSite, did
from tests.support.directories.slapd import Slapd
from tests.support.migration_rows import move_back

pytestmark = pytest.mark.system

PLACE = "uid=ann,ou=people,dc=lab,dc=test"


def moved(store: Store, user: User) -> object:
    """Move a user and give the number of the move."""
    change = MigrateUser(user.id, "entra", Method.OIDC, f"oid-{user.name}")
    return store.apply(change, actor="test").detail["migration"]


def test_the_sync_neither_ends_nor_changes_nor_doubles_a_moved_user(site: SyncSite, directory: Slapd) -> None:
    """Present, renamed, locked, or gone there: one user, as the move left it, and nothing that waits for an admin."""
    site.done()
    moved(site.store, site.user("ann"))
    as_moved = site.user("ann")
    told = [did(site.done(full=True))]
    directory.rename(PLACE, "uid=ann-new")
    told.append(did(site.done()))
    directory.set_locked(PLACE.replace("ann", "ann-new"), permanently=True)
    told.append(did(site.done()))
    directory.delete(PLACE.replace("ann", "ann-new"))
    told.append(did(site.done(full=True)))

    assert site.user("ann") == as_moved
    assert site.names() == ["ann", "bob", "cleo"]
    assert site.groups("ann") == ["crew"]
    assert site.store.syncs.conflicts(NAME) == []
    assert [set(actions) - {"skip"} for actions in told] == [set()] * 4


def test_a_group_that_the_directory_ends_is_the_sites_for_who_has_moved(site: SyncSite, directory: Slapd) -> None:
    """The membership became the site's own, so that the group stays for it."""
    site.done()
    moved(site.store, site.user("cleo"))
    directory.delete("cn=deck,ou=groups,dc=lab,dc=test")
    site.done(full=True)

    assert site.groups("cleo") == ["deck"]


def test_who_was_given_back_is_followed_again(site: SyncSite, directory: Slapd) -> None:
    """The sync goes on where it was: what changed meanwhile arrives with the next full run, and leavers leave."""
    site.done()
    number = moved(site.store, site.user("ann"))
    directory.rename(PLACE, "uid=ann-new")
    site.done()
    move_back(site.store, number)
    site.done(full=True)
    renamed = site.user("ann-new")
    directory.delete(PLACE.replace("ann", "ann-new"))
    site.done(full=True)

    assert (renamed.method, renamed.managed_by, renamed.status) == (Method.LDAP, Owner.LDAP, Status.ACTIVE)
    assert site.user("ann-new").status is Status.DEPROVISIONED
    assert site.names() == ["ann-new", "bob", "cleo"]
