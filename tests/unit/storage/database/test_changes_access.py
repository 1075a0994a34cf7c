"""Groups, credentials, folders and grants, on both databases."""

from __future__ import annotations

import pytest

from storage.database.changes import (
    AddApiKey,
    AddMember,
    AddSshKey,
    CreateFolder,
    DeleteFolder,
    DeleteGroup,
    PutGrant,
    RemoveMember,
    RevokeApiKey,
    RevokeSshKey,
    SetPassword,
)
from storage.database.records import Folder, Grant, Owner
from storage.database.store import Conflict, InvalidChange, Store
from storage.database.tables import dav_properties, memberships, users
from tests.support.store_rows import (
    ACTOR,
    make_api_key,
    make_folder,
    make_group,
    make_ssh_key,
    make_user,
    ssh_key_change,
    user_again,
)

READ = frozenset({"list", "read"})


def test_a_membership_ends_with_its_last_owner(store: Store) -> None:
    """Two sources may hold the same membership; one of them leaving takes nothing from the other."""
    ann, group = make_user(store), make_group(store)
    for owner in (Owner.MANUAL, Owner.SCIM):
        store.apply(AddMember(ann.id, group.id, owner), actor=ACTOR)
    assert [(user_again(store, ann), Owner.MANUAL), (user_again(store, ann), Owner.SCIM)] == store.groups.members(
        group.id
    )

    store.apply(RemoveMember(ann.id, group.id, Owner.SCIM), actor="scim")
    assert [group] == store.users.groups_of(ann.id)

    store.apply(RemoveMember(ann.id, group.id, Owner.MANUAL), actor=ACTOR)
    assert store.users.groups_of(ann.id) == []


def test_group_names_are_unique(store: Store) -> None:
    """Groups are found by canonical name, listed by name, and a second one of a name is refused."""
    crew, admins = make_group(store, "Crew"), make_group(store, "Admins")

    with pytest.raises(Conflict, match="exists"):
        make_group(store, "CREW")
    assert [admins, crew] == store.groups.list()
    assert crew == store.groups.by_name("crew")
    assert store.groups.by_name("none") is None
    assert store.groups.by_id("none") is None


def test_a_large_group_is_raised_as_a_whole(store: Store) -> None:
    """Ending a group of more users than one statement takes raises every member's epoch."""
    group = make_group(store)
    first = make_user(store, "user0")
    ids = [first.id, *(f"id{number}" for number in range(1, 520))]
    with store._database.write() as connection:  # as many changes would make, but sooner
        row = connection.execute(users.select()).one()._asdict()
        connection.execute(users.insert(), [{**row, "id": each, "name": each, "home": each} for each in ids[1:]])
        rows = [{"user_id": each, "group_id": group.id, "owner": "scim"} for each in ids]
        connection.execute(memberships.insert(), rows)

    applied = store.apply(DeleteGroup(group.id), actor=ACTOR)

    assert set(ids) == set(applied.users)
    assert len(store.revocations.since(1)) == 520
    assert {2} == {user.epoch for user in store.users.list()}


def test_an_ssh_key_has_every_field(store: Store) -> None:
    """What AddSshKey names is what readers get."""
    ann = make_user(store)

    key = make_ssh_key(store, ann, b"blob", title="laptop", expires_at=4e9, networks=("10.1.2.3",), read_only=True)

    assert (ann.id, "ssh-ed25519", b"blob", "laptop") == (key.user_id, key.algorithm, key.blob, key.title)
    assert (key.expires_at, key.networks, key.read_only, key.last_used_at, key.revoked_at) == (
        4e9,
        ("10.1.2.3/32",),
        True,
        None,
        None,
    )
    assert [key] == store.credentials.ssh_keys_of(ann.id)
    assert key == store.credentials.ssh_key_by_blob(ann.id, b"blob")
    assert store.credentials.ssh_key_by_blob(ann.id, b"other") is None


def test_a_key_is_live_once_per_user_and_may_be_on_two_users(store: Store) -> None:
    """The same key again on the same user is refused until it is revoked; on another user it is only shown."""
    ann, bob = make_user(store, "ann"), make_user(store, "bob")
    first = make_ssh_key(store, ann)
    with pytest.raises(Conflict, match="already"):
        make_ssh_key(store, ann)
    bobs = make_ssh_key(store, bob)
    assert {first, bobs} == set(store.credentials.ssh_keys_with_blob(b"key one"))

    store.apply(RevokeSshKey(first.id), actor=ACTOR)
    found = store.credentials.ssh_key_by_blob(ann.id, b"key one")
    assert found is not None
    assert found.revoked_at is not None

    again = make_ssh_key(store, ann)
    assert again == store.credentials.ssh_key_by_blob(ann.id, b"key one")
    assert len(store.credentials.ssh_keys_of(ann.id)) == 2
    assert first.id == store.credentials.ssh_keys_with_blob(b"key one")[-1].id


@pytest.mark.parametrize(
    "fields",
    [{"title": "a\x1b[2J"}, {"expires_at": float("inf")}, {"networks": ("nowhere",)}, {"fingerprint": "SHA256:x"}],
)
def test_a_senseless_ssh_key_is_refused(store: Store, fields: dict[str, object]) -> None:
    """A wrong fingerprint or value adds no key."""
    ann = make_user(store)
    values = {"algorithm": "ssh-rsa", "blob": b"b", "fingerprint": ssh_key_change(ann.id, b"b").fingerprint, **fields}

    with pytest.raises(InvalidChange):
        store.apply(AddSshKey(ann.id, **values), actor=ACTOR)  # type: ignore[arg-type]
    assert store.credentials.ssh_keys_of(ann.id) == []


def test_an_api_key_has_every_field(store: Store) -> None:
    """What AddApiKey names is what readers get; prefixes are made normal."""
    ann = make_user(store)

    key = make_api_key(
        store, ann, "kid", title="backup", protocols=frozenset({"ftps", "webdav"}), path_prefixes=("/a", "/e\u0301"),
        read_only=True, networks=("2001:db8::/32",), expires_at=4e9,
    )  # fmt: skip

    assert ("kid", ann.id, "backup", frozenset({"ftps", "webdav"})) == (key.id, key.user_id, key.title, key.protocols)
    assert (key.path_prefixes, key.read_only, key.networks, key.expires_at) == (
        ("/a", "/\u00e9"),
        True,
        ("2001:db8::/32",),
        4e9,
    )
    assert [key] == store.credentials.api_keys_of(ann.id)
    store.apply(RevokeApiKey("kid"), actor=ACTOR)
    revoked = store.credentials.api_key("kid")
    assert revoked is not None
    assert revoked.revoked_at is not None


@pytest.mark.parametrize(
    "fields",
    [{"digest": b"short"}, {"id": ""}, {"id": "x" * 65}, {"protocols": frozenset({"x"})}, {"path_prefixes": ("a",)},
     {"path_prefixes": ("/a/../b",)}, {"path_prefixes": ("/a\0",)}],
)  # fmt: skip
def test_a_senseless_api_key_is_refused(store: Store, fields: dict[str, object]) -> None:
    """A short digest, an unknown protocol or a path that is none adds no key."""
    ann = make_user(store)
    values = {"id": "k", "digest": b"d" * 32, **fields}

    with pytest.raises(InvalidChange):
        store.apply(AddApiKey(ann.id, **values), actor=ACTOR)  # type: ignore[arg-type]
    assert store.credentials.api_keys_of(ann.id) == []


def test_an_api_key_id_is_unique(store: Store) -> None:
    """A second key of the same public id is refused."""
    ann = make_user(store)
    make_api_key(store, ann)

    with pytest.raises(Conflict, match="exists"):
        make_api_key(store, ann)


def test_last_use_is_written_at_most_once_a_minute(store: Store) -> None:
    """A busy key costs one write a minute, however often and wherever it is used."""
    ann = make_user(store)
    key, api_key = make_ssh_key(store, ann), make_api_key(store, ann)
    for at in (1000.0, 1059.9):
        store.credentials.touch_ssh_key(key.id, at)
        store.credentials.touch_api_key(api_key.id, at)
    assert store.credentials.ssh_keys_of(ann.id)[0].last_used_at == 1000.0
    assert store.credentials.api_keys_of(ann.id)[0].last_used_at == 1000.0

    store.credentials.touch_ssh_key(key.id, 1060.0)
    assert store.credentials.ssh_keys_of(ann.id)[0].last_used_at == 1060.0

    store.credentials._touched.clear()  # as another worker, which remembers nothing
    store.credentials.touch_ssh_key(key.id, 1061.0)
    assert store.credentials.ssh_keys_of(ann.id)[0].last_used_at == 1060.0
    assert user_again(store, ann).epoch - 1 == 2


def test_the_memory_of_uses_is_bounded(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that come and go do not fill the memory."""
    monkeypatch.setattr("storage.database.credentials._TOUCHES_KEPT", 3)
    for number in range(10):
        sqlite_store.credentials.touch_api_key(f"k{number}", 1.0)

    assert len(sqlite_store.credentials._touched) <= 3


def test_a_stronger_hash_replaces_the_same_password_only(store: Store) -> None:
    """A rehash at login raises no epoch, and never undoes a password that was changed meanwhile."""
    ann = make_user(store, password_hash="weak")

    assert store.credentials.replace_password_hash(ann.id, "weak", "strong")
    assert ann == user_again(store, ann)
    store.apply(SetPassword(ann.id, "new"), actor=ACTOR)
    assert not store.credentials.replace_password_hash(ann.id, "strong", "stronger")

    assert store.credentials.password_hash(ann.id) == "new"


def test_folders_keep_their_options(store: Store) -> None:
    """A folder has what CreateFolder named; its name is unique and canonical."""
    folder = make_folder(store, "Plans", backend="s3", options={"bucket": "ü"}, quota_bytes=7)

    assert Folder(folder.id, "plans", "s3", {"bucket": "ü"}, 7, folder.created_at) == folder
    assert [folder] == store.folders.list()
    assert folder == store.folders.by_name("plans")
    assert (store.folders.by_name("x"), store.folders.by_id("x")) == (None, None)
    with pytest.raises(Conflict, match="exists"):
        make_folder(store, "PLANS")
    for senseless in (CreateFolder("x", "No Backend"), CreateFolder("x", options={"a b": ""}),
                      CreateFolder("x", options={"a": "\0"}), CreateFolder("x", quota_bytes=-1)):  # fmt: skip
        with pytest.raises(InvalidChange):
            store.apply(senseless, actor=ACTOR)


def test_grants_for_a_user_are_the_users_and_all_groups(store: Store) -> None:
    """A user gets own and group grants once, however many owners hold the membership; others' never."""
    ann, bob, group = make_user(store, "ann"), make_user(store, "bob"), make_group(store)
    folder = make_folder(store)
    for owner in (Owner.MANUAL, Owner.SCIM):
        store.apply(AddMember(ann.id, group.id, owner), actor=ACTOR)
    puts = [
        PutGrant("/plans", READ, group_id=group.id, folder_id=folder.id),
        PutGrant("/plans/secret", frozenset(), READ, user_id=ann.id),
        PutGrant("/", READ, user_id=bob.id),
    ]
    ids = [store.apply(put, actor=ACTOR).subject_id for put in puts]

    mine = store.folders.grants_for(ann.id)

    assert ids[:2] == [grant.id for grant in mine]
    assert Grant(ids[0], "/plans", READ, frozenset(), None, group.id, folder.id, mine[0].created_at) == mine[0]
    assert mine[1].deny == READ
    assert [ids[2]] == [grant.id for grant in store.folders.grants(user_id=bob.id)]
    assert [ids[0]] == [grant.id for grant in store.folders.grants(group_id=group.id, folder_id=folder.id)]
    assert len(store.folders.grants()) == 3


def test_putting_a_grant_again_replaces_it(store: Store) -> None:
    """One holder has one grant per path and folder; a second folder at the same path is refused."""
    ann, one, two = make_user(store), make_folder(store, "one"), make_folder(store, "two")
    first = store.apply(PutGrant("/x", READ, user_id=ann.id, folder_id=one.id), actor=ACTOR)

    again = store.apply(PutGrant("/x", frozenset(), user_id=ann.id, folder_id=one.id), actor=ACTOR)
    rule = store.apply(PutGrant("/x", READ, user_id=ann.id), actor=ACTOR)

    assert first.subject_id == again.subject_id != rule.subject_id
    assert [frozenset(), READ] == [grant.allow for grant in store.folders.grants(user_id=ann.id)]
    with pytest.raises(Conflict, match="Another folder"):
        store.apply(PutGrant("/x", READ, user_id=ann.id, folder_id=two.id), actor=ACTOR)


@pytest.mark.parametrize(
    "put",
    [PutGrant("/", READ), PutGrant("x", READ, user_id="ANN"), PutGrant("/a//b", READ, user_id="ANN"),
     PutGrant("/./a", READ, user_id="ANN"), PutGrant("/a/", READ, user_id="ANN"),
     PutGrant("/", frozenset({"Read All"}), user_id="ANN"), PutGrant("/", READ, user_id="ANN", group_id="CREW")],
)  # fmt: skip
def test_a_senseless_grant_is_refused(store: Store, put: PutGrant) -> None:
    """A grant has one holder, a normal path, and rights that are words."""
    ids = {"ANN": make_user(store).id, "CREW": make_group(store).id, None: None}
    put = PutGrant(put.path, put.allow, put.deny, ids[put.user_id], ids[put.group_id])

    with pytest.raises(InvalidChange):
        store.apply(put, actor=ACTOR)
    assert store.folders.grants() == []


def test_a_deleted_folder_takes_its_grants_and_webdav_state(store: Store) -> None:
    """No grant points to a folder that is gone, and no dead property waits for its successor."""
    ann, folder = make_user(store), make_folder(store)
    store.apply(PutGrant("/plans", READ, user_id=ann.id, folder_id=folder.id), actor=ACTOR)
    with store._database.write() as connection:
        row = {"tree": f"folder:{folder.id}", "path": "/", "name": "n", "value": "v"}
        connection.execute(dav_properties.insert(), row)

    applied = store.apply(DeleteFolder(folder.id), actor=ACTOR)

    assert (ann.id,) == applied.users
    assert store.folders.grants() == []
    with store._database.read() as connection:
        assert connection.execute(dav_properties.select()).all() == []
