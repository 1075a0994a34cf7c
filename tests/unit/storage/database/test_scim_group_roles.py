"""The roles that a SCIM client's groups give: only those that an admin mapped, by the immutable id."""

from __future__ import annotations

import pytest

from storage.database.changes import (
    DeleteGroup,
    LinkIdentity,
    MapRole,
    Provision,
    ProvisionGroup,
    SetMethod,
    UnlinkIdentity,
    UnmapRole,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Owner, Role, User
from storage.database.scim_changes import (
    AddMembers,
    ClearMembers,
    MemberStep,
    RemoveMembers,
    ReplaceMembers,
    ScimDeleteGroup,
)
from storage.database.store import Applied, InvalidChange, Store
from tests.support.scim_rows import (
    CLIENT,
    ENTRA,
    OKTA,
    hold_by_hand,
    join,
    join_many,
    leave,
    make_scim_group,
    regroup,
    say,
)
from tests.support.store_rows import ACTOR, make_group, user_again

ADMINS, HELPERS = "g-admins", "g-helpers"


def map_role(store: Store, external_id: str, role: Role, provider: str = ENTRA) -> Applied:
    return store.apply(MapRole(provider, external_id, role, "named for people"), actor=ACTOR)


def unmap(store: Store, external_id: str) -> Applied:
    return store.apply(UnmapRole(ENTRA, external_id), actor=ACTOR)


def role(store: Store, user: User | str) -> Role:
    return user_again(store, user).role


@pytest.fixture
def mapped(store: Store) -> Store:
    """A store in which two groups of the client give a role each."""
    map_role(store, ADMINS, Role.ADMIN)
    map_role(store, HELPERS, Role.GROUP_ADMIN)
    return store


def test_a_name_gives_nothing(mapped: Store) -> None:
    """Neither the mapped group's name, nor a group of the site's own that is called so (C2)."""
    user, mine = join(mapped), make_group(mapped, "admins")
    for name in ("Admins", "named for people", ADMINS, "admin", "root"):
        make_scim_group(mapped, name, user.id)
    hold_by_hand(mapped, user, mine.id)

    assert role(mapped, user) is Role.USER


def test_another_providers_group_of_that_id_gives_nothing(mapped: Store) -> None:
    """An id counts at its own provider."""
    user = join(mapped, provider=OKTA)
    make_scim_group(mapped, "Admins", user.id, external_id=ADMINS, provider=OKTA)

    assert role(mapped, user) is Role.USER


@pytest.mark.parametrize("end", [RemoveMembers, ReplaceMembers, ClearMembers])
def test_a_role_is_given_and_taken_with_the_membership(mapped: Store, end: type[MemberStep]) -> None:
    """At once, with one epoch and one revocation for both, and an event that says so."""
    user = join(mapped)
    group = make_scim_group(mapped, "Bosses", external_id=ADMINS)
    seen, event = mapped.revocations.latest(), mapped.audit.tail(limit=1)[0].id
    regroup(mapped, group, AddMembers((user.id,)))
    given, epoch = role(mapped, user), user_again(mapped, user).epoch
    step: MemberStep = {RemoveMembers: RemoveMembers((user.id,)), ReplaceMembers: ReplaceMembers(())}.get(
        end, ClearMembers()
    )
    regroup(mapped, group, step)

    assert (given, role(mapped, user)) == (Role.ADMIN, Role.USER)
    assert (epoch, user_again(mapped, user).epoch) == (2, 3)
    assert [row.user_id for row in mapped.revocations.since(seen)] == [user.id] * 2
    events = mapped.audit.tail(after_id=event)
    assert [one.kind for one in events] == [
        "group.updated", "member.added", "user.role_given", "group.updated", "member.removed", "user.role_given"
    ]  # fmt: skip
    assert [(one.detail or {}).get("role") for one in events if one.kind == "user.role_given"] == ["admin", "user"]


def test_the_highest_role_counts(mapped: Store) -> None:
    """And losing it leaves the next."""
    user = join(mapped)
    helpers = make_scim_group(mapped, "Helpers", user.id, external_id=HELPERS)
    first = role(mapped, user)
    admins = make_scim_group(mapped, "Admins", user.id, external_id=ADMINS)
    both = role(mapped, user)
    mapped.apply(ScimDeleteGroup(ENTRA, admins), actor=CLIENT)
    second = role(mapped, user)
    regroup(mapped, helpers, ClearMembers())

    assert [first, both, second, role(mapped, user)] == [Role.GROUP_ADMIN, Role.ADMIN, Role.GROUP_ADMIN, Role.USER]


def test_a_mapping_counts_for_those_who_are_in_already(store: Store) -> None:
    """Made, changed and ended: each member's role follows at once with a revocation, and the rest hear nothing."""
    ids = join_many(store, 3)
    make_scim_group(store, "Admins", *ids[:2], external_id=ADMINS)
    told = [map_role(store, ADMINS, Role.ADMIN), map_role(store, ADMINS, Role.ADMIN)]
    given = {role(store, one) for one in ids[:2]}
    told.append(map_role(store, ADMINS, Role.READ_ONLY_ADMIN))
    lowered = {role(store, one) for one in ids[:2]}
    told += [unmap(store, ADMINS), unmap(store, ADMINS)]

    assert (given, lowered, role(store, ids[0]), role(store, ids[2])) == (
        {Role.ADMIN}, {Role.READ_ONLY_ADMIN}, Role.USER, Role.USER
    )  # fmt: skip
    assert [set(one.users) for one in told] == [set(ids[:2]), set(), set(ids[:2]), set(ids[:2]), set()]
    assert (told[0].detail["roles_changed"], told[-1].changed) == (sorted(ids[:2]), False)


def test_a_changed_external_id_moves_the_roles(mapped: Store) -> None:
    """To the mapping of the new id, for all members, also those who joined with the same request; never to none."""
    ids = join_many(mapped, 3)
    group = make_scim_group(mapped, "Bosses", *ids[:2], external_id="g-none")
    regroup(mapped, group, AddMembers((ids[2],)), external_id=ADMINS)
    given = [role(mapped, one) for one in ids]
    done = regroup(mapped, group, RemoveMembers((ids[2],)), external_id=HELPERS)
    lowered = [role(mapped, one) for one in ids]
    regroup(mapped, group, external_id="")

    assert (given, lowered) == ([Role.ADMIN] * 3, [Role.GROUP_ADMIN] * 2 + [Role.USER])
    assert (set(done.users), done.detail["old_external_id"]) == (set(ids), ADMINS)
    assert [role(mapped, one) for one in ids] == lowered  # what the client no longer says is its key all the same


def test_a_group_without_an_external_id_is_mapped_by_our_id(store: Store) -> None:
    """Which no client can give another group."""
    user = join(store)
    group = make_scim_group(store, "Admins", user.id)
    map_role(store, group, Role.ADMIN)

    assert role(store, user) is Role.ADMIN


@pytest.mark.parametrize("said", [Role.ADMIN, Role.GROUP_ADMIN, Role.READ_ONLY_ADMIN])
def test_an_admins_role_is_left(mapped: Store, said: Role) -> None:
    """One that an admin gave before the client's, the same or another, outlasts joining and leaving."""
    user, group = join(mapped), make_scim_group(mapped, "Admins", external_id=ADMINS)
    mapped.apply(UpdateUser(user.id, UserFields(role=said)), actor=ACTOR)
    regroup(mapped, group, AddMembers((user.id,)))
    kept = role(mapped, user)
    regroup(mapped, group, RemoveMembers((user.id,)))

    assert (kept, role(mapped, user)) == (said, said)


def test_an_admins_demotion_is_left(mapped: Store) -> None:
    """Also when the client says the same again by leaving and joining, or deletes and makes the person."""
    user = join(mapped)
    group = make_scim_group(mapped, "Admins", user.id, external_id=ADMINS)
    mapped.apply(UpdateUser(user.id, UserFields(role=Role.USER)), actor=ACTOR)
    regroup(mapped, group, RemoveMembers((user.id,)), AddMembers((user.id,)))
    regroup(mapped, group, RemoveMembers((user.id,)))
    regroup(mapped, group, AddMembers((user.id,)))
    leave(mapped, user)
    join(mapped)
    regroup(mapped, group, AddMembers((user.id,)))

    assert role(mapped, user) is Role.USER


def test_a_second_link_of_an_admins_makes_no_admin_for_ever(mapped: Store) -> None:
    """The role that the client gave is still the client's to take."""
    user = join(mapped)
    group = make_scim_group(mapped, "Admins", user.id, external_id=ADMINS)
    for external_id in ("0-second", "z-second"):
        mapped.apply(LinkIdentity(user.id, ENTRA, external_id), actor=ACTOR)
    regroup(mapped, group, ClearMembers())

    assert role(mapped, user) is Role.USER
    assert not any(link.role_overruled for link in mapped.users.identities_of(user.id))


def test_who_has_no_link_is_given_no_role(mapped: Store) -> None:
    """An admin has said that the client's person is not this user; the client's next word of the user links anew."""
    user = join(mapped)
    group = make_scim_group(mapped, "Admins", external_id=ADMINS)
    mapped.apply(UnlinkIdentity(user.id, ENTRA, "oid-ann"), actor=ACTOR)
    regroup(mapped, group, AddMembers((user.id,)))
    without = role(mapped, user)
    say(mapped, user, title="Captain")
    regroup(mapped, group, RemoveMembers((user.id,)), AddMembers((user.id,)))
    regroup(mapped, group, RemoveMembers((user.id,)))
    regroup(mapped, group, AddMembers((user.id,)))

    assert (without, role(mapped, user)) == (Role.USER, Role.ADMIN)


def test_a_group_that_an_admin_deletes_takes_its_role_along(mapped: Store) -> None:
    """No sync and no client would ever take it away."""
    user, kept = join(mapped), join(mapped, "bea")
    helpers = make_scim_group(mapped, "Helpers", kept.id, external_id=HELPERS)
    group = make_scim_group(mapped, "Admins", user.id, kept.id, external_id=ADMINS)
    seen = mapped.revocations.latest()
    mapped.apply(DeleteGroup(group), actor=ACTOR)

    assert (role(mapped, user), role(mapped, kept)) == (Role.USER, Role.GROUP_ADMIN)
    assert {row.user_id for row in mapped.revocations.since(seen)} == {user.id, kept.id}
    assert mapped.groups.by_id(helpers) is not None


def test_the_last_link_takes_the_clients_role_along(mapped: Store) -> None:
    """What an admin said stays; with another link at the provider the client's stays, too."""
    user, told = join(mapped), join(mapped, "bea")
    make_scim_group(mapped, "Admins", user.id, external_id=ADMINS)
    mapped.apply(UpdateUser(told.id, UserFields(role=Role.ADMIN)), actor=ACTOR)
    mapped.apply(LinkIdentity(user.id, ENTRA, "oid-second"), actor=ACTOR)
    mapped.apply(UnlinkIdentity(user.id, ENTRA, "oid-second"), actor=ACTOR)
    second = role(mapped, user)
    done = mapped.apply(UnlinkIdentity(user.id, ENTRA, "oid-ann"), actor=ACTOR)
    mapped.apply(UnlinkIdentity(told.id, ENTRA, "oid-bea"), actor=ACTOR)

    assert (second, role(mapped, user), done.detail["role"]) == (Role.ADMIN, Role.USER, Role.USER)
    assert role(mapped, told) is Role.ADMIN


def test_who_is_somebody_elses_keeps_the_role(mapped: Store) -> None:
    """Whoever an admin has moved away is no longer the groups' to raise or lower."""
    user = join(mapped)
    group = make_scim_group(mapped, "Admins", user.id, external_id=ADMINS)
    mapped.apply(SetMethod(user.id, Method.LOCAL), actor=ACTOR)
    regroup(mapped, group, ClearMembers())
    unmap(mapped, ADMINS)

    assert role(mapped, user) is Role.ADMIN


def test_a_directorys_mapping_touches_no_clients_people(store: Store) -> None:
    """The sync gives those roles itself."""
    group = store.apply(ProvisionGroup("corp", Owner.LDAP, "g-1", "deck"), actor=ACTOR).subject_id
    lou = store.apply(
        Provision("corp", Owner.LDAP, Method.LDAP, "e-1", "lou", groups=frozenset({group})), actor=ACTOR
    ).subject_id
    done = map_role(store, "g-1", Role.ADMIN, "corp")

    assert (done.users, role(store, lou)) == ((), Role.USER)
    with pytest.raises(InvalidChange):
        map_role(store, "g-1", Role.USER)


def test_an_inactive_members_role_follows_too(mapped: Store) -> None:
    """Nobody comes back with a role that was lost meanwhile."""
    user = join(mapped)
    group = make_scim_group(mapped, "Admins", user.id, external_id=ADMINS)
    say(mapped, user, active=False)
    regroup(mapped, group, RemoveMembers((user.id,)))
    say(mapped, user, active=True)

    assert role(mapped, user) is Role.USER


@pytest.mark.long
def test_hundreds_of_roles_change_in_one_request(mapped: Store) -> None:
    """More than one statement may name; one revocation each, and one event each for joining and for the role."""
    ids = join_many(mapped, 501)
    seen, event = mapped.revocations.latest(), mapped.audit.tail(limit=1)[0].id
    make_scim_group(mapped, "Admins", *ids, external_id=ADMINS)

    assert {role(mapped, one) for one in ids} == {Role.ADMIN}
    assert sorted(row.user_id or "" for row in mapped.revocations.since(seen)) == sorted(ids)
    assert len(mapped.audit.tail(after_id=event, limit=2000)) == 1 + 2 * 501
