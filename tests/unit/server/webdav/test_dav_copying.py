"""COPY, MOVE and DELETE: nothing is lost, whatever fails (RFC 4918 sections 9.6 to 9.9)."""

from __future__ import annotations

import pytest

from server.webdav import trees
from storage.database.store import Store
from storage.files.errors import NoSpace, StorageUnavailable
from storage.files.memory import MemoryFilesystem
from storage.files.mounts import MountTable, Rule
from storage.files.path import VirtualPath
from storage.files.permissions import PRESETS, Right
from storage.files.workspace import Workspace
from tests.support.dav_site import DavUser, Response, Site


def copy(user: DavUser, source: str, target: str, **headers: str) -> Response:
    return user.request("COPY", source, {"Destination": f"https://files.example/dav{target}", **headers})


def move(user: DavUser, source: str, target: str, **headers: str) -> Response:
    return user.request("MOVE", source, {"Destination": f"https://files.example/dav{target}", **headers})


def plant(user: DavUser, top: str) -> None:
    """A directory with a file, and a directory with a file in it."""
    user.mkdir(top)
    user.put(f"{top}/a", b"A")
    user.mkdir(f"{top}/sub")
    user.put(f"{top}/sub/b", b"B")


@pytest.mark.parametrize("verb", [copy, move])
def test_a_file_goes_to_a_new_place_and_over_an_old_one(site: Site, verb: object) -> None:
    """201 for a new destination, 204 for a replaced one."""
    assert callable(verb)
    site.anna.put("/x", b"new")
    site.anna.put("/old", b"old")

    assert verb(site.anna, "/x", "/y").status == 201
    site.anna.put("/x", b"newer")
    assert verb(site.anna, "/x", "/old").status == 204
    assert [site.anna.get("/y"), site.anna.get("/old")] == [b"new", b"newer"]
    assert (verb is copy) == site.anna.exists("/x")


@pytest.mark.parametrize("verb", [copy, move])
def test_overwrite_f_keeps_the_destination(site: Site, verb: object) -> None:
    """412, and both stay."""
    assert callable(verb)
    site.anna.put("/x", b"new")
    site.anna.put("/old", b"old")

    assert verb(site.anna, "/x", "/old", Overwrite="F").status == 412
    assert [site.anna.get("/x"), site.anna.get("/old")] == [b"new", b"old"]


@pytest.mark.parametrize(("target", "status"), [("/none/y", 409), ("/x", 403), ("/d", 403), ("/d/sub/c", 403)])
@pytest.mark.parametrize("verb", [copy, move])
def test_impossible_destinations_are_refused(site: Site, verb: object, target: str, status: int) -> None:
    """Without a parent, onto itself, over what holds it, or into itself: nothing changes."""
    assert callable(verb)
    site.anna.put("/x", b"1")
    plant(site.anna, "/d")
    source = "/x" if target in {"/x", "/none/y"} else "/d" if target == "/d/sub/c" else "/d/a"

    assert status == verb(site.anna, source, target).status
    assert {"x", "d", "shared"} == site.anna.names("/")
    assert site.anna.get("/d/a") == b"A"


def test_a_tree_is_copied_whole_or_without_members(site: Site) -> None:
    """Depth infinity and Depth 0."""
    plant(site.anna, "/d")

    assert copy(site.anna, "/d", "/deep").status == 201
    assert copy(site.anna, "/d", "/flat", Depth="0").status == 201
    assert [site.anna.get("/deep/a"), site.anna.get("/deep/sub/b")] == [b"A", b"B"]
    assert set() == site.anna.names("/flat")
    assert copy(site.anna, "/d", "/x", Depth="1").status == 400
    assert move(site.anna, "/d", "/x", Depth="0").status == 400


@pytest.mark.parametrize("verb", [copy, move])
def test_trees_are_replaced_not_merged(site: Site, verb: object) -> None:
    """RFC 4918 9.8.4: what only the old tree had is gone, and no helper name stays behind."""
    assert callable(verb)
    plant(site.anna, "/d")
    site.anna.mkdir("/old")
    site.anna.put("/old/only", b"1")

    assert verb(site.anna, "/d", "/old").status == 204
    assert {"a", "sub"} == site.anna.names("/old")
    assert {"old", "shared", *(["d"] if verb is copy else [])} == site.anna.names("/")


@pytest.mark.parametrize("verb", [copy, move])
def test_a_file_replaces_a_tree_and_a_tree_a_file(site: Site, verb: object) -> None:
    """The kinds may differ."""
    assert callable(verb)
    plant(site.anna, "/d")
    site.anna.put("/x", b"1")
    assert verb(site.anna, "/x", "/d").status == 204
    assert site.anna.get("/d") == b"1"

    plant(site.anna, "/e")
    assert verb(site.anna, "/e", "/d").status == 204
    assert site.anna.get("/d/sub/b") == b"B"


@pytest.mark.parametrize("verb", [copy, move])
@pytest.mark.parametrize(("source", "target"), [("/x", "/old"), ("/d", "/tree"), ("/x", "/tree"), ("/d", "/old")])
def test_a_failure_loses_neither_side(
    site: Site, monkeypatch: pytest.MonkeyPatch, verb: object, source: str, target: str
) -> None:
    """WsgiDAV deletes the destination before it begins; here a disk that fills up changes nothing."""
    assert callable(verb)
    site.anna.put("/x", b"1")
    plant(site.anna, "/d")
    site.anna.put("/old", b"old")
    site.anna.mkdir("/tree")
    site.anna.put("/tree/kept", b"kept")
    rename = Workspace.rename

    def failing_rename(self: Workspace, here: VirtualPath, there: VirtualPath, *, replace: bool) -> None:
        if str(there) == target and not here.name.startswith(".replaced-"):
            raise StorageUnavailable
        rename(self, here, there, replace=replace)

    def failing_copy(*_: object, **__: object) -> None:
        raise NoSpace

    monkeypatch.setattr(Workspace, "rename", failing_rename)
    monkeypatch.setattr(Workspace, "copy_file", failing_copy)
    response = verb(site.anna, source, target)
    monkeypatch.undo()

    assert response.status in {207, 503, 507}
    assert {"x", "d", "old", "tree", "shared"} == site.anna.names("/")
    assert [site.anna.get(path) for path in ("/x", "/d/a", "/old", "/tree/kept")] == [b"1", b"A", b"old", b"kept"]


def test_a_copy_that_fails_in_part_says_which_members(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """207 with the member's own status; the others are there."""
    plant(site.anna, "/d")
    real = Workspace.copy_file

    def failing(self: Workspace, source: VirtualPath, target: VirtualPath, *, replace: bool) -> object:
        if source.name == "b":
            raise NoSpace
        return real(self, source, target, replace=replace)

    monkeypatch.setattr(Workspace, "copy_file", failing)
    response = copy(site.anna, "/d", "/e")

    assert response.status == 207
    assert response.statuses() == {"/dav/d/sub/b": 507}
    assert site.anna.get("/e/a") == b"A"


def test_a_tree_moves_between_mounts(site: Site) -> None:
    """There it must be copied and removed; properties come along."""
    plant(site.anna, "/d")
    site.anna.store.properties.change("home:anna", "/d/sub/b", [("{urn:x}p", "<p/>")])

    assert move(site.anna, "/d", "/shared/d").status == 201
    assert site.ben.get("/shared/d/sub/b") == b"B"
    assert not site.anna.exists("/d")
    assert site.anna.store.properties.at("folder:shared", "/d/sub/b") == {"{urn:x}p": "<p/>"}
    assert site.anna.store.properties.at("home:anna", "/d/sub/b") == {}


def test_properties_follow_and_go(site: Site) -> None:
    """COPY copies them, MOVE takes them along, DELETE ends them, and a replaced file's do not stay."""
    table = site.anna.store.properties
    site.anna.put("/x", b"1")
    site.anna.put("/old", b"1")
    table.change("home:anna", "/x", [("{urn:x}p", "<p>1</p>")])
    table.change("home:anna", "/old", [("{urn:x}q", "<q/>")])

    copy(site.anna, "/x", "/old")
    move(site.anna, "/x", "/y")
    assert [table.at("home:anna", "/old"), table.at("home:anna", "/y")] == [{"{urn:x}p": "<p>1</p>"}] * 2
    assert table.at("home:anna", "/x") == {}
    site.anna.request("DELETE", "/y")
    assert table.at("home:anna", "/y") == {}


def test_a_new_file_does_not_inherit_what_another_protocol_left(site: Site) -> None:
    """A file that SFTP removed leaves rows behind; the next one of this name starts without them."""
    site.anna.put("/x", b"1")
    site.anna.store.properties.change("home:anna", "/x", [("{urn:x}p", "<p/>")])
    site.anna.workspace.remove(VirtualPath.parse("/x"))

    assert site.anna.request("PUT", "/x", body="2").status == 201
    assert site.anna.store.properties.at("home:anna", "/x") == {}


def test_deleting_a_tree_leaves_what_others_locked(site: Site) -> None:
    """207 names the locked member; it and its folders stay, the rest is gone."""
    plant(site.anna, "/shared/d")
    site.anna.lock("/shared/d/sub/b")

    response = site.ben.request("DELETE", "/shared/d")

    assert response.status == 207
    assert response.statuses() == {"/dav/shared/d/sub/b": 423}
    assert {"sub"} == site.ben.names("/shared/d")
    assert site.ben.get("/shared/d/sub/b") == b"B"


def test_deleting_a_tree_leaves_what_the_user_may_not_delete(sqlite_store: Store) -> None:
    """The same for rights that differ below."""
    shared = MemoryFilesystem()
    user = DavUser(sqlite_store, "anna", shared)
    plant(user, "/d")
    table = user.workspace._state.access.table
    rules = [
        Rule(VirtualPath(), PRESETS["full"], frozenset()),
        Rule(VirtualPath.parse("/d/sub"), frozenset(Right), frozenset({Right.DELETE})),
    ]
    user.workspace.replace_mounts(MountTable(table.mounts, rules))

    response = user.request("DELETE", "/d")

    assert response.status == 207
    assert {"sub"} == user.names("/d")
    assert user.get("/d/sub/b") == b"B"
    assert max(response.statuses().values()) == 403


def test_one_request_touches_only_so_many_files(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree beyond the cap is 507 instead of an hour of one thread."""
    monkeypatch.setattr(trees.Budget.__init__, "__defaults__", (3,))
    plant(site.anna, "/d")
    site.anna.put("/d/c", b"C")

    assert copy(site.anna, "/d", "/e").status == 507


@pytest.mark.parametrize(("depth", "status"), [("0", 400), ("1", 400), ("infinity", 204)])
def test_delete_of_a_tree_is_always_deep(site: Site, depth: str, status: int) -> None:
    """RFC 4918 9.6.1."""
    plant(site.anna, "/d")

    assert status == site.anna.request("DELETE", "/d", {"Depth": depth}).status


def test_the_root_and_mounts_stay(site: Site) -> None:
    """Nobody removes or moves the ground they stand on."""
    assert site.anna.request("DELETE", "/shared").status == 403
    assert site.anna.request("DELETE", "/").status in {403, 207}
    assert move(site.anna, "/shared", "/elsewhere").status == 403
    assert site.anna.exists("/shared")


@pytest.mark.parametrize("overwrite", ["X", "TF"])
def test_nonsense_headers_are_refused(site: Site, overwrite: str) -> None:
    """What cannot be read must not count as permission to overwrite."""
    site.anna.put("/x", b"1")

    assert copy(site.anna, "/x", "/y", Overwrite=overwrite).status == 400
    assert site.anna.request("COPY", "/x").status == 400
    assert site.anna.request("COPY", "/x", {"Destination": "https://elsewhere/dav/y"}).status == 502
    assert copy(site.anna, "/none", "/y").status == 404
