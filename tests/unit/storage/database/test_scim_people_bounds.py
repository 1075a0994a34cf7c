"""Whom a SCIM client never touches, and whom it takes over."""

from __future__ import annotations

from typing import Any

import pytest

from storage.database.changes import AdoptUser, LinkIdentity, SetMethod, SetStatus, UpdateUser, UserFields
from storage.database.records import Method, Owner, Role, Status, User
from storage.database.scim_changes import PersonFacts, ScimChange, ScimDeleteUser, ScimUpdateUser
from storage.database.store import InvalidChange, NotFoundInStore, Store, Taken
from tests.support.scim_rows import CLIENT, ENTRA, OKTA, creation, facts_of, join, make_scim_group, person, said_of
from tests.support.store_rows import ACTOR, make_admin, make_ssh_key, make_user, user_again


def ends(user_id: str, provider: str = ENTRA, version: int = 1) -> list[ScimChange]:
    """Give what a client could try on a user."""
    facts = PersonFacts("taken-over", "oid-x", active=False)
    return [
        ScimUpdateUser(provider, user_id, facts, {"userName": "taken-over", "active": False}, version),
        ScimDeleteUser(provider, user_id),
    ]


# Whom a client never touches ----------------------------------------------------------------------


def test_a_break_glass_admin_is_out_of_reach(store: Store) -> None:
    """Not found by any change, no member of a group, and never taken over by a link (C12)."""
    admin = make_admin(store, "emergency")
    store.apply(LinkIdentity(admin.id, ENTRA, "oid-emergency"), actor=ACTOR)
    before = user_again(store, admin)
    group = make_scim_group(store)
    for change in ends(admin.id):
        with pytest.raises(NotFoundInStore):
            store.apply(change, actor=CLIENT)
    with pytest.raises(Taken):
        join(store, "somebody", "oid-emergency")
    with pytest.raises(InvalidChange):
        make_scim_group(store, "Admins", admin.id)

    assert user_again(store, admin) == before
    assert store.scim_people.by_external_id(ENTRA, "oid-emergency") is None
    assert store.groups.members(group) == []


def taken_by_the_site(store: Store, user: User) -> None:
    store.apply(UpdateUser(user.id, UserFields(managed_by=Owner.MANUAL)), actor=ACTOR)


def made_break_glass(store: Store, user: User) -> None:
    """Every step of it is an admin's, in an order that leaves no moment at which the client is asked."""
    taken_by_the_site(store, user)
    store.apply(SetMethod(user.id, Method.LOCAL), actor=ACTOR)
    store.apply(UpdateUser(user.id, UserFields(role=Role.ADMIN, break_glass=True)), actor=ACTOR)


def moved_to_ldap(store: Store, user: User) -> None:
    store.apply(SetMethod(user.id, Method.LDAP, "corp"), actor=ACTOR)


def moved_to_another_client(store: Store, user: User) -> None:
    store.apply(AdoptUser(user.id, OKTA, Owner.SCIM, Method.OIDC, "okta-1"), actor=ACTOR)


@pytest.mark.parametrize("move", [taken_by_the_site, made_break_glass, moved_to_ldap, moved_to_another_client])
def test_who_is_somebody_elses_by_now_is_out_of_reach(store: Store, move: Any) -> None:
    """The client that made the user neither finds, changes, ends nor groups one who was taken over."""
    user, group = join(store, emails=[{"value": "ann@example.org"}]), make_scim_group(store)
    version = said_of(store, user).version
    move(store, user)
    before = user_again(store, user)
    for change in ends(user.id, version=version):
        with pytest.raises(NotFoundInStore):
            store.apply(change, actor=CLIENT)
    with pytest.raises(InvalidChange):
        make_scim_group(store, "More", user.id)
    with pytest.raises(Taken):
        join(store, "ann", "oid-2")

    people = store.scim_people
    assert user_again(store, user) == before
    assert store.groups.members(group) == []
    assert [
        people.by_id(ENTRA, user.id),
        people.by_user_name(ENTRA, "ann"),
        people.by_external_id(ENTRA, "oid-ann"),
    ] == [None] * 3
    assert (people.by_email(ENTRA, "ann@example.org"), people.count(ENTRA), people.page(ENTRA, 0, 10)) == ([], 0, [])
    assert list(people.everybody(ENTRA)) == []


def test_another_providers_client_finds_and_changes_nobody(store: Store) -> None:
    """Ids of other providers' users are no ids for it (C3)."""
    user = join(store)
    for change in ends(user.id, OKTA):
        with pytest.raises(NotFoundInStore):
            store.apply(change, actor=CLIENT)

    assert user_again(store, user) == user


def test_whom_another_client_has_given_up_can_be_taken_over(store: Store) -> None:
    """An admin hands the user to another provider: its client's create finds the user by the immutable id."""
    user = join(store)
    moved_to_another_client(store, user)
    made = store.apply(creation(person("ann", "okta-1"), OKTA, method=Method.OIDC), actor=CLIENT)

    assert made.subject_id == user.id
    assert store.scim_people.by_id(ENTRA, user.id) is None
    assert store.scim_people.by_id(OKTA, user.id) is not None


def test_facts_alone_count(store: Store) -> None:
    """Whatever else the document says gives nothing (C1)."""
    said = {"role": "admin", "roles": [{"value": "admin"}], "homeDir": "/etc", "authMethod": "local", "isAdmin": True}
    user = join(store, "ann", None, **said, breakGlass=True, groups=[{"value": "x"}])

    assert (user.role, user.home, user.method, user.break_glass) == (Role.USER, "ann", Method.SAML, False)
    assert store.users.groups_of(user.id) == []
    assert facts_of(said_of(store, user).document) == facts_of(person())


# Who came by signing in ---------------------------------------------------------------------------


def jit(store: Store, name: str = "ann", external_id: str = "oid-ann", provider: str = ENTRA, **fields: Any) -> User:
    return make_user(
        store, name, Method.OIDC, provider=provider, managed_by=Owner.JIT, external_id=external_id, **fields
    )


def test_who_came_by_signing_in_is_taken_over_by_the_immutable_id(store: Store) -> None:
    """Id, home, keys and an admin's words stay; name, method and owner follow the client."""
    user = jit(store, "ann.old", home="h-ann")
    make_ssh_key(store, user)
    before = user_again(store, user)
    seen = store.revocations.latest()
    made = store.apply(creation(person("ann"), method=Method.SAML), actor=CLIENT)

    after = user_again(store, made.subject_id)
    assert (after.id, after.home, after.name) == (user.id, "h-ann", "ann")
    assert (after.managed_by, after.method, after.epoch) == (Owner.SCIM, Method.SAML, before.epoch + 1)
    assert len(store.credentials.ssh_keys_of(user.id)) == 1
    assert store.users.names_reserved("ann.old")
    assert [event.kind for event in store.audit.tail(limit=1)] == ["user.restored"]
    assert [row.user_id for row in store.revocations.since(seen)] == [user.id]


def test_nobody_is_taken_over_by_a_name(store: Store) -> None:
    """The same userName with another externalId, or none, is somebody else: refused, and nothing is merged."""
    user = jit(store)
    for external_id in ("oid-2", ""):
        with pytest.raises(Taken):
            join(store, "ann", external_id)
    with pytest.raises(Taken):
        join(store, "ann", "oid-ann", provider=OKTA)

    assert user_again(store, user).managed_by is Owner.JIT


@pytest.mark.parametrize("owner", [Owner.MANUAL, Owner.LDAP, Owner.PORTAL])
def test_who_is_neither_the_clients_nor_came_by_signing_in_is_not_taken_over(store: Store, owner: Owner) -> None:
    """An immutable id that an admin linked to a user of the site's own is a conflict for the admin."""
    user = make_user(store, "bob", Method.OIDC, provider=ENTRA, managed_by=owner, external_id="oid-ann")
    with pytest.raises(Taken) as refused:
        join(store)

    assert refused.value.holder == user.id
    assert user_again(store, user) == user


def test_an_admins_disable_outlasts_the_taking_over(store: Store) -> None:
    """The client says active; the admin has said disabled."""
    user = jit(store)
    store.apply(SetStatus(user.id, Status.DISABLED), actor=ACTOR)
    join(store)

    assert user_again(store, user).status is Status.DISABLED
