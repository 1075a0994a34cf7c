"""What every Change has in common: epochs, revocations, one audit event, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from storage.database import changes
from storage.database.changes import (
    AddMember,
    Change,
    CreateFolder,
    CreateGroup,
    CreateUser,
    DeleteFolder,
    DeleteGrant,
    DeleteGroup,
    DeleteUser,
    LinkIdentity,
    PutGrant,
    RemoveMember,
    RenameUser,
    RevokeApiKey,
    RevokeSshKey,
    SetMethod,
    SetPassword,
    SetStatus,
    UnlinkIdentity,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Owner, Status, User
from storage.database.store import Conflict, InvalidChange, NotFoundInStore, Store, StoreError
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

READ = frozenset({"read"})


@dataclass(frozen=True)
class Scene:
    """A store with one of everything."""

    store: Store
    ann: User
    bob: User
    group: str
    folder: str
    grant: str
    ssh_key: str
    api_key: str


@pytest.fixture
def scene(store: Store) -> Scene:
    """Ann and Bob are in a group that reads a folder; Ann has one of each credential."""
    ann, bob = make_user(store, "ann", password_hash="h"), make_user(store, "bob")
    group, folder = make_group(store), make_folder(store)
    for user in (ann, bob):
        store.apply(AddMember(user.id, group.id), actor=ACTOR)
    grant = store.apply(PutGrant("/plans", READ, group_id=group.id, folder_id=folder.id), actor=ACTOR)
    store.apply(LinkIdentity(ann.id, "entra", "oid-1"), actor=ACTOR)
    ssh_key, api_key = make_ssh_key(store, ann), make_api_key(store, ann)
    return Scene(store, ann, bob, group.id, folder.id, grant.subject_id, ssh_key.id, api_key.id)


OF_ANN: dict[str, tuple[Callable[[Scene], Change], str]] = {
    "update": (lambda s: UpdateUser(s.ann.id, UserFields(quota_bytes=5)), "user.updated"),
    "disable": (lambda s: SetStatus(s.ann.id, Status.DISABLED), "user.disabled"),
    "deprovision": (lambda s: SetStatus(s.ann.id, Status.DEPROVISIONED), "user.deprovisioned"),
    "rename": (lambda s: RenameUser(s.ann.id, "anna"), "user.renamed"),
    "method": (lambda s: SetMethod(s.ann.id, Method.OIDC, "entra"), "user.method_set"),
    "password": (lambda s: SetPassword(s.ann.id, "h2"), "user.password_set"),
    "no password": (lambda s: SetPassword(s.ann.id, None), "user.password_removed"),
    "delete": (lambda s: DeleteUser(s.ann.id), "user.deleted"),
    "link": (lambda s: LinkIdentity(s.ann.id, "okta", "1"), "identity.linked"),
    "unlink": (lambda s: UnlinkIdentity(s.ann.id, "entra", "oid-1"), "identity.unlinked"),
    "join": (lambda s: AddMember(s.ann.id, s.group, Owner.SCIM), "member.added"),
    "leave": (lambda s: RemoveMember(s.ann.id, s.group), "member.removed"),
    "ssh key": (lambda s: ssh_key_change(s.ann.id, b"another"), "ssh_key.added"),
    "no ssh key": (lambda s: RevokeSshKey(s.ssh_key), "ssh_key.revoked"),
    "api key": (lambda s: changes.AddApiKey(s.ann.id, "k2", b"d" * 32), "api_key.added"),
    "no api key": (lambda s: RevokeApiKey(s.api_key), "api_key.revoked"),
    "grant": (lambda s: PutGrant("/", READ, user_id=s.ann.id), "grant.put"),
}
OF_BOTH: dict[str, tuple[Callable[[Scene], Change], str]] = {
    "no group": (lambda s: DeleteGroup(s.group), "group.deleted"),
    "no folder": (lambda s: DeleteFolder(s.folder), "folder.deleted"),
    "group grant": (lambda s: PutGrant("/x", READ, group_id=s.group), "grant.put"),
    "less": (lambda s: PutGrant("/plans", frozenset(), READ, group_id=s.group, folder_id=s.folder), "grant.put"),
    "no grant": (lambda s: DeleteGrant(s.grant), "grant.deleted"),
}
OF_NOBODY: dict[str, tuple[Callable[[Scene], Change], str]] = {
    "new group": (lambda _: CreateGroup("new"), "group.created"),
    "new folder": (lambda _: CreateFolder("new"), "folder.created"),
}
AGAIN: dict[str, Callable[[Scene], Change]] = {
    "update": lambda s: UpdateUser(s.ann.id, UserFields(quota_bytes=None, display_name="")),
    "status": lambda s: SetStatus(s.ann.id, Status.ACTIVE),
    "name": lambda s: RenameUser(s.ann.id, "ANN"),
    "method": lambda s: SetMethod(s.ann.id, Method.LOCAL),
    "no password": lambda s: SetPassword(s.bob.id, None),
    "link": lambda s: LinkIdentity(s.ann.id, "entra", "oid-1"),
    "unlink": lambda s: UnlinkIdentity(s.bob.id, "entra", "oid-1"),
    "join": lambda s: AddMember(s.ann.id, s.group),
    "leave": lambda s: RemoveMember(s.ann.id, s.group, Owner.LDAP),
    "grant": lambda s: PutGrant("/plans", READ, group_id=s.group, folder_id=s.folder),
}


def epochs(scene: Scene) -> dict[str, int]:
    """Give the epochs of both users; a deleted one is missing."""
    return scene.store.users.epochs([scene.ann.id, scene.bob.id])


@pytest.mark.parametrize("name", [*OF_ANN, *OF_BOTH, *OF_NOBODY])
def test_affected_users_get_a_new_epoch_and_a_revocation(scene: Scene, name: str) -> None:
    """Each change raises the epoch of exactly the users it affects, wakes them, and is audited once."""
    make, kind = {**OF_ANN, **OF_BOTH, **OF_NOBODY}[name]
    affected = {scene.ann.id} if name in OF_ANN else {scene.ann.id, scene.bob.id} if name in OF_BOTH else set()
    before, sequence = epochs(scene), scene.store.revocations.latest()
    last_event = scene.store.audit.tail(limit=1)[0].id

    applied = scene.store.apply(make(scene), actor="admin")

    assert affected == set(applied.users)
    assert applied.changed
    after = epochs(scene)
    assert after == {user: before[user] + (user in affected) for user in after}
    rows = scene.store.revocations.since(sequence)
    assert sorted(affected) == sorted(str(row.user_id) for row in rows)
    assert {kind} >= {row.reason for row in rows}
    (event,) = scene.store.audit.tail(after_id=last_event)
    assert (kind, "admin", "applied") == (event.kind, event.actor, event.outcome)
    assert event.detail is not None
    assert applied.subject_id == event.detail["subject_id"]


@pytest.mark.parametrize("name", AGAIN)
def test_what_is_so_already_raises_no_epoch(scene: Scene, name: str) -> None:
    """A change to what already is disturbs no session, and the audit trail says so."""
    before, sequence = epochs(scene), scene.store.revocations.latest()

    applied = scene.store.apply(AGAIN[name](scene), actor=ACTOR)

    assert (applied.changed, applied.users) == (False, ())
    assert before == epochs(scene)
    assert scene.store.revocations.since(sequence) == []
    assert scene.store.audit.tail(limit=1)[0].outcome == "unchanged"


def test_revoking_twice_changes_nothing_more(scene: Scene) -> None:
    """A second revocation of a key keeps the time of the first."""
    for change in (RevokeSshKey(scene.ssh_key), RevokeApiKey(scene.api_key)):
        assert scene.store.apply(change, actor=ACTOR).changed
        first = scene.store.credentials.ssh_key(scene.ssh_key)
        assert not scene.store.apply(change, actor=ACTOR).changed
        assert first == scene.store.credentials.ssh_key(scene.ssh_key)


MISSING = "0" * 32


@pytest.mark.parametrize(
    "change",
    [
        UpdateUser(MISSING, UserFields()), SetStatus(MISSING, Status.ACTIVE), RenameUser(MISSING, "x"),
        SetMethod(MISSING, Method.LOCAL), SetPassword(MISSING, "h"), DeleteUser(MISSING),
        LinkIdentity(MISSING, "p", "1"), UnlinkIdentity(MISSING, "p", "1"), DeleteGroup(MISSING),
        AddMember(MISSING, MISSING), RemoveMember(MISSING, MISSING), ssh_key_change(MISSING), RevokeSshKey(MISSING),
        changes.AddApiKey(MISSING, "k", b"d" * 32), RevokeApiKey(MISSING), DeleteFolder(MISSING),
        PutGrant("/", READ, user_id=MISSING), PutGrant("/", READ, group_id=MISSING), DeleteGrant(MISSING),
    ],
    ids=lambda change: type(change).__name__,
)  # fmt: skip
def test_a_change_of_what_is_not_there_is_refused(store: Store, change: Change) -> None:
    """Every change names its missing subject and writes nothing, not even an event."""
    with pytest.raises(NotFoundInStore):
        store.apply(change, actor=ACTOR)

    assert (store.audit.tail(), store.revocations.latest()) == ([], 0)


def test_an_error_on_the_way_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the audit event cannot be written, neither user nor epoch nor revocation is."""
    ann = make_user(store)
    sequence = store.revocations.latest()

    def broken(*_: object) -> None:
        raise RuntimeError("the audit trail is full")

    with monkeypatch.context() as patched:
        patched.setattr(changes, "insert_events", broken)
        for change in (SetStatus(ann.id, Status.DISABLED), CreateUser("bob", Method.LOCAL), DeleteUser(ann.id)):
            with pytest.raises(RuntimeError):
                store.apply(change, actor=ACTOR)

    assert ann == user_again(store, ann)
    assert store.users.by_name("bob") is None
    assert sequence == store.revocations.latest()
    assert store.apply(CreateUser("bob", Method.LOCAL), actor=ACTOR).changed  # no lock was left behind


def test_the_database_itself_refuses_a_half_grant(store: Store) -> None:
    """What the code would miss, a constraint catches: as Conflict, with nothing written."""
    broken = text("INSERT INTO grants (id, path, allow, deny, created_at) VALUES ('g', '/', '[]', '[]', 0)")
    with pytest.raises(Conflict), store._database.write() as connection:
        connection.execute(broken)

    assert store.folders.grants() == []


def test_a_value_that_no_database_holds_is_refused(store: Store) -> None:
    """Text with a lone surrogate is an invalid change, not a crash or an outage."""
    with pytest.raises(InvalidChange), store._database.write() as connection:
        connection.execute(text("INSERT INTO leases VALUES (:n, 'h', 0)"), {"n": "\udcff"})


def test_secrets_do_not_show_in_a_change() -> None:
    """Hashes, digests and key blobs stay out of logs that print a change."""
    shown = repr([CreateUser("a", Method.LOCAL, password_hash="HASH"), SetPassword("u", "HASH"),
                  ssh_key_change("u", b"BLOB"), changes.AddApiKey("u", "k", b"DIGEST")])  # fmt: skip

    assert not any(secret in shown for secret in ("HASH", "BLOB", "DIGEST"))


def test_secrets_do_not_show_in_an_error(store: Store) -> None:
    """The text of a failed statement, which a log may hold, does not repeat the values."""
    with pytest.raises(StoreError) as caught, store._database.write() as connection:
        connection.execute(text("INSERT INTO passwords VALUES ('nobody', :h, 1)"), {"h": "HASH"})
    chain = f"{caught.value} {caught.value.__cause__} {caught.value.__cause__!r}"

    assert "passwords" in chain
    assert "HASH" not in chain


def test_errors_have_words_for_people(store: Store) -> None:
    """Every refusal carries a sentence."""
    with pytest.raises(StoreError) as caught:
        store.apply(DeleteGroup(MISSING), actor=ACTOR)

    assert caught.value.message == "There is no such group."
