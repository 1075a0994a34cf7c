"""What a source (a directory) may change of people, and what it never touches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.database.changes import (
    AddMember,
    AdoptUser,
    CreateGroup,
    Depart,
    DepartGroup,
    LinkIdentity,
    Provision,
    ProvisionGroup,
    PutGrant,
    RenameUser,
    SetMethod,
    SetStatus,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Owner, Role, Status, User
from storage.database.store import Applied, Conflict, InvalidChange, Store
from tests.support.store_rows import ACTOR, make_user

ANN = Provision(
    provider="corp",
    owner=Owner.LDAP,
    method=Method.LDAP,
    external_id="e-ann",
    name="Ann",
    display_name="Ann A.",
    email="ann@example.org",
    aliases=frozenset({"ann@corp.example", "corp\\ann"}),
    hint="uid=ann,ou=people",
)


def say(store: Store, told: Provision) -> Applied:
    return store.apply(told, actor=ACTOR)


def ann(store: Store) -> User:
    user = store.users.by_identity("corp", "e-ann")
    assert user is not None
    return user


def directory_group(store: Store, name: str) -> str:
    return store.apply(ProvisionGroup("corp", Owner.LDAP, f"g-{name}", name), actor=ACTOR).subject_id


def groups(store: Store) -> list[str]:
    return [group.name for group in store.users.groups_of(ann(store).id)]


def test_a_person_is_made_whole_in_one_change(store: Store) -> None:
    """Fields, link, aliases and memberships; one epoch, one audit event."""
    crew = directory_group(store, "crew")
    done = say(store, replace(ANN, groups=frozenset({crew}), protocols=frozenset({"sftp"}), home="h-ann"))

    user = ann(store)
    link = store.users.identity(user.id, "corp")
    assert (done.subject_id, done.users) == (user.id, (user.id,))
    assert (
        user.name, user.method, user.provider, user.managed_by, user.epoch
    ) == ("ann", Method.LDAP, "corp", Owner.LDAP, 1)  # fmt: skip
    assert ("h-ann", frozenset({"sftp"}), "Ann A.") == (user.home, user.protocols, user.display_name)
    assert link is not None
    assert (link.external_id, link.hint, link.active) == ("e-ann", "uid=ann,ou=people", True)
    assert store.users.aliases_of(user.id) == ["ann@corp.example", "corp\\ann"]
    assert groups(store) == ["crew"]
    assert [event.kind for event in store.audit.tail(limit=1)] == ["user.created"]


@pytest.mark.parametrize("typed", ["ann", "ann@corp.example", "corp\\ann"])
def test_a_name_and_every_alias_lead_to_the_same_person(store: Store, typed: str) -> None:
    """One look-up finds the person by whatever may be typed, and nobody by anything else."""
    say(store, ANN)

    found = store.users.by_login(typed)
    assert found is not None
    assert found.id == ann(store).id
    assert store.users.by_login("other\\ann") is None
    assert store.users.by_login("\ud800") is None


def test_the_same_word_again_changes_nothing(store: Store) -> None:
    """No epoch is raised, no session is looked at."""
    say(store, ANN)
    again = say(store, ANN)

    assert (again.changed, again.users) == (False, ())
    assert ann(store).epoch == 1


def test_a_source_changes_what_it_owns_and_nothing_else(store: Store) -> None:
    """Quota, protocols, home and an admin's memberships stay; names, mail and its own memberships follow."""
    old, new = directory_group(store, "old"), directory_group(store, "new")
    say(store, replace(ANN, groups=frozenset({old})))
    mine = store.apply(CreateGroup("mine"), actor=ACTOR).subject_id
    user = ann(store)
    store.apply(AddMember(user.id, mine), actor=ACTOR)
    store.apply(AddMember(user.id, old), actor=ACTOR)
    store.apply(UpdateUser(user.id, UserFields(quota_bytes=7, protocols=frozenset({"webdav"}))), actor=ACTOR)
    say(store, replace(ANN, name="anna", email="anna@example.org", groups=frozenset({new}), protocols=frozenset()))

    user = ann(store)
    assert (user.name, user.email, user.home, user.quota_bytes) == ("anna", "anna@example.org", "ann", 7)
    assert frozenset({"webdav"}) == user.protocols
    assert groups(store) == ["mine", "new", "old"]
    assert store.users.names_reserved("ann")


def test_disabling_ends_and_enabling_brings_back(store: Store) -> None:
    """The person is deprovisioned in one change with a revocation, and active again with the next word."""
    say(store, ANN)
    seen = store.revocations.latest()
    say(store, replace(ANN, active=False))
    ended, revoked = ann(store), store.revocations.since(seen)
    say(store, ANN)

    assert ended.status is Status.DEPROVISIONED
    assert [(row.user_id, row.reason) for row in revoked] == [(ended.id, "user.deprovisioned")]
    assert ann(store).status is Status.ACTIVE


def test_an_admins_disable_outlasts_the_source(store: Store) -> None:
    """What an admin disabled is neither enabled nor ended anew by the source."""
    say(store, ANN)
    store.apply(SetStatus(ann(store).id, Status.DISABLED), actor=ACTOR)
    say(store, replace(ANN, active=False))
    say(store, ANN)

    assert ann(store).status is Status.DISABLED


def test_an_admin_cannot_enable_whom_the_source_ended(store: Store) -> None:
    """Keys must not outlive the person: the refusal says who says so; once the source agrees, it works."""
    say(store, ANN)
    store.apply(SetStatus(ann(store).id, Status.DISABLED), actor=ACTOR)
    say(store, replace(ANN, active=False))
    with pytest.raises(Conflict, match="corp says that 'ann' is disabled or gone"):
        store.apply(SetStatus(ann(store).id, Status.ACTIVE), actor=ACTOR)
    say(store, ANN)

    store.apply(SetStatus(ann(store).id, Status.ACTIVE), actor=ACTOR)
    assert ann(store).status is Status.ACTIVE


def test_leaving_and_coming_back(store: Store) -> None:
    """A departed person keeps the link, so that a return finds home, keys and grants again."""
    say(store, ANN)
    before = ann(store).id
    gone = store.apply(Depart("corp", Owner.LDAP, "e-ann"), actor=ACTOR)
    status = ann(store).status
    say(store, ANN)

    assert gone.users == (before,)
    assert status is Status.DEPROVISIONED
    assert (before, Status.ACTIVE) == (ann(store).id, ann(store).status)


def test_leaving_for_good_deletes(store: Store) -> None:
    """With ``delete`` the user goes; name and home stay reserved."""
    say(store, ANN)
    store.apply(Depart("corp", Owner.LDAP, "e-ann", delete=True), actor=ACTOR)

    assert store.users.by_identity("corp", "e-ann") is None
    assert store.users.names_reserved("ann")


def test_another_sources_user_is_never_touched(store: Store) -> None:
    """Manual, SCIM-managed, of another provider or another method: a Conflict, whatever is said."""
    say(store, ANN)
    user = ann(store)
    for change in (SetMethod(user.id, Method.SAML, "entra"), SetMethod(user.id, Method.LDAP, "other")):
        store.apply(change, actor=ACTOR)
        with pytest.raises(Conflict, match="managed by"):
            say(store, replace(ANN, active=False))
    store.apply(SetMethod(user.id, Method.LDAP, "corp"), actor=ACTOR)
    store.apply(UpdateUser(user.id, UserFields(managed_by=Owner.SCIM)), actor=ACTOR)
    with pytest.raises(Conflict, match="managed by scim"):
        say(store, replace(ANN, active=False))
    with pytest.raises(Conflict, match="managed by scim"):
        store.apply(Depart("corp", Owner.LDAP, "e-ann"), actor=ACTOR)

    assert ann(store).status is Status.ACTIVE


def test_a_clash_of_names_is_a_conflict_and_merges_nobody(store: Store) -> None:
    """A local user with the name, or one who once had it, keeps it; the newcomer is refused whole."""
    make_user(store, "ann")
    with pytest.raises(Conflict, match="taken"):
        say(store, ANN)

    assert store.users.by_identity("corp", "e-ann") is None


def test_a_rename_onto_a_taken_name_keeps_the_old_one(store: Store) -> None:
    """Everything else of the change is made, and the answer says what was not."""
    make_user(store, "bob")
    say(store, ANN)
    done = say(store, replace(ANN, name="bob", email="new@example.org"))

    assert "taken" in str(done.detail["name_kept"])
    assert (ann(store).name, ann(store).email) == ("ann", "new@example.org")


def test_an_alias_is_never_anothers_name_or_alias(store: Store) -> None:
    """What is or was somebody else's is left away and told; and nobody takes a name that is an alias."""
    make_user(store, "bob")
    carl = make_user(store, "carl")
    store.apply(RenameUser(carl.id, "karl"), actor=ACTOR)
    say(store, replace(ANN, external_id="e-2", name="second", aliases=frozenset({"shared"})))
    done = say(store, replace(ANN, aliases=frozenset({"bob", "carl", "shared", "free"})))

    assert done.detail["aliases_refused"] == ["bob", "carl", "shared"]
    assert store.users.aliases_of(ann(store).id) == ["free"]
    with pytest.raises(Conflict, match="may type"):
        make_user(store, "free")
    with pytest.raises(Conflict, match="may type"):
        store.apply(RenameUser(carl.id, "free"), actor=ACTOR)


def test_a_role_follows_the_source_unless_an_admin_spoke(store: Store) -> None:
    """The source gives and takes its own role; one that an admin gave, or took away, stays."""
    say(store, replace(ANN, role=Role.ADMIN))
    given = ann(store).role
    say(store, ANN)
    taken = ann(store).role
    store.apply(UpdateUser(ann(store).id, UserFields(role=Role.READ_ONLY_ADMIN)), actor=ACTOR)
    say(store, replace(ANN, role=Role.ADMIN))
    say(store, ANN)

    assert (given, taken, ann(store).role) == (Role.ADMIN, Role.USER, Role.READ_ONLY_ADMIN)


def test_an_admins_role_is_never_taken_for_the_sources(store: Store) -> None:
    """Neither one that is the same as the source's, nor a demotion, whatever the source says later."""
    say(store, ANN)
    store.apply(UpdateUser(ann(store).id, UserFields(role=Role.ADMIN)), actor=ACTOR)
    say(store, replace(ANN, role=Role.ADMIN))
    say(store, ANN)
    kept = ann(store).role
    say(store, replace(ANN, external_id="e-bob", name="bob", aliases=frozenset(), role=Role.ADMIN))
    bob = store.users.by_name("bob")
    assert bob is not None
    store.apply(UpdateUser(bob.id, UserFields(role=Role.USER)), actor=ACTOR)
    for role in (Role.READ_ONLY_ADMIN, None, Role.ADMIN, Role.ADMIN):
        say(store, replace(ANN, external_id="e-bob", name="bob", aliases=frozenset(), role=role))
    demoted = store.users.by_name("bob")

    assert demoted is not None
    assert (kept, demoted.role) == (Role.ADMIN, Role.USER)


def test_a_role_of_the_source_does_not_outlive_a_new_link(store: Store) -> None:
    """Adopted to another entry of the same provider, what the source gave is the source's still."""
    say(store, replace(ANN, role=Role.ADMIN))
    store.apply(AdoptUser(ann(store).id, "corp", Owner.LDAP, Method.LDAP, "e-new"), actor=ACTOR)
    say(store, replace(ANN, external_id="e-new"))

    user = store.users.by_name("ann")
    assert user is not None
    assert user.role is Role.USER


@pytest.mark.parametrize(
    ("admins", "sources", "effective"),
    [(100.0, None, 100.0), (100.0, 200.0, 100.0), (300.0, 200.0, 200.0), (None, 200.0, 200.0)],
)
def test_an_admins_expiry_stays_unless_the_sources_is_earlier(
    store: Store, admins: float | None, sources: float | None, effective: float | None
) -> None:
    """Nobody is let in longer than either says."""
    say(store, replace(ANN, expires_at=150.0 if admins is None else None))
    store.apply(UpdateUser(ann(store).id, UserFields(expires_at=admins)), actor=ACTOR)
    say(store, replace(ANN, expires_at=sources))
    say(store, replace(ANN, expires_at=sources, email="x@example.org"))

    assert effective == ann(store).expires_at


def test_who_is_taken_over_by_the_site_keeps_the_groups_as_the_sites(store: Store) -> None:
    """Nobody else would ever end them."""
    crew, deck = directory_group(store, "crew"), directory_group(store, "deck")
    say(store, replace(ANN, groups=frozenset({crew, deck})))
    store.apply(AddMember(ann(store).id, crew), actor=ACTOR)
    store.apply(SetMethod(ann(store).id, Method.OIDC, "entra"), actor=ACTOR)

    assert ann(store).managed_by is Owner.MANUAL
    assert [(owner, group) for group in (crew, deck) for _, owner in store.groups.members(group)] == [
        (Owner.MANUAL, crew),
        (Owner.MANUAL, deck),
    ]


def test_a_change_that_the_database_refuses_is_undone_alone(store: Store) -> None:
    """A group that an admin deleted meanwhile: its person is refused, the others of the page are made."""
    bad = replace(ANN, groups=frozenset({"0" * 32}))
    answers = store.apply_each([bad, replace(ANN, external_id="e-bob", name="bob", aliases=frozenset())], actor=ACTOR)

    assert [isinstance(answer, Applied) for answer in answers] == [False, True]
    assert [user.name for user in store.users.list()] == ["bob"]


def test_adopting_hands_an_existing_user_over(store: Store) -> None:
    """Home, keys and grants stay, the local password goes, and the source speaks for the user from now on."""
    user = make_user(store, "ann", password_hash="h")
    store.apply(AdoptUser(user.id, "corp", Owner.LDAP, Method.LDAP, "e-ann", "dn"), actor=ACTOR)
    say(store, replace(ANN, display_name="From the directory"))

    adopted = ann(store)
    assert (user.id, user.home, Method.LDAP, Owner.LDAP) == (
        adopted.id, adopted.home, adopted.method, adopted.managed_by
    )  # fmt: skip
    assert adopted.display_name == "From the directory"
    assert store.credentials.password(user.id) is None


def test_nobody_is_adopted_twice_nor_taken_from_another_source(store: Store) -> None:
    """An identity has one user, and a break-glass admin is never a directory's."""
    say(store, ANN)
    bob = make_user(store, "bob")
    emergency = make_user(store, "emergency", role=Role.ADMIN, break_glass=True)
    scim = make_user(store, "scim", managed_by=Owner.SCIM)

    with pytest.raises(Conflict, match="linked to another"):
        store.apply(AdoptUser(bob.id, "corp", Owner.LDAP, Method.LDAP, "e-ann"), actor=ACTOR)
    with pytest.raises(Conflict, match="managed by scim"):
        store.apply(AdoptUser(scim.id, "corp", Owner.LDAP, Method.LDAP, "e-9"), actor=ACTOR)
    with pytest.raises(InvalidChange, match="break-glass"):
        store.apply(AdoptUser(emergency.id, "corp", Owner.LDAP, Method.LDAP, "e-9"), actor=ACTOR)


def test_a_directorys_group_is_made_renamed_and_never_merged(store: Store) -> None:
    """It is known by its immutable id; a group of that name that is not the directory's stays apart."""
    crew = directory_group(store, "crew")
    store.apply(CreateGroup("staff"), actor=ACTOR)
    renamed = store.apply(ProvisionGroup("corp", Owner.LDAP, "g-crew", "sailors"), actor=ACTOR)
    with pytest.raises(Conflict, match="never merged"):
        directory_group(store, "staff")
    with pytest.raises(Conflict, match="never merged"):
        store.apply(ProvisionGroup("corp", Owner.LDAP, "g-crew", "staff"), actor=ACTOR)

    assert renamed.subject_id == crew
    assert [(group.name, group.identity.group_id) for group in store.sources.groups("corp")] == [("sailors", crew)]


def test_a_departed_group_ends_unless_somebody_needs_it(store: Store) -> None:
    """Its memberships end; with a grant or an admin's member it stays, and comes back as itself."""
    plain, granted, shared = (directory_group(store, name) for name in ("plain", "granted", "shared"))
    say(store, replace(ANN, groups=frozenset({plain, granted, shared})))
    store.apply(PutGrant("/x", frozenset({"read"}), group_id=granted), actor=ACTOR)
    bob = make_user(store, "bob")
    store.apply(AddMember(bob.id, shared), actor=ACTOR)
    for name in ("plain", "granted", "shared"):
        store.apply(DepartGroup("corp", Owner.LDAP, f"g-{name}"), actor=ACTOR)

    assert groups(store) == []
    assert [group.name for group in store.groups.list()] == ["granted", "shared"]
    with pytest.raises(Conflict):
        store.apply(DepartGroup("corp", Owner.LDAP, "g-plain"), actor=ACTOR)
    back = store.apply(ProvisionGroup("corp", Owner.LDAP, "g-granted", "granted", "cn=granted"), actor=ACTOR)
    assert back.subject_id == granted


def test_many_changes_are_one_transaction_in_which_each_stands_alone(store: Store) -> None:
    """A refused one leaves nothing of itself and its refusal as the answer; the others are made."""
    make_user(store, "taken")
    answers = store.apply_each(
        [replace(ANN, name="one", external_id="1"), replace(ANN, name="taken", external_id="2", aliases=frozenset()),
         replace(ANN, name="three", external_id="3", aliases=frozenset())],
        actor=ACTOR,
    )  # fmt: skip

    assert [isinstance(answer, Applied) for answer in answers] == [True, False, True]
    assert [user.name for user in store.users.list(method=Method.LDAP)] == ["one", "three"]
    assert store.users.by_identity("corp", "2") is None


def test_what_is_known_of_a_source_is_read_in_bulk(store: Store) -> None:
    """People by page with their own groups and aliases, places, holders of names, the number of the active."""
    crew = directory_group(store, "crew")
    say(store, replace(ANN, groups=frozenset({crew})))
    say(store, replace(ANN, external_id="e-bob", name="bob", aliases=frozenset(), active=False, hint="uid=bob"))
    user = ann(store)
    other = store.apply(CreateGroup("other"), actor=ACTOR).subject_id
    store.apply(AddMember(user.id, other), actor=ACTOR)

    people = store.sources.people("corp", Owner.LDAP, ["e-ann", "e-nobody"])
    assert list(people) == ["e-ann"]
    assert (frozenset({crew}), ANN.aliases) == (people["e-ann"].groups, people["e-ann"].aliases)
    assert [person.user.name for page in store.sources.everybody("corp", Owner.LDAP) for person in page] == [
        "ann",
        "bob",
    ]
    assert store.sources.holders(["ann", "corp\\ann", "nobody"]) == {"ann": user.id, "corp\\ann": user.id}
    assert store.sources.count_active("corp", Owner.LDAP, 1.0) == 1


def test_a_link_made_by_hand_knows_where_to_look_first(store: Store) -> None:
    """LinkIdentity keeps the hint."""
    user = make_user(store, "eve", Method.LDAP, provider="corp")
    store.apply(LinkIdentity(user.id, "corp", "e-eve", "uid=eve"), actor=ACTOR)

    link = store.users.identity(user.id, "corp")
    assert link is not None
    assert link.hint == "uid=eve"
    assert store.users.identity(user.id, "other") is None
