"""Users: fields, names, homes, methods, passwords and links, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from storage.database.changes import (
    AddMember,
    CreateUser,
    DeleteUser,
    LinkIdentity,
    RenameUser,
    SetMethod,
    SetPassword,
    SetStatus,
    UpdateUser,
    UserFields,
)
from storage.database.records import Identity, Method, Owner, Role, Status, StoredPassword
from storage.database.store import Conflict, InvalidChange, InvalidName, Store
from storage.database.tables import dav_locks, dav_properties, users
from tests.support.store_rows import (
    ACTOR,
    NewUser,
    make_admin,
    make_api_key,
    make_group,
    make_ssh_key,
    make_user,
    user_again,
)


def test_a_user_has_every_field_that_was_given(store: Store) -> None:
    """What CreateUser names is what readers get, in canonical form."""
    user = make_user(
        store, "Ann@Example.org", Method.OIDC, display_name="Ann Ö", email="ann@example.org", provider="entra",
        role=Role.GROUP_ADMIN, managed_by=Owner.SCIM, home="ann", quota_bytes=2**62, protocols=frozenset({"sftp"}),
        networks=("10.0.0.0/8", "::1"), expires_at=4e9,
    )  # fmt: skip

    assert (user.name, user.home, user.status, user.epoch) == ("ann@example.org", "ann", Status.ACTIVE, 1)
    assert (user.display_name, user.provider, user.role, user.managed_by) == (
        "Ann Ö",
        "entra",
        Role.GROUP_ADMIN,
        Owner.SCIM,
    )
    assert (2**62, frozenset({"sftp"}), ("10.0.0.0/8", "::1/128"), 4e9) == (
        user.quota_bytes,
        user.protocols,
        user.networks,
        user.expires_at,
    )
    assert user == store.users.by_name("ann@example.org")


def test_fields_change_and_others_stay(store: Store) -> None:
    """UpdateUser writes what it names; UNSET is not None."""
    ann = make_user(store, quota_bytes=5, expires_at=4e9, email="a@b.c")
    fields = UserFields(quota_bytes=None, protocols=frozenset({"webdav"}), totp_enrolled=True)

    store.apply(UpdateUser(ann.id, fields), actor=ACTOR)

    after = user_again(store, ann)
    assert (None, frozenset({"webdav"}), True) == (after.quota_bytes, after.protocols, after.totp_enrolled)
    assert (4e9, "a@b.c", ann.home) == (after.expires_at, after.email, after.home)
    assert after.updated_at >= ann.updated_at


@pytest.mark.parametrize(
    "fields",
    [
        {"networks": ("10.0.0.0/99",)}, {"networks": ("10.0.0.1/8",)}, {"protocols": frozenset({"sftp", "gopher"})},
        {"quota_bytes": -1}, {"quota_bytes": 2**63}, {"expires_at": float("nan")}, {"expires_at": -1.0},
        {"display_name": "a\nb"}, {"email": "x" * 321}, {"provider": ""}, {"provider": "a\0"}, {"home": "../x"},
        {"password_hash": ""}, {"break_glass": True},
        {"break_glass": True, "role": Role.ADMIN, "expires_at": 4e9},
        {"break_glass": True, "role": Role.ADMIN, "managed_by": Owner.SCIM},
    ],
)  # fmt: skip
def test_a_senseless_user_is_refused(store: Store, fields: NewUser) -> None:
    """Values out of range and fields that contradict each other make no user."""
    with pytest.raises(InvalidChange):
        make_user(store, "ann", **fields)

    assert store.users.count() == 0


def test_names_are_unique_in_canonical_form(store: Store) -> None:
    """Another spelling of a taken name is the same name."""
    make_user(store, "ann")
    bob = make_user(store, "bob")

    with pytest.raises(Conflict, match="taken"):
        make_user(store, "ANN")
    with pytest.raises(Conflict, match="taken"):
        store.apply(RenameUser(bob.id, "Ann"), actor=ACTOR)
    with pytest.raises(InvalidName):
        store.apply(RenameUser(bob.id, "a/b"), actor=ACTOR)


def test_old_names_stay_reserved(store: Store) -> None:
    """Nobody inherits the name of a renamed or deleted user, except that the renamed may go back."""
    ann = make_user(store, "ann")
    store.apply(RenameUser(ann.id, "anna"), actor=ACTOR)

    with pytest.raises(Conflict, match="reserved"):
        make_user(store, "ann")
    assert store.users.names_reserved("ann")
    assert user_again(store, ann).home == "ann"

    store.apply(RenameUser(ann.id, "ann"), actor=ACTOR)
    assert not store.users.names_reserved("ann")
    assert store.users.names_reserved("anna")

    store.apply(DeleteUser(ann.id), actor=ACTOR)
    for name in ("ann", "anna"):
        with pytest.raises(Conflict, match="reserved"):
            make_user(store, name)


def test_homes_are_never_shared_or_inherited(store: Store) -> None:
    """A home is one user's, also after a rename, a move or the user's end."""
    ann = make_user(store, "ann", home="shared")
    with pytest.raises(Conflict, match="another user's"):
        make_user(store, "bob", home="shared")

    store.apply(UpdateUser(ann.id, UserFields(home="moved")), actor=ACTOR)
    with pytest.raises(Conflict, match="reserved"):
        make_user(store, "bob", home="shared")

    store.apply(UpdateUser(ann.id, UserFields(home="shared")), actor=ACTOR)
    store.apply(DeleteUser(ann.id), actor=ACTOR)
    for home in ("shared", "moved"):
        with pytest.raises(Conflict, match="reserved"):
            make_user(store, "bob", home=home)


def test_a_home_named_like_a_new_user_gives_an_own_home(store: Store) -> None:
    """When the name is no free folder name, the home is the id."""
    make_user(store, "ann", home="bob")
    bob = make_user(store, "bob")
    long = make_user(store, "é" * 128)

    assert (bob.id, long.id) == (bob.home, long.home)


def test_leaving_a_local_method_forgets_the_password(store: Store) -> None:
    """A user who moves to SSO keeps no hash that anything could compare."""
    ann = make_user(store, password_hash="h1")
    store.apply(SetMethod(ann.id, Method.LOCAL_KEY), actor=ACTOR)
    assert store.credentials.password(ann.id) == StoredPassword("h1", ann.created_at)

    store.apply(SetMethod(ann.id, Method.OIDC, "entra"), actor=ACTOR)

    assert (store.credentials.password_hash(ann.id), store.credentials.password(ann.id)) == (None, None)
    assert (user_again(store, ann).method, user_again(store, ann).provider) == (Method.OIDC, "entra")
    with pytest.raises(InvalidChange, match="no password"):
        store.apply(SetPassword(ann.id, "h2"), actor=ACTOR)
    with pytest.raises(InvalidChange, match="no password"):
        store.apply(CreateUser("bob", Method.LDAP, password_hash="h"), actor=ACTOR)


def test_a_deleted_user_leaves_no_credentials(store: Store) -> None:
    """Keys, links, memberships and WebDAV state go with the user; the audit trail stays."""
    ann, group = make_user(store, password_hash="h"), make_group(store)
    key, api_key = make_ssh_key(store, ann), make_api_key(store, ann)
    store.apply(AddMember(ann.id, group.id), actor=ACTOR)
    store.apply(LinkIdentity(ann.id, "entra", "1"), actor=ACTOR)
    lock = {"token": "t", "tree": "folder:x", "path": "/", "depth_infinity": True, "exclusive": True,
            "user_id": ann.id, "owner": "", "expires_at": 1.0, "created_at": 1.0}  # fmt: skip
    with store._database.write() as connection:
        connection.execute(dav_locks.insert(), lock)
        connection.execute(dav_properties.insert(), {"tree": f"home:{ann.id}", "path": "/", "name": "n", "value": "v"})

    store.apply(DeleteUser(ann.id), actor=ACTOR)

    assert (store.users.by_id(ann.id), store.users.by_name("ann")) == (None, None)
    assert (store.credentials.ssh_key(key.id), store.credentials.api_key(api_key.id)) == (None, None)
    assert store.credentials.password_hash(ann.id) is None
    assert store.users.by_identity("entra", "1") is None
    assert store.groups.members(group.id) == []
    with store._database.read() as connection:
        assert connection.execute(dav_locks.select()).all() + connection.execute(dav_properties.select()).all() == []
    assert "user.created" in {event.kind for event in store.audit.tail(subject="ann")}


def test_an_identity_is_linked_to_one_user(store: Store) -> None:
    """The immutable id of a person at a provider finds one user, and no second one can claim it."""
    ann, bob = make_user(store, "ann"), make_user(store, "bob")
    store.apply(LinkIdentity(ann.id, "entra", "tid:oid"), actor=ACTOR)

    with pytest.raises(Conflict, match="another user"):
        store.apply(LinkIdentity(bob.id, "entra", "tid:oid"), actor=ACTOR)
    assert user_again(store, ann) == store.users.by_identity("entra", "tid:oid")
    (link,) = store.users.identities_of(ann.id)
    assert Identity(ann.id, "entra", "tid:oid", link.linked_at) == link
    with pytest.raises(InvalidChange):
        store.apply(LinkIdentity(bob.id, "entra", ""), actor=ACTOR)


@pytest.mark.parametrize("how", ["disable", "demote", "delete", "forget-password"])
def test_the_last_break_glass_admin_stays(store: Store, how: str) -> None:
    """The change that would end the last active break-glass admin is refused; with another one it is made."""
    root = make_admin(store, "root")
    store.apply(SetPassword(root.id, "$argon2id$hash"), actor=ACTOR)
    root = user_again(store, root)
    change = {
        "forget-password": SetPassword(root.id, None),
        "disable": SetStatus(root.id, Status.DISABLED),
        "demote": UpdateUser(root.id, UserFields(break_glass=False, role=Role.USER)),
        "delete": DeleteUser(root.id),
    }[how]
    make_admin(store, "off")
    off = store.users.by_name("off")
    assert off is not None
    store.apply(SetStatus(off.id, Status.DISABLED), actor=ACTOR)

    with pytest.raises(Conflict, match="last active break-glass"):
        store.apply(change, actor=ACTOR)
    assert root == user_again(store, root)
    store.apply(UpdateUser(root.id, UserFields(email="r@x.y")), actor=ACTOR)

    store.apply(SetStatus(off.id, Status.ACTIVE), actor=ACTOR)
    assert store.apply(change, actor=ACTOR).changed


def test_a_break_glass_admin_stays_local(store: Store) -> None:
    """It cannot become an SSO user or be handed to SCIM while it is break-glass."""
    root = make_admin(store, "root")

    with pytest.raises(InvalidChange, match="break-glass"):
        store.apply(SetMethod(root.id, Method.OIDC), actor=ACTOR)
    with pytest.raises(InvalidChange, match="SCIM"):
        store.apply(UpdateUser(root.id, UserFields(managed_by=Owner.SCIM)), actor=ACTOR)
    with pytest.raises(InvalidChange, match="portal"):
        store.apply(UpdateUser(root.id, UserFields(protocols=frozenset({"sftp"}))), actor=ACTOR)


@pytest.mark.parametrize("owner", [Owner.SCIM, Owner.LDAP])
def test_a_leaver_is_never_kept_by_the_rule(store: Store, owner: Owner) -> None:
    """A directory's user who somehow is the last break-glass admin is ended like any leaver."""
    root = make_admin(store, "root")
    with store._database.write() as connection:  # no change can make this; an older release might have
        connection.execute(update(users).values(managed_by=owner.value))

    assert store.apply(SetStatus(root.id, Status.DEPROVISIONED), actor="scim").changed
    assert store.apply(DeleteUser(root.id), actor="scim").changed


def test_lists_are_filtered(store: Store) -> None:
    """list() filters by group (id or name), method and status, ordered by name."""
    bob, ann = make_user(store, "bob", Method.LDAP), make_user(store, "ann")
    group = make_group(store, "Crew")
    store.apply(AddMember(bob.id, group.id, Owner.LDAP), actor=ACTOR)
    store.apply(AddMember(bob.id, group.id, Owner.MANUAL), actor=ACTOR)
    store.apply(SetStatus(ann.id, Status.DISABLED), actor=ACTOR)

    assert [user.name for user in store.users.list()] == ["ann", "bob"]
    assert [user.name for user in store.users.list(group="crew", status=Status.ACTIVE)] == ["bob"]
    assert [user.name for user in store.users.list(group=group.id, method=Method.LDAP)] == ["bob"]
    assert store.users.list(method=Method.SAML) == []
    assert store.users.count() == 2
    assert [group] == store.users.groups_of(bob.id)
    assert store.users.groups_of(ann.id) == []


def test_text_that_cannot_be_stored_finds_nobody(store: Store) -> None:
    """A NUL or a lone surrogate in what a client sent is an unknown name, not an outage."""
    for odd in ("a\0b", "\udcff"):
        users_found = (store.users.by_name(odd), store.users.by_id(odd), store.users.by_identity(odd, odd))
        others = (store.groups.by_name(odd), store.groups.by_id(odd), store.folders.by_name(odd))
        keys = (store.credentials.ssh_key(odd), store.credentials.api_key(odd), store.sessions.by_id(odd))
        assert {None} == {*users_found, *others, *keys, store.folders.by_id(odd)}
        assert not store.users.names_reserved(odd)
