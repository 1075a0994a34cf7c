"""Who was ended or deleted by a client stays so, whatever an admin changes around it."""

from __future__ import annotations

import pytest

from storage.database.changes import AdoptUser, RenameUser, SetMethod, SetStatus, UnlinkIdentity
from storage.database.records import Method, Owner, Status
from storage.database.scim_waiting import ScimConflict
from storage.database.store import Conflict, Store, Taken
from tests.support.scim_rows import (
    CLIENT,
    ENTRA,
    creation,
    group_said,
    join,
    leave,
    make_scim_group,
    person,
    said_of,
    say,
)
from tests.support.store_rows import ACTOR, user_again


def test_an_admin_enables_nobody_whom_the_client_ended(store: Store) -> None:
    """Neither after the link was taken away, nor after a second adoption."""
    unlinked, adopted = join(store, "ann", "oid-ann"), join(store, "bob", "oid-bob")
    for user in (unlinked, adopted):
        say(store, user, active=False)
    store.apply(UnlinkIdentity(unlinked.id, ENTRA, "oid-ann"), actor=ACTOR)
    store.apply(AdoptUser(adopted.id, ENTRA, Owner.SCIM, adopted.method, "oid-bob"), actor=ACTOR)
    for user in (unlinked, adopted):
        with pytest.raises(Conflict):
            store.apply(SetStatus(user.id, Status.ACTIVE), actor=ACTOR)

    assert {user_again(store, user).status for user in (unlinked, adopted)} == {Status.DEPROVISIONED}


def test_a_deleted_person_stays_a_tombstone_when_the_user_is_handed_over(store: Store) -> None:
    """The row of the client goes; that the person is gone does not."""
    user = join(store, "ann", "oid-ann")
    leave(store, user)
    store.apply(SetMethod(user.id, Method.NONE), actor=ACTOR)
    store.apply(UnlinkIdentity(user.id, ENTRA, "oid-ann"), actor=ACTOR)

    assert store.scim_people.any_by_id(user.id) is None
    assert store.scim_people.is_tombstoned(ENTRA, "oid-ann")


def test_the_groups_of_a_deleted_person_have_a_new_version(store: Store) -> None:
    """They look otherwise from then on, and an old entity tag fits no more."""
    user = join(store)
    crew, other = make_scim_group(store, "Crew", user.id), make_scim_group(store, "Other")
    before = group_said(store, crew).version, group_said(store, other).version
    leave(store, user)

    assert (group_said(store, crew).version, group_said(store, other).version) == (before[0] + 1, before[1])


def test_a_restored_person_was_created_when_first_seen(store: Store) -> None:
    """And has a version that no old entity tag fits."""
    user = join(store, "ann", "oid-ann")
    first = said_of(store, user)
    leave(store, user)
    store.apply(creation(person("ann", "oid-ann")), actor=CLIENT)

    assert (said_of(store, user).created_at, said_of(store, user).version) == (first.created_at, 3)


@pytest.mark.parametrize(("name", "held_as"), [("bob", "name"), ("old-bob", "reserved"), ("bobby", "alias")])
def test_a_conflict_says_what_the_name_is_to_its_holder(store: Store, name: str, held_as: str) -> None:
    """A former name is no sign that it is the same person."""
    bob = join(store, "old-bob", "oid-bob", provider="okta")
    say(store, bob, userName="bob")
    if held_as == "alias":
        store.apply(RenameUser(bob.id, "robert"), actor=ACTOR)
        say(store, bob, userName="bobby")
    with pytest.raises(Taken) as refused:
        store.apply(creation(person(name, "oid-new")), actor=CLIENT)
    conflict = ScimConflict(ENTRA, "oid-new", name, bob.id, "taken", held_as=refused.value.held_as)
    store.scim_waiting.contest(conflict)

    assert (refused.value.holder, refused.value.held_as) == (bob.id, held_as)
    assert [one.held_as for one in store.scim_waiting.conflicts_with(ENTRA, bob.id)] == [held_as]


def test_old_conflicts_are_forgotten(store: Store) -> None:
    """Of whom no client has spoken for long."""
    for number in range(3):
        store.scim_waiting.contest(
            ScimConflict(ENTRA, f"oid-{number}", "ann", "0" * 32, "taken", asked_at=float(number))
        )
    removed = store.scim_waiting.prune(2.0)

    assert removed == 2
    assert [one.external_id for one in store.scim_waiting.conflicts()] == ["oid-2"]
