"""The way back from an identity provider: everything as it was, for 30 days, unless somebody moved the user on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Table, select

from storage.database.changes import (
    AddMember,
    DeleteGroup,
    DeleteUser,
    LinkIdentity,
    MapRole,
    RemoveMember,
    SetMethod,
    UnlinkIdentity,
    UpdateUser,
    UserFields,
)
from storage.database.migration_changes import UNDO_S, MarkPilot
from storage.database.records import Method, Owner, Role, Status, User
from storage.database.scim_tables import (
    migration_pilots,
    scim_conflicts,
    scim_emails,
    scim_holds,
    scim_users,
    tombstones,
)
from storage.database.store import Conflict, NotFoundInStore, Store, Taken
from storage.database.tables import aliases, identities, memberships, reserved_names
from tests.support.migration_rows import CORP, ID, contest, directory_group, directory_user, move, move_back
from tests.support.scim_rows import CLIENT, ENTRA, creation, join, leave, make_scim_group, person, say
from tests.support.store_rows import ACTOR, make_group, make_user, user_again

TABLES: tuple[Table, ...] = (
    aliases,
    identities,
    memberships,
    migration_pilots,
    reserved_names,
    scim_conflicts,
    scim_emails,
    scim_holds,
    scim_users,
    tombstones,
)


def rows(store: Store) -> dict[str, list[str]]:
    """Give everything of users that a move touches besides their own rows."""
    with store._database.read() as connection:
        return {table.name: sorted(map(repr, connection.execute(select(table)))) for table in TABLES}


def plain(user: User) -> User:
    """Give the user without what every change raises."""
    return replace(user, epoch=0, updated_at=0.0)


# As it was ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_groups", [True, False])
@pytest.mark.parametrize("with_document", [True, False])
def test_a_move_that_is_undone_leaves_no_trace_but_the_journal(
    store: Store, *, keep_groups: bool, with_document: bool
) -> None:
    """Row for row: method, provider, owner, role, links, memberships, aliases, the pilot's mark and the conflict."""
    crew, deck = directory_group(store), directory_group(store, "deck")
    names = frozenset({"ann@lab.test", "corp\\ann"})
    user = directory_user(store, groups=frozenset({crew, deck}), aliases=names, role=Role.ADMIN)
    store.apply(AddMember(user.id, deck), actor=ACTOR)
    store.apply(LinkIdentity(user.id, ENTRA, "oid-staged"), actor=ACTOR)
    store.apply(MarkPilot(user.id, ENTRA), actor=ACTOR)
    document = contest(store, user)
    before, as_it_was = plain(user_again(store, user)), rows(store)
    moved = move(store, user, document if with_document else None, keep_groups=keep_groups)
    between = rows(store)
    epoch, seen = user_again(store, user).epoch, store.revocations.latest()
    undone = move_back(store, moved.detail["migration"])

    (row,) = store.migrations.journal()
    after, event = user_again(store, user), store.audit.tail(limit=1)[0]
    conflicts = [] if with_document else as_it_was["scim_conflicts"]
    assert between["memberships"] != as_it_was["memberships"]
    assert plain(after) == before
    assert rows(store) | {"scim_conflicts": conflicts} == as_it_was | {"scim_conflicts": conflicts}
    assert [one.document for one in store.scim_waiting.conflicts_with(ENTRA, user.id)] == [document]
    assert (after.epoch, [one.user_id for one in store.revocations.since(seen)]) == (epoch + 1, [user.id])
    assert (event.kind, event.actor, undone.changed) == ("user.migration_undone", "other-admin", True)
    assert (row.undone_by, row.undone_at) == ("other-admin", event.at)


def test_the_grave_of_the_second_user_comes_back(store: Store) -> None:
    """Nobody comes in as the deleted user by signing in, and the name is that user's still."""
    user, second = directory_user(store), join(store, "ann@lab.test", ID)
    store.apply(DeleteUser(second.id), actor=ACTOR)
    as_it_was = rows(store)
    moved = move(store, user, person("ann@lab.test", ID))
    store.scim_waiting.settle(ENTRA, ID, "")
    move_back(store, moved.detail["migration"])
    store.scim_waiting.settle(ENTRA, ID, "")

    assert rows(store) == as_it_was


def test_what_the_client_did_meanwhile_ends_with_the_way_back(store: Store) -> None:
    """Its memberships, the role of its groups and its names; the conflict has its newest words."""
    user = directory_user(store, groups=frozenset({directory_group(store)}), role=Role.GROUP_ADMIN)
    moved = move(store, user, contest(store, user))
    store.apply(MapRole(ENTRA, "g-admins", Role.ADMIN, "admins"), actor=ACTOR)
    group = make_scim_group(store, "admins", user.id, external_id="g-admins")
    say(store, user, user_name="ann.new@lab.test", display_name="Ann New")
    between = user_again(store, user).role
    move_back(store, moved.detail["migration"])

    (conflict,) = store.scim_waiting.conflicts(ENTRA)
    assert (between, user_again(store, user).role) == (Role.ADMIN, Role.GROUP_ADMIN)
    assert store.groups.members(group) == []
    assert store.users.aliases_of(user.id) == []
    assert store.scim_people.by_id(ENTRA, user.id) is None
    assert (conflict.external_id, conflict.user_name, conflict.holder_id) == (ID, "ann.new@lab.test", user.id)
    assert conflict.document["displayName"] == "Ann New"


def test_whom_the_client_has_put_out_stays_out(store: Store) -> None:
    """The way back lets nobody in; the directory, or an admin, may."""
    user, gone = directory_user(store), directory_user(store, "bob")
    first = move(store, user, person("ann"))
    second = move(store, gone, person("bob"), external_id="oid-bob")
    say(store, user, active=False)
    leave(store, gone)
    move_back(store, first.detail["migration"])
    move_back(store, second.detail["migration"])

    assert [user_again(store, one).status for one in (user, gone)] == [Status.DEPROVISIONED] * 2
    assert [one.user_name for one in store.scim_waiting.conflicts(ENTRA)] == ["ann"]


def test_a_user_whom_the_client_took_over_later_comes_back_too(store: Store) -> None:
    """Moved without a document; the client's create came afterwards."""
    user = directory_user(store)
    moved = move(store, user)
    store.apply(creation(person("ann", ID), method=Method.OIDC), actor=CLIENT)
    move_back(store, moved.detail["migration"])

    after = user_again(store, user)
    assert (after.method, after.provider, after.managed_by) == (Method.LDAP, CORP, Owner.LDAP)
    assert store.users.identity(user.id, ENTRA) is None
    assert len(store.scim_waiting.conflicts_with(ENTRA, user.id)) == 1


def test_what_an_admin_said_meanwhile_stays(store: Store) -> None:
    """Another role, a group of the site's own, and a group that is gone."""
    crew, deck, own = directory_group(store), directory_group(store, "deck"), make_group(store, "own")
    user = directory_user(store, groups=frozenset({crew, deck}), role=Role.ADMIN)
    moved = move(store, user)
    store.apply(UpdateUser(user.id, UserFields(role=Role.READ_ONLY_ADMIN)), actor=ACTOR)
    store.apply(AddMember(user.id, own.id), actor=ACTOR)
    store.apply(RemoveMember(user.id, crew), actor=ACTOR)
    store.apply(DeleteGroup(deck), actor=ACTOR)
    move_back(store, moved.detail["migration"])

    assert user_again(store, user).role is Role.READ_ONLY_ADMIN
    assert [group.name for group in store.users.groups_of(user.id)] == ["crew", "own"]


def test_the_directorys_link_comes_back_if_it_is_gone(store: Store) -> None:
    """Such as with a directory that was removed and added again."""
    user = directory_user(store)
    moved = move(store, user)
    store.apply(UnlinkIdentity(user.id, CORP, "e-ann"), actor=ACTOR)
    move_back(store, moved.detail["migration"])

    link = store.users.identity(user.id, CORP)
    assert link is not None
    assert (link.external_id, link.hint) == ("e-ann", "uid=ann")


# Refused ------------------------------------------------------------------------------------------


def _deleted(store: Store, user: User) -> None:
    store.apply(DeleteUser(user.id), actor=ACTOR)


def _local_now(store: Store, user: User) -> None:
    store.apply(SetMethod(user.id, Method.LOCAL), actor=ACTOR)


def _the_sites_own(store: Store, user: User) -> None:
    store.apply(UpdateUser(user.id, UserFields(managed_by=Owner.MANUAL)), actor=ACTOR)


def _moved_again(store: Store, user: User) -> None:
    store.apply(SetMethod(user.id, Method.LDAP, CORP), actor=ACTOR)
    move(store, user)


def _person_is_anothers(store: Store, user: User) -> None:
    store.apply(UnlinkIdentity(user.id, CORP, "e-ann"), actor=ACTOR)
    other = make_user(store, "bob")
    store.apply(LinkIdentity(other.id, CORP, "e-ann"), actor=ACTOR)


@pytest.mark.parametrize(
    ("happened", "why"),
    [
        (_deleted, "'ann' was deleted since"),
        (_local_now, "moved on since, and has the method local"),
        (_the_sites_own, "managed by manual"),
        (_moved_again, "moved again since, by the move 2"),
        (_person_is_anothers, "linked to another user by now"),
    ],
)
def test_no_way_back_for_who_was_moved_on(store: Store, happened: Any, why: str) -> None:
    """In words; nothing is changed, and the journal still has the move as it stands."""
    user = directory_user(store)
    moved = move(store, user)
    happened(store, user)
    before, as_it_was = store.users.by_id(user.id), rows(store)
    with pytest.raises(Conflict, match=why) as refused:
        move_back(store, moved.detail["migration"])

    row = store.migrations.by_id(int(str(moved.detail["migration"])))
    assert (store.users.by_id(user.id), rows(store)) == (before, as_it_was)
    assert row is not None
    assert row.undone_at is None
    assert isinstance(refused.value, Taken) is (happened is _person_is_anothers)


def test_there_is_a_way_back_for_thirty_days(store: Store) -> None:
    """To the second; then the move stands."""
    user, other = directory_user(store), directory_user(store, "bob")
    move(store, user)
    move(store, other, external_id="oid-bob")
    late, early = store.migrations.journal()
    back = move_back(store, early.id, now=early.undo_until)
    with pytest.raises(Conflict, match="more than 30 days ago and stands"):
        move_back(store, late.id, now=late.undo_until + 1.0)

    assert back.changed
    assert early.undo_until == early.at + UNDO_S


def test_a_move_is_undone_once(store: Store) -> None:
    """And one that never was, not at all."""
    user = directory_user(store)
    moved = move(store, user)
    move_back(store, moved.detail["migration"])
    with pytest.raises(Conflict, match="was undone already"):
        move_back(store, moved.detail["migration"])
    with pytest.raises(NotFoundInStore, match="no move 999"):
        move_back(store, 999)


def test_who_was_given_back_can_move_again(store: Store) -> None:
    """With what waits at the client since; and back again."""
    user = directory_user(store)
    document = contest(store, user)
    first = move(store, user, document)
    move_back(store, first.detail["migration"])
    (conflict,) = store.scim_waiting.conflicts_with(ENTRA, user.id)
    second = move(store, user, dict(conflict.document))
    move_back(store, second.detail["migration"])

    assert [row.undone_at is None for row in store.migrations.journal()] == [False, False]
    assert user_again(store, user).method is Method.LDAP
