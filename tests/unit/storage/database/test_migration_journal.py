"""What is known of users before they move: passwords in use, keys, links; and the journal of those who did."""

from __future__ import annotations

from storage.database.changes import DeleteUser, LinkIdentity, RevokeApiKey, RevokeSshKey
from storage.database.migrations_log import LiveKeys
from storage.database.store import Store
from tests.support.migration_rows import ID, directory_user, move, move_back
from tests.support.scim_rows import ENTRA, join
from tests.support.store_rows import ACTOR, make_api_key, make_ssh_key, make_user, session_row

PROTOCOLS = ("sftp", "ftps", "webdav")


def test_who_was_in_by_password_is_known_from_the_sessions(store: Store) -> None:
    """The last sign-in on each front end; not by key, not before, not elsewhere; a session still open counts."""
    for number, (user_id, front_end, factor, opened, ended) in enumerate(
        [
            ("ann", "sftp", "password", 1000.0, 1010.0),
            ("ann", "sftp", "password", 2000.0, 2010.0),
            ("ann", "webdav", "password", 1500.0, None),
            ("ann", "ftps", "apikey", 1500.0, 1510.0),
            ("bob", "sftp", "password", 100.0, 110.0),
            ("cleo", "sftp", "password", 100.0, None),
            ("dora", "ftps", "password", 100.0, 1001.0),
            ("eve", "portal", "password", 2000.0, None),
        ]
    ):
        store.sessions.open(
            session_row(
                f"s{number}", user_id=user_id, front_end=front_end, factor=factor, opened_at=opened, ended_at=ended
            )
        )

    assert store.migrations.password_use(1000.0, PROTOCOLS) == {
        "ann": {"sftp": 2000.0, "webdav": 1500.0},
        "cleo": {"sftp": 100.0},
        "dora": {"ftps": 100.0},
    }


def test_keys_count_while_they_let_somebody_in(store: Store) -> None:
    """Neither revoked nor expired; of API keys it is known what they are good for."""
    ann, bob, cleo = (make_user(store, name) for name in ("ann", "bob", "cleo"))
    make_ssh_key(store, ann, b"one")
    make_ssh_key(store, ann, b"two", expires_at=5000.0)
    make_api_key(store, ann, "k1", protocols=frozenset({"ftps"}))
    make_api_key(store, ann, "k2")
    make_api_key(store, bob, "k3", expires_at=5000.0)
    ended = make_ssh_key(store, cleo, b"three")
    store.apply(RevokeSshKey(ended.id), actor=ACTOR)
    store.apply(RevokeApiKey(make_api_key(store, cleo, "k4").id), actor=ACTOR)

    early, late = store.migrations.live_keys(4000.0), store.migrations.live_keys(5000.0)
    assert set(early) == {ann.id, bob.id}
    assert early[ann.id].ssh == 2
    assert late == {ann.id: LiveKeys(1, (frozenset({"ftps"}), frozenset()))}


def test_links_graves_and_names_of_a_client_are_found_in_bulk(store: Store) -> None:
    """Of one provider alone; the newest link of a user first."""
    user = directory_user(store)
    for external_id in ("oid-1", "oid-2"):
        store.apply(LinkIdentity(user.id, ENTRA, external_id), actor=ACTOR)
    second = join(store, "ann@lab.test", ID)
    store.apply(DeleteUser(second.id), actor=ACTOR)
    other = join(store, "bob@lab.test", "oid-bob")

    found = store.migrations
    assert sorted(found.links(ENTRA)[user.id]) == ["oid-1", "oid-2"]
    assert found.links(ENTRA)[other.id] == ["oid-bob"]
    assert found.links("okta") == {}
    assert found.graves(ENTRA, [ID, "oid-bob"]) == {ID: second.id}
    assert found.client_names(ENTRA, ["bob@lab.test", "nobody"]) == {"bob@lab.test": other.id}
    assert found.client_names("okta", ["bob@lab.test"]) == {}


def test_the_journal_has_the_newest_move_first(store: Store) -> None:
    """Also of users who are gone; one that was undone says so."""
    ann, bob = directory_user(store), directory_user(store, "bob")
    first = move(store, ann)
    move(store, bob, external_id="oid-bob")
    move_back(store, first.detail["migration"])
    store.apply(DeleteUser(bob.id), actor=ACTOR)

    journal = store.migrations.journal()
    assert [(row.user_name, row.undone_by) for row in journal] == [("bob", None), ("ann", "other-admin")]
    assert [row.user_name for row in store.migrations.journal(limit=1)] == ["bob"]
    assert store.migrations.by_id(999) is None


def test_the_last_batch_is_what_is_left_of_it(store: Store) -> None:
    """Undone ones are not in it; when nothing is left, the batch before is the last one."""
    users = [directory_user(store, name) for name in ("ann", "bob", "cleo", "dora")]
    numbers = [
        move(store, user, external_id=f"oid-{user.name}", batch=batch).detail["migration"]
        for user, batch in zip(users, ("one", "two", "two", ""), strict=True)
    ]
    alone = [row.user_name for row in store.migrations.last_batch()]
    move_back(store, numbers[3])
    two = [row.user_name for row in store.migrations.last_batch()]
    move_back(store, numbers[1])
    rest = [row.user_name for row in store.migrations.last_batch()]
    move_back(store, numbers[2])
    one = [row.user_name for row in store.migrations.last_batch()]
    move_back(store, numbers[0])

    assert (alone, two, rest, one) == (["dora"], ["cleo", "bob"], ["cleo"], ["ann"])
    assert store.migrations.last_batch() == []
