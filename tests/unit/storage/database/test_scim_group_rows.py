"""Groups of SCIM clients: made, renamed, filled by deltas, and ended without anybody inheriting anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.database.appliers.scim_groups import _before, _name_here
from storage.database.changes import AddMember, CreateGroup, DeleteGroup, Provision, ProvisionGroup, PutGrant
from storage.database.names import canonical_name
from storage.database.records import Method, Owner
from storage.database.scim_changes import (
    AddMembers,
    ClearMembers,
    MemberStep,
    RemoveMembers,
    ReplaceMembers,
    ScimDeleteGroup,
    ScimUpdateGroup,
)
from storage.database.store import InvalidChange, NotFoundInStore, Stale, Store, Taken
from tests.support.examples import examples
from tests.support.scim_rows import (
    CLIENT,
    ENTRA,
    OKTA,
    group_said,
    held,
    hold_by_hand,
    join,
    join_many,
    leave,
    make_scim_group,
    regroup,
    said_of,
)
from tests.support.store_rows import ACTOR, make_group, make_user, user_again


def name_of(store: Store, group_id: str) -> str:
    group = store.groups.by_id(group_id)
    assert group is not None
    return group.name


def drop(store: Store, group_id: str, **fields: Any) -> Any:
    return store.apply(ScimDeleteGroup(ENTRA, group_id, **fields), actor=CLIENT)


def told_since(store: Store, event: int) -> list[tuple[str, str]]:
    return [(one.kind, one.subject) for one in store.audit.tail(after_id=event)]


def newest(store: Store) -> int:
    return store.audit.tail(limit=1)[0].id


# Made and renamed ---------------------------------------------------------------------------------


def test_a_group_is_made_with_its_members(store: Store) -> None:
    """Found by each of its keys; one event for the group and one for each member, one revocation each."""
    ids = join_many(store, 3)
    seen, event = store.revocations.latest(), newest(store)
    group = make_scim_group(store, "The Crew", *ids, ids[0], external_id="g-1")

    said = group_said(store, group)
    assert (said.display_name, said.external_id, said.version) == ("The Crew", "g-1", 1)
    assert (name_of(store, group), held(store, group)) == ("the crew", set(ids))
    groups = store.scim_groups
    assert groups.by_display_name(ENTRA, "THE crew") == said
    assert groups.by_external_id(ENTRA, "g-1") == [said] == groups.of_member(ENTRA, ids[0])
    assert [
        groups.by_display_name(OKTA, "the crew"),
        groups.by_external_id(OKTA, "g-1"),
        groups.by_id(OKTA, group),
    ] == [None, [], None]
    assert (groups.by_external_id(ENTRA, ""), groups.by_id(ENTRA, "\0")) == ([], None)
    assert [groups.has_member(group, one) for one in (ids[0], "0" * 32, "\ud800")] == [True, False, False]
    assert (groups.count(ENTRA), groups.page(ENTRA, 0, 9), list(groups.all(ENTRA))) == (1, [said], [said])
    assert told_since(store, event) == [("group.created", "group:the crew")] + [
        ("member.added", f"user-{number:05}") for number in range(3)
    ]
    assert [row.user_id for row in store.revocations.since(seen)] == sorted(ids)


def test_a_group_is_known_once(store: Store) -> None:
    """A second displayName in whatever case, or externalId, is refused with the holder; a provider apart is not."""
    first = make_scim_group(store, "Crew", external_id="g-1")
    second = make_scim_group(store, "Deck", external_id="g-2")
    for name, external_id in (("CREW", "g-3"), ("Sailors", "g-1")):
        with pytest.raises(Taken) as refused:
            make_scim_group(store, name, external_id=external_id)
        with pytest.raises(Taken) as changed:
            regroup(store, second, display_name=name, external_id=external_id)
        assert {refused.value.holder, changed.value.holder} == {first}
    make_scim_group(store, "Crew", external_id="g-1", provider=OKTA)

    assert (store.scim_groups.count(ENTRA), group_said(store, second).version) == (2, 1)
    with pytest.raises(InvalidChange):
        make_scim_group(store, "")


def test_groups_of_one_name_are_never_merged(store: Store) -> None:
    """The site's, a directory's and another client's keep theirs; whoever comes later gets the provider's name."""
    mine = make_group(store, "crew")
    theirs = store.apply(ProvisionGroup("corp", Owner.LDAP, "g-1", "deck"), actor=ACTOR).subject_id
    make_group(store, f"crew@{ENTRA}")
    crew, deck = make_scim_group(store, "Crew"), make_scim_group(store, "Deck")
    okta = make_scim_group(store, "Deck", provider=OKTA)

    assert (name_of(store, mine.id), name_of(store, theirs)) == ("crew", "deck")
    assert (name_of(store, crew), name_of(store, deck)) == (f"crew {crew}@{ENTRA}", f"deck@{ENTRA}")
    assert (name_of(store, okta), group_said(store, okta, OKTA).display_name) == (f"deck@{OKTA}", "Deck")


@pytest.mark.parametrize(
    ("display", "name"),
    [
        ("All/Staff: R&D", "all-staff- r&d"),
        (" @admins ", "admins"),
        ("..", "group"),
        ("A  B\u00a0C", "a b-c"),
        ("\u202eevil", "evil"),
        ("ß" * 100, "s" * 100),
        ("Straße", "strasse"),
        ("x" * 256, "x" * 100),
        ("x" * 128, "x" * 128),
    ],
)
def test_what_no_name_here_may_have_is_made_fit(store: Store, display: str, name: str) -> None:
    """The client finds its own words again; the name here is one that can be typed."""
    group = make_scim_group(store, display)

    assert (name_of(store, group), group_said(store, group).display_name) == (name, display)
    assert store.groups.by_name(canonical_name(name)) is not None


@given(st.text(min_size=1, max_size=256), st.integers(1, 64))
@examples(300)
def test_every_display_name_gives_a_name(display: str, length: int) -> None:
    """Canonical, not too long, also before the provider's name and our id."""
    for tail in ("", "@" + "p" * length, f" {'0' * 32}@{'p' * length}"):
        name = _before(_name_here(display), tail)
        assert (canonical_name(name), name.endswith(tail)) == (name, True)


def test_a_long_name_that_is_taken_still_fits(store: Store) -> None:
    """The longest provider's name behind the longest group's."""
    provider = "p" * 64
    make_group(store, "x" * 128)
    group = make_scim_group(store, "X" * 128, provider=provider)

    assert name_of(store, group) == "x" * 63 + "@" + provider
    assert store.groups.by_name(canonical_name(name_of(store, group))) is not None


def test_a_rename_keeps_the_group(store: Store) -> None:
    """Id, grants and members stay; a name that is another's gets the provider's; the old name is free again."""
    make_group(store, "sailors")
    (ann,) = join_many(store, 1)
    group = make_scim_group(store, "Crew", ann)
    store.apply(PutGrant("/x", frozenset({"read"}), group_id=group), actor=ACTOR)
    epoch, event = user_again(store, ann).epoch, newest(store)
    done = regroup(store, group, display_name="Sailors")

    assert (name_of(store, group), group_said(store, group).display_name) == (f"sailors@{ENTRA}", "Sailors")
    assert (done.users, done.detail["old_name"], user_again(store, ann).epoch) == ((), "crew", epoch)
    assert told_since(store, event) == [("group.renamed", f"group:sailors@{ENTRA}")]
    assert (held(store, group), len(store.folders.grants(group_id=group))) == ({ann}, 1)
    assert store.scim_groups.by_display_name(ENTRA, "crew") is None
    regroup(store, group, display_name="SAILORS")
    assert name_of(store, group) == f"sailors@{ENTRA}"


# Members ------------------------------------------------------------------------------------------


def test_only_what_is_said_is_changed(store: Store) -> None:
    """Nothing, the same words, members who are there already, and who are not there: no version, no epoch (C14)."""
    ann, bea = join_many(store, 2)
    group = make_scim_group(store, "Crew", ann, external_id="g-1")
    before, epoch = group_said(store, group), user_again(store, ann).epoch
    seen = store.revocations.latest()
    again = [
        regroup(store, group),
        regroup(store, group, display_name="Crew", external_id="g-1"),
        regroup(store, group, AddMembers((ann, ann)), RemoveMembers((bea, "0" * 32)), ReplaceMembers((ann,))),
        regroup(store, group, AddMembers((bea,)), RemoveMembers((bea,)), RemoveMembers((ann,)), AddMembers((ann,))),
    ]

    assert [(done.changed, done.users) for done in again] == [(False, ())] * 4
    assert (group_said(store, group), held(store, group)) == (before, {ann})
    assert (user_again(store, ann).epoch, store.revocations.since(seen)) == (epoch, [])


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ((AddMembers((2, 3)),), {0, 1, 2, 3}),
        ((RemoveMembers((1, 3)),), {0}),
        ((ReplaceMembers((1, 2)),), {1, 2}),
        ((ReplaceMembers(()),), set()),
        ((ClearMembers(),), set()),
        ((AddMembers((2,)), ClearMembers(), AddMembers((3,))), {3}),
        ((ClearMembers(), AddMembers((0,)), RemoveMembers((0,))), set()),
        ((RemoveMembers((0,)), AddMembers((0, 2)), ReplaceMembers((2, 3)), RemoveMembers((3,))), {2}),
    ],
)
def test_steps_are_taken_in_their_order(store: Store, steps: tuple[Any, ...], left: set[int]) -> None:
    """And whoever is in or out at the end as before has not been touched."""
    ids = join_many(store, 4)
    group = make_scim_group(store, "Crew", ids[0], ids[1])
    seen, event = store.revocations.latest(), newest(store)
    done = regroup(store, group, *(named(step, ids) for step in steps))

    joined, gone = left - {0, 1}, {0, 1} - left
    assert held(store, group) == {ids[number] for number in left}
    assert set(done.users) == {ids[number] for number in joined | gone}
    assert sorted(row.user_id or "" for row in store.revocations.since(seen)) == sorted(done.users)
    assert sorted(told_since(store, event)[1:]) == sorted(
        [("member.added", f"user-{number:05}") for number in joined]
        + [("member.removed", f"user-{number:05}") for number in gone]
    )
    assert (done.detail["joined"], done.detail["left"]) == (len(joined), len(gone))
    assert group_said(store, group).version == 2


def named(step: Any, ids: list[str]) -> MemberStep:
    match step:
        case AddMembers(ids=numbers) | RemoveMembers(ids=numbers) | ReplaceMembers(ids=numbers):
            return type(step)(tuple(ids[number] for number in numbers))
        case _:
            return ClearMembers()


def make_deleted(store: Store) -> str:
    user = join(store, "gone")
    leave(store, user)
    return user.id


STRANGERS = {
    "unknown": lambda _: "0" * 32,
    "hostile": lambda _: "x\0\ud800",
    "the site's own": lambda store: make_user(store, "bob").id,
    "another client's": lambda store: join(store, "zoe", provider=OKTA).id,
    "a directory's": lambda store: (
        store.apply(Provision("corp", Owner.LDAP, Method.LDAP, "e-1", "lou"), actor=ACTOR).subject_id
    ),
    "deleted": make_deleted,
    "a group": lambda store: make_scim_group(store, "Nested"),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_one_stranger_fails_the_whole_request(store: Store, who: str) -> None:
    """Nobody joins or leaves, no name is changed: not for a create, not for an add, not for a replace (C6)."""
    stranger = STRANGERS[who](store)
    ann, bea = join_many(store, 2)
    group = make_scim_group(store, "Crew", ann)
    count, event = store.scim_groups.count(ENTRA), newest(store)
    with pytest.raises(InvalidChange):
        make_scim_group(store, "More", ann, stranger)
    for step in (AddMembers((bea, stranger)), ReplaceMembers((bea, stranger))):
        with pytest.raises(InvalidChange):
            regroup(store, group, RemoveMembers((ann,)), step, display_name="Sailors")

    assert (held(store, group), name_of(store, group), store.scim_groups.count(ENTRA)) == ({ann}, "crew", count)
    assert (group_said(store, group).version, told_since(store, event)) == (1, [])


def test_memberships_of_others_are_untouched(store: Store) -> None:
    """An admin's member of the client's group stays whatever the client says, and is not the client's to see."""
    ann, bea = join_many(store, 2)
    bob, group = make_user(store, "bob"), make_scim_group(store, "Crew", ann)
    mine = make_group(store, "mine")
    for user in (ann, bob.id):
        hold_by_hand(store, user, group)
        hold_by_hand(store, user, mine.id)
    hold_by_hand(store, bea, group, Owner.LDAP)
    for step in (ReplaceMembers(()), RemoveMembers((ann, bob.id, bea)), ClearMembers()):
        regroup(store, group, step)

    assert (held(store, group), store.scim_groups.has_member(group, bob.id)) == (set(), False)
    assert [(user.name, owner) for user, owner in store.groups.members(group)] == [
        ("bob", Owner.MANUAL), ("user-00000", Owner.MANUAL), ("user-00001", Owner.LDAP)
    ]  # fmt: skip
    assert len(store.groups.members(mine.id)) == 2


def test_only_a_clients_own_groups_are_changed(store: Store) -> None:
    """Another client's, the site's, a directory's, none, and a stale version (C3)."""
    group, mine = make_scim_group(store), make_group(store, "mine")
    theirs = store.apply(ProvisionGroup("corp", Owner.LDAP, "g-1", "deck"), actor=ACTOR).subject_id
    for provider, wrong in ((OKTA, group), (ENTRA, mine.id), (ENTRA, theirs), (ENTRA, "0" * 32)):
        with pytest.raises(NotFoundInStore):
            regroup(store, wrong, ClearMembers(), provider=provider)
        with pytest.raises(NotFoundInStore):
            store.apply(ScimDeleteGroup(provider, wrong), actor=CLIENT)
    for change in (ScimUpdateGroup(ENTRA, group, "New", version=7), ScimDeleteGroup(ENTRA, group, version=7)):
        with pytest.raises(Stale):
            store.apply(change, actor=CLIENT)

    regroup(store, group, display_name="New", version=1)
    assert sorted(one.name for one in store.groups.list()) == ["deck", "mine", "new"]


# Ended --------------------------------------------------------------------------------------------


def test_a_deleted_group_ends_with_its_memberships(store: Store) -> None:
    """Name and externalId are free again; one event for the group and one for each member."""
    ids = join_many(store, 2)
    group = make_scim_group(store, "Crew", *ids, external_id="g-1")
    event = newest(store)
    done = drop(store, group, version=1)

    assert (store.groups.by_id(group), store.scim_groups.count(ENTRA), done.detail["kept"]) == (None, 0, False)
    assert (set(done.users), done.detail["left"]) == (set(ids), 2)
    assert sorted(told_since(store, event)) == [("group.departed", "group:crew")] + [
        ("member.removed", f"user-{number:05}") for number in range(2)
    ]
    with pytest.raises(NotFoundInStore):
        drop(store, group)
    again = make_scim_group(store, "Crew", external_id="g-1")
    assert (again == group, name_of(store, again)) == (False, "crew")


def keep_by_grant(store: Store, group: str) -> None:
    store.apply(PutGrant("/x", frozenset({"read"}), group_id=group), actor=ACTOR)


def keep_by_member(store: Store, group: str) -> None:
    store.apply(AddMember(make_user(store, "bob").id, group), actor=ACTOR)


@pytest.mark.parametrize("keep", [keep_by_grant, keep_by_member])
def test_nobody_inherits_what_a_deleted_group_had(store: Store, keep: Any) -> None:
    """It stays for its grants and the site's members, without the client's; a new one of its name and id is another."""
    (ann,) = join_many(store, 1)
    group = make_scim_group(store, "Crew", ann, external_id="g-1")
    keep(store, group)
    done = drop(store, group)
    new = make_scim_group(store, "Crew", ann, external_id="g-1")

    kept = store.groups.by_id(group)
    assert kept is not None
    assert (kept.name, kept.managed_by, done.detail["kept"]) == ("crew", Owner.MANUAL, True)
    assert (name_of(store, new), store.folders.grants(group_id=new)) == (f"crew@{ENTRA}", [])
    assert ann not in {user.id for user, _ in store.groups.members(group)}
    assert store.folders.grants_for(ann) == []
    with pytest.raises(NotFoundInStore):
        regroup(store, group, AddMembers((ann,)))


def test_a_group_that_an_admin_deleted_is_gone_for_the_client(store: Store) -> None:
    """It finds none, and may make it anew."""
    (ann,) = join_many(store, 1)
    group = make_scim_group(store, "Crew", ann, external_id="g-1")
    store.apply(DeleteGroup(group), actor=ACTOR)

    assert (store.scim_groups.by_id(ENTRA, group), store.scim_groups.of_member(ENTRA, ann)) == (None, [])
    assert store.scim_people.groups_of(ENTRA, [ann]) == {}
    assert make_scim_group(store, "Crew", ann, external_id="g-1") != group
    store.apply(CreateGroup("later"), actor=ACTOR)


def test_pages_of_groups_are_in_the_order_of_coming(store: Store) -> None:
    """Whatever their names; a renamed one stays where it is."""
    ids = [make_scim_group(store, name) for name in ("Zeta", "Alpha", "Mid")]
    regroup(store, ids[2], display_name="Aaa")

    assert [group.group_id for start in range(3) for group in store.scim_groups.page(ENTRA, start, 1)] == ids
    assert [group.group_id for group in store.scim_groups.all(ENTRA)] == ids


def test_members_are_shown_by_name(store: Store) -> None:
    """In the order of their coming; whoever has no display name by the login."""
    bea, ann = join(store, "bea", displayName="Bea B."), join(store)
    group = make_scim_group(store, "Crew", ann.id, bea.id)

    assert store.scim_groups.members(group) == [(bea.id, "Bea B."), (ann.id, "ann")]
    assert said_of(store, ann).version == 1
