"""How a SCIM client's people end, stay ended, and come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage.database.changes import (
    AddMember,
    DeleteUser,
    MapRole,
    PutGrant,
    RenameUser,
    RevokeApiKey,
    RevokeSshKey,
    SetMethod,
    SetStatus,
)
from storage.database.records import Method, Owner, Role, Status, User
from storage.database.scim_changes import EndLimit, RestoreUser, ScimDeleteUser
from storage.database.scim_tables import scim_users
from storage.database.store import Conflict, Held, NotFoundInStore, Stale, Store, Taken
from tests.support.scim_rows import (
    CLIENT,
    ENTRA,
    creation,
    group_said,
    held,
    join,
    leave,
    make_scim_group,
    person,
    revision,
    said_of,
    say,
)
from tests.support.store_rows import ACTOR, make_api_key, make_group, make_ssh_key, make_user, user_again


def status(store: Store, user: User) -> Status:
    return user_again(store, user).status


def last(store: Store) -> str:
    return store.audit.tail(limit=1)[0].kind


def jit(store: Store) -> User:
    return make_user(store, "ann", Method.OIDC, provider=ENTRA, managed_by=Owner.JIT, external_id="oid-ann")


# Inactive and active ------------------------------------------------------------------------------


def test_inactive_ends_and_active_brings_back(store: Store) -> None:
    """Each with an epoch, a revocation and an event; the client finds the user all the time."""
    user = join(store)
    seen = store.revocations.latest()
    say(store, user, active=False)
    ended, kind, visible = status(store, user), last(store), store.scim_people.by_id(ENTRA, user.id)
    say(store, user, active=True)

    assert (ended, kind) == (Status.DEPROVISIONED, "user.deprovisioned")
    assert visible is not None
    assert visible.document["active"] is False
    assert (status(store, user), last(store), user_again(store, user).epoch) == (Status.ACTIVE, "user.enabled", 3)
    assert [(row.user_id, row.reason) for row in store.revocations.since(seen)] == [
        (user.id, "user.deprovisioned"),
        (user.id, "user.enabled"),
    ]


def test_revoked_keys_stay_revoked_and_others_come_back(store: Store) -> None:
    """Ending touches no key: whoever is not active has none that works."""
    user = join(store)
    kept, gone = make_ssh_key(store, user), make_ssh_key(store, user, b"key two")
    api, old = make_api_key(store, user), make_api_key(store, user, "k2")
    store.apply(RevokeSshKey(gone.id), actor=ACTOR)
    store.apply(RevokeApiKey(old.id), actor=ACTOR)
    say(store, user, active=False)
    say(store, user, active=True)
    leave(store, user)
    join(store)

    assert [key.id for key in store.credentials.ssh_keys_of(user.id) if key.revoked_at is None] == [kept.id]
    assert [key.id for key in store.credentials.api_keys_of(user.id) if key.revoked_at is None] == [api.id]


def test_an_admins_own_disable_outlasts_the_client(store: Store) -> None:
    """Neither active nor inactive changes it, nor leaving and coming back; and no session is looked at."""
    user = join(store)
    store.apply(SetStatus(user.id, Status.DISABLED), actor=ACTOR)
    before = user_again(store, user).epoch
    told = [say(store, user, active=False), say(store, user, active=True)]
    leave(store, user)
    join(store)

    assert [done.users for done in told] == [(), ()]
    assert [said["said_active"] for said in (told[0].detail, told[1].detail)] == [False, True]
    assert status(store, user) is Status.DISABLED
    assert user_again(store, user).epoch == before + 2


def test_an_admin_cannot_enable_whom_the_client_ended(store: Store) -> None:
    """Not the inactive, not the deleted; when the client agrees, it works."""
    user = join(store)
    store.apply(SetStatus(user.id, Status.DISABLED), actor=ACTOR)
    say(store, user, active=False)
    with pytest.raises(Conflict, match="entra says"):
        store.apply(SetStatus(user.id, Status.ACTIVE), actor=ACTOR)
    leave(store, user)
    store.apply(RestoreUser(user.id), actor=ACTOR)
    with pytest.raises(Conflict, match="entra says"):
        store.apply(SetStatus(user.id, Status.ACTIVE), actor=ACTOR)
    say(store, user, active=True)
    store.apply(SetStatus(user.id, Status.ACTIVE), actor=ACTOR)

    assert status(store, user) is Status.ACTIVE


def test_a_replayed_end_changes_nothing(store: Store) -> None:
    """The second time it is as the client wants it already (C14)."""
    user = join(store)
    say(store, user, active=False)
    before, seen = user_again(store, user), store.revocations.latest()
    again = say(store, user, active=False)

    assert (again.changed, again.users, user_again(store, user)) == (False, (), before)
    assert store.revocations.since(seen) == []


# Deleted ------------------------------------------------------------------------------------------


def test_deleting_ends_the_person_and_keeps_the_user(store: Store) -> None:
    """Not found by any key; home, keys, grants and an admin's groups stay; the client's groups end."""
    user, mine = join(store, emails=[{"value": "a@example.org"}]), make_group(store)
    make_ssh_key(store, user)
    store.apply(PutGrant("/x", frozenset({"read"}), user_id=user.id), actor=ACTOR)
    store.apply(AddMember(user.id, mine.id), actor=ACTOR)
    crew = make_scim_group(store, "Crew", user.id)
    before, seen = user_again(store, user), store.revocations.latest()
    done = leave(store, user)

    after, people = user_again(store, user), store.scim_people
    assert (after.status, after.epoch, after.home) == (Status.DEPROVISIONED, before.epoch + 1, "ann")
    assert [
        people.by_id(ENTRA, user.id),
        people.by_user_name(ENTRA, "ann"),
        people.by_external_id(ENTRA, "oid-ann"),
    ] == [None] * 3
    assert (people.by_email(ENTRA, "a@example.org"), people.count(ENTRA), people.page(ENTRA, 0, 9)) == ([], 0, [])
    assert (list(people.everybody(ENTRA)), held(store, crew)) == ([], set())
    assert [group.id for group in store.users.groups_of(user.id)] == [mine.id]
    assert (len(store.credentials.ssh_keys_of(user.id)), len(store.folders.grants(user_id=user.id))) == (1, 1)
    assert (done.detail["groups_left"], last(store)) == ([crew], "user.deprovisioned")
    assert [row.user_id for row in store.revocations.since(seen)] == [user.id]


def test_a_deleted_person_can_be_neither_changed_nor_grouped_nor_deleted_again(store: Store) -> None:
    """As if there were none; and the way back by signing in alone is closed."""
    user = join(store)
    late, crew = revision(store, user, active=True), make_scim_group(store)
    leave(store, user)
    for change in (late, ScimDeleteUser(ENTRA, user.id)):
        with pytest.raises(NotFoundInStore):
            store.apply(change, actor=CLIENT)

    assert held(store, crew) == set()
    assert store.scim_people.is_tombstoned(ENTRA, "oid-ann")
    assert not store.scim_people.is_tombstoned(ENTRA, "oid-other")
    assert store.scim_people.is_tombstoned(ENTRA, "\ud800")


def test_deleting_takes_the_role_of_the_groups(store: Store) -> None:
    """The trail says so; coming back without the groups gives none."""
    user = join(store)
    make_scim_group(store, "Admins", user.id, external_id="g-1")
    store.apply(MapRole(ENTRA, "g-1", Role.ADMIN, "Admins"), actor=ACTOR)
    given = user_again(store, user).role
    done = leave(store, user)
    join(store)

    assert (given, done.detail["role"], user_again(store, user).role) == (Role.ADMIN, Role.USER, Role.USER)


def test_the_same_external_id_brings_the_user_back(store: Store) -> None:
    """The same user with home and grants, under the new name, with one epoch; older words are stale."""
    user = join(store)
    late = revision(store, user, active=False)
    leave(store, user)
    epoch, seen = user_again(store, user).epoch, store.revocations.latest()
    back = store.apply(creation(person("anna", "oid-ann")), actor=CLIENT)

    after = user_again(store, user)
    assert (back.subject_id, after.name, after.home, after.status) == (user.id, "anna", "ann", Status.ACTIVE)
    assert (after.epoch, last(store)) == (epoch + 1, "user.restored")
    assert [row.user_id for row in store.revocations.since(seen)] == [user.id]
    assert not store.scim_people.is_tombstoned(ENTRA, "oid-ann")
    with pytest.raises(Stale):
        store.apply(late, actor=CLIENT)
    assert said_of(store, user).version > late.version


def test_another_external_id_brings_nobody_back(store: Store) -> None:
    """A namesake of a leaver, or one without an id, is refused: no home, keys or grants are inherited."""
    user = join(store)
    leave(store, user)
    for external_id in ("oid-2", ""):
        with pytest.raises(Taken) as refused:
            join(store, "ann", external_id)
        assert refused.value.holder == user.id

    assert status(store, user) is Status.DEPROVISIONED


def test_coming_back_inactive_or_under_a_taken_name(store: Store) -> None:
    """Inactive stays out; a name that is somebody else's is refused whole."""
    user = join(store)
    leave(store, user)
    make_user(store, "bob")
    with pytest.raises(Taken):
        join(store, "bob", "oid-ann")
    untouched = said_of(store, user).deleted_at
    join(store, "ann", active=False)

    assert untouched is not None
    assert (status(store, user), said_of(store, user).deleted_at) == (Status.DEPROVISIONED, None)


def test_whom_the_site_renamed_comes_back_under_the_sites_name(store: Store) -> None:
    """The client's name is an alias."""
    user = join(store)
    store.apply(RenameUser(user.id, "captain"), actor=ACTOR)
    leave(store, user)
    join(store, "anna", "oid-ann")

    assert (user_again(store, user).name, store.users.aliases_of(user.id)) == ("captain", ["anna"])


def test_an_admin_restores(store: Store) -> None:
    """The client finds the user again, who stays out until the client says otherwise."""
    user = join(store)
    version = said_of(store, user).version
    leave(store, user)
    restored = store.apply(RestoreUser(user.id), actor=ACTOR)
    again = store.apply(RestoreUser(user.id), actor=ACTOR)
    found = store.scim_people.by_id(ENTRA, user.id)
    out = status(store, user)
    say(store, user, active=True)

    assert (restored.changed, restored.users, again.changed) == (True, (), False)
    assert found is not None
    assert (found.document["active"], out, status(store, user)) == (False, Status.DEPROVISIONED, Status.ACTIVE)
    assert found.version == version + 2


@pytest.mark.parametrize("method", [Method.LOCAL, Method.LDAP])
def test_nobody_restores_who_is_somebody_elses(store: Store, method: Method) -> None:
    """A user whom no client speaks for has nothing to restore, and whom an admin has moved away neither."""
    stranger, user = make_user(store, "bob"), join(store)
    leave(store, user)
    store.apply(SetMethod(user.id, method, None if method is Method.LOCAL else "corp"), actor=ACTOR)
    for one in (stranger, user):
        with pytest.raises(Conflict, match="No SCIM client speaks"):
            store.apply(RestoreUser(one.id), actor=ACTOR)
    with pytest.raises(NotFoundInStore):
        store.apply(RestoreUser("0" * 32), actor=ACTOR)


# Deleted by an admin ------------------------------------------------------------------------------


def test_whom_an_admin_deleted_leaves_a_tombstone(store: Store) -> None:
    """Signing in does not bring the person back; the client does, as somebody new under another name."""
    user = join(store)
    store.apply(DeleteUser(user.id), actor=ACTOR)
    stays_out = store.scim_people.is_tombstoned(ENTRA, "oid-ann")
    with pytest.raises(Taken):
        join(store)
    new = join(store, "ann.new", "oid-ann")

    assert stays_out
    assert not store.scim_people.is_tombstoned(ENTRA, "oid-ann")
    assert (new.id == user.id, new.home) == (False, "ann.new")


def test_an_external_id_that_the_client_gives_a_living_person_is_no_leavers(store: Store) -> None:
    """The client has spoken of the id again, by a correction."""
    gone, user = join(store, "gone"), join(store)
    store.apply(DeleteUser(gone.id), actor=ACTOR)
    say(store, user, external_id="oid-gone")

    assert not store.scim_people.is_tombstoned(ENTRA, "oid-gone")


def test_a_local_users_delete_leaves_no_tombstone(store: Store) -> None:
    """Nobody comes back as one by signing in elsewhere."""
    user = make_user(store, "bob", external_id="oid-bob", provider=ENTRA)
    store.apply(DeleteUser(user.id), actor=ACTOR)

    assert not store.scim_people.is_tombstoned(ENTRA, "oid-bob")


# What the circuit breaker must see ----------------------------------------------------------------


def counted(store: Store, user: User) -> tuple[float | None, bool]:
    with store._database.read() as connection:
        row = connection.execute(scim_users.select().where(scim_users.c.user_id == user.id)).one()
    return row.ended_at, row.ended_approved


def test_deleting_and_making_again_hides_no_end(store: Store) -> None:
    """Whoever comes back inactive is still out, and stays counted; whoever comes back active is not."""
    user = join(store)
    leave(store, user)
    ended_at, _ = counted(store, user)
    join(store, "ann", active=False)
    still, _ = counted(store, user)
    leave(store, user)
    join(store)

    assert ended_at is not None
    assert (still, counted(store, user)[0]) == (ended_at, None)


def test_taking_over_to_put_out_is_an_end(store: Store) -> None:
    """Somebody who came by signing in and comes inactive: counted, and held if there were too many."""
    user = jit(store)
    change = creation(person(active=False), limit=EndLimit(0, 0))
    with pytest.raises(Held):
        store.apply(change, actor=CLIENT)
    held_back = user_again(store, user)
    store.apply(replace(change, limit=EndLimit(1, 0)), actor=CLIENT)

    assert (held_back.status, held_back.managed_by) == (Status.ACTIVE, Owner.JIT)
    assert status(store, user) is Status.DEPROVISIONED
    assert counted(store, user)[0] is not None


@pytest.mark.parametrize("fields", [{"active": False}, {"active": False, "user_name": "anna"}])
def test_a_held_end_changes_nothing(store: Store, fields: dict[str, Any]) -> None:
    """Whatever else was in the document, the change is refused whole."""
    user = join(store)
    seen = said_of(store, user)
    with pytest.raises(Held):
        say(store, user, limit=EndLimit(0, 0), **fields)
    with pytest.raises(Held):
        store.apply(ScimDeleteUser(ENTRA, user.id, EndLimit(0, 0)), actor=CLIENT)

    assert (user_again(store, user), said_of(store, user)) == (user, seen)


def test_groups_are_not_touched_by_an_end(store: Store) -> None:
    """Inactive members stay members; the group's own version stays."""
    user = join(store)
    crew = make_scim_group(store, "Crew", user.id)
    before = group_said(store, crew)
    say(store, user, active=False)

    assert (held(store, crew), group_said(store, crew)) == ({user.id}, before)
