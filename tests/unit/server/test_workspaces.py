"""Workspaces: from users, folders and grants to a tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auth_backends.api import Factor, Principal
from config.settings import Settings
from server.workspaces import Workspaces
from storage.database.changes import AddMember, CreateFolder, CreateGroup, CreateUser, PutGrant, UpdateUser, UserFields
from storage.database.records import Method, Owner, User
from storage.database.store import Store
from storage.files.api import WriteMode
from storage.files.errors import NotFound, PermissionDenied, QuotaExceeded, TooManyOpen, Unsupported
from storage.files.events import FileEvent
from storage.files.path import VirtualPath
from storage.files.permissions import ALL_RIGHTS, PRESETS, READ_ONLY
from storage.files.workspace import Workspace


class Silent:
    """An observer that keeps nothing."""

    def happened(self, event: FileEvent) -> None:
        """Take no note."""


@pytest.fixture
def workspaces(sqlite_store: Store, tmp_path: Path) -> Workspaces:
    return Workspaces(sqlite_store, Settings(data=tmp_path / "data"))


@pytest.fixture
def ada(sqlite_store: Store) -> User:
    sqlite_store.apply(CreateUser("ada", Method.LOCAL), actor="test")
    return user(sqlite_store)


def user(store: Store) -> User:
    found = store.users.by_name("ada")
    assert found is not None
    return found


def folder(store: Store, place: Path, name: str = "shared") -> str:
    place.mkdir(exist_ok=True)
    return store.apply(CreateFolder(name, "local", {"root": str(place)}, None), actor="test").subject_id


def opened(workspaces: Workspaces, who: User, **limits: object) -> Workspace:
    facts: dict[str, object] = {"factor": Factor.PASSWORD, "credential_id": None}
    return workspaces.open(Principal(user=who, **(facts | limits)), Silent())  # type: ignore[arg-type]  # the test's own


def write(workspace: Workspace, path: str, data: bytes) -> None:
    with workspace.open_writer(VirtualPath.parse(path), WriteMode.REPLACE) as writer:
        writer.write_at(0, data)
        writer.commit()


def test_the_home_is_made_private_on_first_use(workspaces: Workspaces, ada: User, tmp_path: Path) -> None:
    """Nobody else on the machine may look into it, and what is written is there."""
    home = tmp_path / "data" / "files" / "home" / ada.home
    before = home.exists()
    write(opened(workspaces, ada), "/file", b"mine")

    assert not before
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "file").read_bytes() == b"mine"


def test_a_grant_to_a_group_mounts_its_folder(
    workspaces: Workspaces, ada: User, sqlite_store: Store, tmp_path: Path
) -> None:
    """Members see the folder deep in their tree, with the grant's rights and no more."""
    shared = folder(sqlite_store, tmp_path / "shared")
    (tmp_path / "shared" / "plan").write_bytes(b"plan")
    group = sqlite_store.apply(CreateGroup("team"), actor="test").subject_id
    sqlite_store.apply(AddMember(ada.id, group, Owner.MANUAL), actor="test")
    sqlite_store.apply(PutGrant("/teams/a", READ_ONLY, group_id=group, folder_id=shared), actor="test")
    workspace = opened(workspaces, ada)

    assert {entry.name for entry in workspace.scan(VirtualPath.parse("/teams"))} == {"a"}
    assert workspace.open_reader(VirtualPath.parse("/teams/a/plan")).read_at(0, 10) == b"plan"
    with pytest.raises(PermissionDenied):
        write(workspace, "/teams/a/plan", b"changed")


def test_a_grant_at_the_root_narrows_the_home(workspaces: Workspaces, ada: User, sqlite_store: Store) -> None:
    """With an allowance at "/" the home has these rights and not all; with a ban alone it has the rest."""
    sqlite_store.apply(PutGrant("/", PRESETS["read-only"], user_id=ada.id), actor="test")
    narrowed = workspaces.mounts_for(ada).rights_at(VirtualPath())
    sqlite_store.apply(PutGrant("/", frozenset(), deny=frozenset({"delete"}), user_id=ada.id), actor="test")
    banned = workspaces.mounts_for(ada).rights_at(VirtualPath())

    assert narrowed == READ_ONLY
    assert banned == ALL_RIGHTS - {"delete"}


def test_a_folder_at_the_root_takes_the_place_of_the_home(
    workspaces: Workspaces, ada: User, sqlite_store: Store, tmp_path: Path
) -> None:
    """A service account may live in a shared folder alone."""
    shared = folder(sqlite_store, tmp_path / "shared")
    sqlite_store.apply(PutGrant("/", PRESETS["full"], user_id=ada.id, folder_id=shared), actor="test")
    write(opened(workspaces, ada), "/file", b"x")

    assert (tmp_path / "shared" / "file").read_bytes() == b"x"


def test_a_folder_that_is_gone_leaves_the_rest(
    workspaces: Workspaces, ada: User, sqlite_store: Store, tmp_path: Path
) -> None:
    """A missing disk is not there, and the home is served all the same."""
    shared = folder(sqlite_store, tmp_path / "shared")
    sqlite_store.apply(PutGrant("/shared", PRESETS["full"], user_id=ada.id, folder_id=shared), actor="test")
    (tmp_path / "shared").rmdir()
    workspace = opened(workspaces, ada)
    write(workspace, "/file", b"x")

    with pytest.raises(NotFound):
        workspace.stat(VirtualPath.parse("/shared"))


def test_the_limits_of_an_api_key_hold(workspaces: Workspaces, ada: User) -> None:
    """A read-only key writes nothing; a key with a prefix sees nothing beside it."""
    write(opened(workspaces, ada), "/file", b"x")
    read_only = opened(workspaces, ada, read_only=True)
    elsewhere = opened(workspaces, ada, path_prefixes=("/inside",))

    with pytest.raises(PermissionDenied):
        write(read_only, "/file", b"y")
    with pytest.raises((NotFound, PermissionDenied)):
        elsewhere.stat(VirtualPath.parse("/file"))


def test_sessions_share_one_quota(workspaces: Workspaces, ada: User, sqlite_store: Store) -> None:
    """What one session wrote counts in the other."""
    sqlite_store.apply(UpdateUser(ada.id, UserFields(quota_bytes=100)), actor="test")
    present = user(sqlite_store)
    first, second = opened(workspaces, present), opened(workspaces, present)
    write(first, "/a", bytes(80))

    with pytest.raises(QuotaExceeded):
        write(second, "/b", bytes(80))


def test_sweeping_reaches_homes_and_folders(
    workspaces: Workspaces, ada: User, sqlite_store: Store, tmp_path: Path
) -> None:
    """Every place that may hold a dead worker's temporary files is named; a link to elsewhere is not followed."""
    opened(workspaces, ada)
    folder(sqlite_store, tmp_path / "shared")
    (tmp_path / "data" / "files" / "home" / "link").symlink_to(tmp_path)

    assert len(list(workspaces.filesystems())) == 2


def test_links_are_off_unless_the_site_allows_them(sqlite_store: Store, ada: User, tmp_path: Path) -> None:
    """``files.allow_symlinks`` and ``files.allow_hard_links`` reach the session's tree, each for itself."""
    file, link = VirtualPath.parse("/file"), VirtualPath.parse("/link")

    def tree(site: str, **files: bool) -> Workspace:
        settings = Settings.model_validate({"data": tmp_path / site, "files": files})
        workspace = opened(Workspaces(sqlite_store, settings), ada)
        write(workspace, "/file", b"x")
        return workspace

    symbolic, hard, neither = tree("a", allow_symlinks=True), tree("b", allow_hard_links=True), tree("c")
    symbolic.symlink("file", link)
    hard.hard_link(file, link)

    for workspace in (hard, neither):
        with pytest.raises(Unsupported):
            workspace.symlink("file", VirtualPath.parse("/other"))
    for workspace in (symbolic, neither):
        with pytest.raises(Unsupported):
            workspace.hard_link(file, VirtualPath.parse("/other"))
    assert (symbolic.stat(link).size, hard.stat(link).size) == (1, 1)


def test_durability_reaches_the_disk(
    sqlite_store: Store, ada: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``files.durability = strict`` syncs an upload and its directory before the commit ends; ``fast`` nothing."""
    synced: dict[str, list[int]] = {"fast": [], "strict": []}
    for durability, calls in synced.items():
        settings = Settings.model_validate({"data": tmp_path / durability, "files": {"durability": durability}})
        workspace = opened(Workspaces(sqlite_store, settings), ada)
        monkeypatch.setattr(os, "fsync", calls.append)
        write(workspace, "/file", b"x")

    assert {durability: len(calls) for durability, calls in synced.items()} == {"fast": 0, "strict": 2}


def test_open_files_are_limited_as_the_site_says(sqlite_store: Store, ada: User, tmp_path: Path) -> None:
    """``files.max_open_files`` counts what one session has open."""
    settings = Settings.model_validate({"data": tmp_path / "data", "files": {"max_open_files": 1}})
    workspace = opened(Workspaces(sqlite_store, settings), ada)
    write(workspace, "/file", b"x")
    path = VirtualPath.parse("/file")

    with workspace.open_reader(path), pytest.raises(TooManyOpen):
        workspace.open_reader(path)
