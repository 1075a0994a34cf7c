"""From a user and the grants to the tree of files that a session sees."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from weakref import WeakValueDictionary

import structlog

from auth_backends.api import Principal
from config.settings import Durability, Settings
from storage.database.records import Grant, User
from storage.database.store import Store
from storage.files.api import BackendFactory, Dependencies, Filesystem
from storage.files.errors import InvalidPath, StorageError, StorageUnavailable
from storage.files.events import Observer
from storage.files.mounts import Mount, MountTable, Rule
from storage.files.path import VirtualPath
from storage.files.permissions import ALL_RIGHTS, NO_RIGHTS, Right, parse_rights
from storage.files.quota import Quota, QuotaBook
from storage.files.workspace import Workspace

log = structlog.get_logger(__name__)

ENTRY_POINTS = "quaymaster.storage"
ROOT = VirtualPath()
PRIVATE = 0o700


class Workspaces:
    """Builds trees, and keeps the filesystems and quotas of this process, so that sessions share them.

    Every user has a home at ``/`` with all rights, unless a grant at ``/`` says otherwise; a grant
    of a folder mounts it at the grant's path. A folder that cannot be reached is left out of the
    tree, and the rest is served.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._dependencies = Dependencies(durable=settings.files.durability is Durability.STRICT)
        self._quotas = QuotaBook(settings.data / "quota")
        self._factories = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
        self._lock = threading.Lock()
        # weak: a filesystem holds a descriptor, and homes are many; it stays open while some session or sweep uses it
        self._filesystems: WeakValueDictionary[tuple[str, tuple[tuple[str, str], ...]], Filesystem] = (
            WeakValueDictionary()
        )

    def open(self, principal: Principal, observer: Observer) -> Workspace:
        """Build the workspace of one session. Raises StoreError, or StorageUnavailable if the home cannot be made."""
        files = self._settings.files
        return Workspace(
            self.mounts_for(principal.user),
            read_only=principal.read_only,
            path_prefixes=tuple(VirtualPath.parse(prefix) for prefix in principal.path_prefixes),
            max_open_files=files.max_open_files,
            observer=observer,
            allow_symlinks=files.allow_symlinks,
            allow_hard_links=files.allow_hard_links,
        )

    def mounts_for(self, user: User) -> MountTable:
        """Build the tree of one user from the present rows. Raises like :meth:`open`."""
        grants = sorted(self._store.folders.grants_for(user.id), key=lambda grant: (grant.created_at, grant.id))
        mounts: list[Mount] = []
        rules: list[Rule] = []
        for grant in grants:
            rule = _rule(grant)
            if rule is None:
                continue
            if grant.folder_id is not None:
                mount = self._folder_mount(grant.folder_id, rule.path)
                if mount is None:
                    continue
                mounts.append(mount)
            rules.append(rule)
        mounts.append(self._home_mount(user))  # last: a folder that was granted at "/" takes its place
        if not any(rule.path.is_root and rule.allow for rule in rules):
            rules.append(Rule(ROOT, ALL_RIGHTS))
        return MountTable(mounts, rules)

    def filesystems(self) -> Iterator[Filesystem]:
        """Open every home and every shared folder that can be reached, one after the other, for sweeping."""
        for home in self._settings.homes.iterdir() if self._settings.homes.is_dir() else ():
            if not _is_real_directory(home):
                continue
            try:
                yield self._filesystem("local", {"root": str(home)})
            except (StorageError, OSError) as error:
                log.warning("home.left_out", home=home.name, error=str(error))
        for folder in self._store.folders.list():
            mount = self._folder_mount(folder.id, ROOT)
            if mount is not None:
                yield mount.filesystem

    def _home_mount(self, user: User) -> Mount:
        home = _below(self._settings.homes, user.home)
        try:
            self._settings.homes.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            home.mkdir(mode=PRIVATE, exist_ok=True)
            filesystem = self._filesystem("local", {"root": str(home)})
        except OSError as error:
            raise StorageUnavailable(f"the home of {user.name} cannot be used: {error}") from error
        tree = f"home:{user.id}"
        return Mount(ROOT, filesystem, tree, self._quota(tree, user.quota_bytes, filesystem))

    def _folder_mount(self, folder_id: str, path: VirtualPath) -> Mount | None:
        folder = self._store.folders.by_id(folder_id)
        if folder is None:
            return None
        try:
            filesystem = self._filesystem(folder.backend, folder.options)
        except (StorageError, OSError, ValueError) as error:
            log.warning("folder.left_out", folder=folder.name, error=str(error))
            return None
        tree = f"folder:{folder.id}"
        return Mount(path, filesystem, tree, self._quota(tree, folder.quota_bytes, filesystem))

    def _quota(self, tree: str, limit: int | None, filesystem: Filesystem) -> Quota | None:
        if limit is None:
            return None
        return self._quotas.quota(tree, limit, lambda: filesystem.usage(ROOT))

    def _filesystem(self, backend: str, options: dict[str, str]) -> Filesystem:
        key = (backend, tuple(sorted(options.items())))
        with self._lock:
            filesystem = self._filesystems.get(key)
            if filesystem is None:
                if backend not in self._factories:
                    known = ", ".join(sorted(self._factories))
                    message = f"there is no storage backend {backend!r}; installed are {known}"
                    raise ValueError(message)
                build: BackendFactory = self._factories[backend].load()
                filesystem = self._filesystems[key] = build(options, self._dependencies)
            return filesystem


def _below(homes: Path, name: str) -> Path:
    """Name a home; it is one folder right below the homes folder, whatever the row says."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise StorageUnavailable(f"{name!r} cannot name a home folder")
    return homes / name


def _is_real_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _rule(grant: Grant) -> Rule | None:
    """Read a grant's row. What cannot be read gives nothing: an unknown ban bans all."""
    try:
        path = VirtualPath.parse(grant.path)
    except InvalidPath:
        log.exception("grant.unreadable_path", grant=grant.id)
        return None
    return Rule(path, _rights(grant, grant.allow, NO_RIGHTS), _rights(grant, grant.deny, ALL_RIGHTS))


def _rights(grant: Grant, words: Iterable[str], unreadable: frozenset[Right]) -> frozenset[Right]:
    try:
        return parse_rights(words)
    except ValueError as error:
        log.warning("grant.unreadable_rights", grant=grant.id, error=str(error))
        return unreadable
