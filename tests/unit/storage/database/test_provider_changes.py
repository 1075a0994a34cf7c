"""Providers in the database, roles of their groups, sealed secrets, and what the sync keeps."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.database.changes import DeleteProvider, LinkIdentity, MapRole, PutProvider, UnmapRole
from storage.database.records import Method, Role
from storage.database.sealing import SiteKey, ensure_site_key, load_site_key
from storage.database.store import Conflict, InvalidChange, NotFoundInStore, Store, StoreUnavailable
from storage.database.sync_log import Mode, Outcome, SyncConflict, SyncItem, SyncState
from tests.support.store_rows import ACTOR, make_user

CORP = PutProvider("corp", "ldap", {"hosts": ["dc1"]}, {"bind_password": "sealed"})
PLACE = "provider/corp/bind_password"


def test_a_provider_is_kept_and_replaced(store: Store) -> None:
    """By name, with one audit event that names the changed options and shows no value."""
    store.apply(CORP, actor=ACTOR)
    done = store.apply(PutProvider("corp", "ldap", {"hosts": ["dc2"]}, {"bind_password": "sealed"}), actor=ACTOR)
    again = store.apply(PutProvider("corp", "ldap", {"hosts": ["dc2"]}, {"bind_password": "sealed"}), actor=ACTOR)

    kept = store.providers.by_name("corp")
    assert kept is not None
    assert (kept.options, kept.secrets) == ({"hosts": ["dc2"]}, {"bind_password": "sealed"})
    assert (done.detail["options"], done.changed, again.changed) == (["hosts"], True, False)
    assert [provider.name for provider in store.providers.list("ldap")] == ["corp"]
    assert store.providers.list("saml") == []
    assert store.providers.by_name("other") is None
    assert store.providers.by_name("\0") is None
    assert "sealed" not in repr(store.audit.tail())


def test_a_provider_of_another_kind_is_not_replaced(store: Store) -> None:
    """One name, one provider."""
    store.apply(CORP, actor=ACTOR)
    with pytest.raises(Conflict, match="of the kind ldap"):
        store.apply(PutProvider("corp", "saml", {}, {}), actor=ACTOR)


def test_removing_a_provider_waits_for_its_users_and_names_them(store: Store) -> None:
    """Whoever belongs to it, by method or by link, keeps it; without them it goes with all that belongs to it."""
    store.apply(CORP, actor=ACTOR)
    store.apply(MapRole("corp", "g-1", Role.ADMIN, "admins"), actor=ACTOR)
    store.syncs.keep_state(SyncState("corp", {"since": "1"}))
    with pytest.raises(NotFoundInStore):
        store.apply(DeleteProvider("other"), actor=ACTOR)
    for number in range(12):
        make_user(store, f"user-{number:02}", Method.LDAP, provider="corp")
    linked = make_user(store, "zoe")
    store.apply(LinkIdentity(linked.id, "corp", "e-zoe"), actor=ACTOR)
    with pytest.raises(Conflict, match=r"13 users depend on .*user-00.* and 3 more"):
        store.apply(DeleteProvider("corp"), actor=ACTOR)

    store.apply(PutProvider("free", "ldap", {}, {}), actor=ACTOR)
    store.leases.take("sync:free", "somebody", 60.0)
    with pytest.raises(Conflict, match="is running"):
        store.apply(DeleteProvider("free"), actor=ACTOR)
    store.leases.release("sync:free", "somebody")
    store.apply(DeleteProvider("free"), actor=ACTOR)
    assert [provider.name for provider in store.providers.list()] == ["corp"]


def test_a_role_is_mapped_by_a_groups_immutable_id(store: Store) -> None:
    """The admin who confirmed it is kept with it; a later mapping of the group replaces it."""
    store.apply(MapRole("corp", "g-1", Role.READ_ONLY_ADMIN, "readers"), actor=ACTOR)
    store.apply(MapRole("corp", "g-1", Role.ADMIN, "readers"), actor=ACTOR)
    with pytest.raises(InvalidChange):
        store.apply(MapRole("corp", "g-2", Role.USER, "users"), actor=ACTOR)

    (mapping,) = store.providers.roles("corp")
    assert (mapping.external_id, mapping.role, mapping.confirmed_by) == ("g-1", Role.ADMIN, ACTOR)
    assert store.apply(UnmapRole("corp", "g-1"), actor=ACTOR).changed
    assert not store.apply(UnmapRole("corp", "g-1"), actor=ACTOR).changed
    assert store.providers.roles("corp") == []


# Sealing ------------------------------------------------------------------------------------------


def test_a_secret_opens_at_its_place_with_its_key_only(tmp_path: Path) -> None:
    """Another place, another key, a changed letter or an unknown version: words for an admin, and no secret in them."""
    key, other = ensure_site_key(tmp_path / "site.key"), SiteKey(b"x" * 32)
    sealed = key.seal("geheim", PLACE)
    assert "geheim" not in sealed
    assert sealed != key.seal("geheim", PLACE)
    assert key.unseal(sealed, PLACE) == "geheim"

    broken = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    for text, place, opener, words in (
        (sealed, "provider/lab/bind_password", key, "damaged"),
        (broken, PLACE, key, "damaged"),
        (sealed + "!", PLACE, key, "damaged"),
        (sealed, PLACE, other, "another site key"),
        ("v9:x:y", PLACE, key, "does not know"),
        ("geheim", PLACE, key, "does not know"),
    ):
        with pytest.raises(StoreUnavailable, match=words) as caught:
            opener.unseal(text, place)
        assert "geheim" not in str(caught.value)


def test_the_site_key_is_made_once_and_private(tmp_path: Path) -> None:
    """Many who need it at once get the same; the file is readable by its owner only."""
    path = tmp_path / "keys" / "site.key"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: ensure_site_key(path), range(16)))

    assert len({key.id for key in keys}) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["site.key"]


@pytest.mark.parametrize("content", [b"", b"!!", b"c2hvcnQ="])
def test_a_site_key_that_is_none_says_so(tmp_path: Path, content: bytes) -> None:
    """A damaged file, a missing one or a folder that cannot be written is told as such."""
    path = tmp_path / "site.key"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="not a key"):
        load_site_key(path)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        load_site_key(tmp_path / "missing")
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        ensure_site_key(path / "below-a-file" / "site.key")


# What the sync keeps ------------------------------------------------------------------------------


def test_where_the_sync_stands_is_kept(store: Store) -> None:
    """All zero before the first run, and then what was said last."""
    assert store.syncs.state("corp") == SyncState("corp")
    state = SyncState("corp", {"since": "20260101000000Z"}, 1.0, 2.0, "f")
    store.syncs.keep_state(SyncState("corp", {}, 0.5))
    store.syncs.keep_state(state)

    assert store.syncs.state("corp") == state


def test_a_run_is_kept_with_all_that_it_did(store: Store) -> None:
    """Newest first; a run that never ended is marked when the next one begins."""
    dead = store.syncs.begin("corp", Mode.FULL, ACTOR, 1.0)
    run = store.syncs.begin("corp", Mode.INCREMENTAL, ACTOR, 2.0)
    other = store.syncs.begin("lab", Mode.FULL, ACTOR, 3.0)
    items = [SyncItem("create", "ann", "e-ann", detail={"groups": ["x"]}), SyncItem("skip", "b", "e-b", "why")]
    store.syncs.progress(run, {"seen": 2}, items)
    store.syncs.finish(run, Outcome.DONE, {"seen": 2}, "2 seen", 4.0)

    assert [(one.id, one.outcome) for one in store.syncs.runs("corp")] == [
        (run, Outcome.DONE),
        (dead, Outcome.INTERRUPTED),
    ]
    assert [one.id for one in store.syncs.runs(limit=1)] == [other]
    assert store.syncs.items(run) == items
    kept = store.syncs.run(run)
    assert kept is not None
    assert (kept.counts, kept.detail, kept.finished_at) == ({"seen": 2}, "2 seen", 4.0)
    assert store.syncs.run(999) is None


def test_old_runs_are_forgotten_but_the_newest(store: Store) -> None:
    """Also their items; what a provider did last is always known."""
    old = store.syncs.begin("corp", Mode.FULL, ACTOR, 1.0)
    store.syncs.progress(old, {}, [SyncItem("create", "ann", "e")])
    new = store.syncs.begin("corp", Mode.FULL, ACTOR, 2.0)

    assert store.syncs.prune(10.0) == 1
    assert [one.id for one in store.syncs.runs()] == [new]
    assert store.syncs.items(old) == []


def test_conflicts_stay_until_they_are_settled(store: Store) -> None:
    """One that is found again keeps the time when it was first seen."""
    first, second = (SyncConflict("corp", f"e-{name}", name, "taken", since=1.0) for name in "ab")
    store.syncs.settle_conflicts("corp", [first, second], [])
    store.syncs.settle_conflicts("corp", [SyncConflict("corp", "e-a", "a", "still", since=9.0)], ["e-b"])
    store.syncs.settle_conflicts("lab", [SyncConflict("lab", "e-a", "z", "taken")], [])

    assert [(one.external_id, one.reason, one.since) for one in store.syncs.conflicts("corp")] == [
        ("e-a", "still", 1.0)
    ]
    assert [one.provider for one in store.syncs.conflicts()] == ["corp", "lab"]
