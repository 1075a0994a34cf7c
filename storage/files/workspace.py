"""Workspace: one session's tree of files, and the verbs that every front end calls."""

from __future__ import annotations

import time
from collections.abc import Iterator

from storage.files import links, listing, moves, trees
from storage.files.access import Access
from storage.files.api import Entry, Space, Stat, WriteMode
from storage.files.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    IsADirectory,
    Locked,
    NotADirectory,
    NotFound,
    PermissionDenied,
)
from storage.files.events import EventKind, Observer
from storage.files.mounts import MountTable
from storage.files.path import VirtualPath
from storage.files.permissions import Right
from storage.files.readers import SessionReader
from storage.files.session_state import SessionState
from storage.files.uploads import Terms, Upload


class Workspace:
    """One user's tree for one session: path, right, quota, liveness, then the backend. Thread-safe.

    Every verb raises SessionEnded after :meth:`end`, and only subclasses of StorageError. The
    session's own uploads in flight answer ``stat``, ``scan``, ``rename``, ``set_times`` and
    ``truncate`` under their path; nobody else sees them. With CREATE but without LIST (a drop
    box), the session may still stat, list, resume, rename and overwrite what it made itself.
    """

    def __init__(
        self,
        mounts: MountTable,
        *,
        read_only: bool = False,
        path_prefixes: tuple[VirtualPath, ...] = (),
        max_open_files: int = 256,
        observer: Observer | None = None,
        allow_symlinks: bool = False,
        allow_hard_links: bool = False,
    ) -> None:
        self._read_only = read_only
        self._prefixes = path_prefixes
        self._allow_symlinks = allow_symlinks
        self._allow_hard_links = allow_hard_links
        self._opened_ns = time.time_ns()
        self._state = SessionState(self._view(mounts), max_open_files, observer)
        self._state.renamer = self.rename

    @property
    def ended(self) -> str | None:
        """Why the session ended; None while it lives."""
        return self._state.ended

    def end(self, reason: str) -> None:
        """Abort every upload, close every reader, and refuse everything from now on; idempotent.

        Operations that are inside a handle finish first; they are waited for up to a second.
        """
        self._state.end(reason)

    def replace_mounts(self, mounts: MountTable) -> None:
        """Go on with other mounts and rights; handles that lost theirs are cut off at once."""
        self._state.adopt(self._view(mounts))

    # Questions -------------------------------------------------------------------------------------

    def may(self, path: VirtualPath, right: Right) -> bool:
        """Whether the session has a right at ``path``."""
        return self._state.ended is None and right in self._state.access.rights(path)

    def require(self, path: VirtualPath, right: Right) -> None:
        """Raise unless the session has a right at ``path``."""
        self._state.live().require(path, right)

    def may_describe(self, path: VirtualPath) -> bool:
        """Whether the session may change what is told about a place: its times and WebDAV properties."""
        return self.may(path, Right.SET_TIMES) or self._is_own(self._state.live(), path)

    def place(self, path: VirtualPath) -> tuple[str, VirtualPath]:
        """Give the tree's name and the path inside it: one place, whoever sees it and under which path."""
        mount, inner = self._state.live().locate(path)
        return mount.tree, inner

    def stat(self, path: VirtualPath, *, committed: bool = False) -> Stat:
        """Facts about what is at ``path``, the session's own upload in flight first unless ``committed``.

        ``committed`` is for protocols without sessions (HTTP), whose clients expect to see a file
        only once it is whole.
        """
        access = self._state.live()
        upload = None if committed else self._state.uploads.at(path)
        if upload is not None:
            return upload.stat()
        if access.synthetic(path):
            return listing.synthetic_stat(access, path, self._opened_ns)
        mount, inner = access.locate(path)
        stat = mount.filesystem.stat(inner)
        rights = access.rights(path)
        if stat.is_directory or rights & {Right.LIST, Right.READ} or self._state.own.has(path, stat):
            return stat
        raise (PermissionDenied if rights else NotFound)(f"no right to see {path}")

    def exists(self, path: VirtualPath) -> bool:
        """Whether something is at ``path``, as far as the session may know of the place."""
        try:
            self.stat(path)
        except (NotFound, NotADirectory):
            return False
        except PermissionDenied:  # somebody else's file in a drop box: its name is taken
            return True
        return True

    def scan(self, path: VirtualPath, *, committed: bool = False) -> Iterator[Entry]:
        """List a directory in no set order, with the session's own uploads in flight unless ``committed``.

        Errors come at once, not at the first entry.
        """
        access = self._state.live()
        if not committed and self._state.uploads.at(path) is not None:
            raise NotADirectory(str(path))
        return listing.scan(self._state, access, path, self._opened_ns, committed=committed)

    def pending(self, path: VirtualPath) -> Upload | None:
        """Give this session's own upload in flight or parked at ``path``."""
        return self._state.uploads.at(path)

    def space(self, path: VirtualPath) -> Space:
        """Bytes in all, used and free at ``path``: the quota's if there is one, else the disk's."""
        access = self._state.live()
        found = access.table.find(path)
        if found is None or not access.visible(path):
            if access.synthetic(path):
                return Space(0, 0, 0)
            raise NotFound(str(path))
        mount, _ = found
        disk = mount.filesystem.space()
        if mount.quota is None:
            return disk
        return Space(mount.quota.limit, mount.quota.used, min(mount.quota.available, disk.available))

    # Files -----------------------------------------------------------------------------------------

    def open_reader(self, path: VirtualPath) -> SessionReader:
        """Open a file to read from."""
        access = self._state.live()
        if access.synthetic(path):
            raise IsADirectory(str(path))
        mount, inner = access.require(path, Right.READ)
        with self._state.slot():
            reader = mount.filesystem.open_reader(inner)
            return self._state.keep_reader(SessionReader(self._state, path, mount, reader))

    def open_writer(self, path: VirtualPath, mode: WriteMode) -> Upload:
        """Start an upload, or with RESUME go on with one of this session's that was parked.

        A new file needs CREATE; an existing one OVERWRITE, or for RESUME at least APPEND, which
        then may only add to its end. With CREATE alone, a file that somebody else puts there
        meanwhile is not replaced: ``commit`` raises AlreadyExists.
        """
        access = self._state.live()
        if access.synthetic(path) or access.table.is_mount_point(path):
            raise IsADirectory(str(path))
        parked = self._take_parked(path, mode)
        if parked is not None:
            return self._state.keep_upload(parked)
        mount, inner = access.require(path)
        present = self._peek(access, path)
        if present is not None and present.is_directory:
            raise IsADirectory(str(path))
        if present is not None and mode is WriteMode.CREATE:
            raise AlreadyExists(str(path))
        needs, floor = self._needs(access, path, mode, present)
        access.require(path, *needs)
        never_replace = present is None and Right.OVERWRITE not in access.rights(path)
        own = present is None or mode is WriteMode.REPLACE or self._state.own.has(path, present)
        terms = Terms(
            mount,
            inner,
            needs,
            floor=floor,
            base=present.size if present else 0,
            own=own,
            in_place=mode is WriteMode.IN_PLACE,
            readable=own or self.may(path, Right.READ),
        )
        with self._state.slot():
            if never_replace and mode is WriteMode.IN_PLACE:
                mount.filesystem.open_writer(inner, WriteMode.CREATE).commit()
            elif never_replace:
                mode = WriteMode.CREATE
            writer = mount.filesystem.open_writer(inner, mode)
            return self._state.keep_upload(Upload(self._state, path, writer, terms))

    def remove(self, path: VirtualPath) -> None:
        """Remove a file or a link; an upload of this session that is in flight there is aborted."""
        access = self._state.live()
        upload = self._state.uploads.at(path)
        if upload is not None:
            access.require(path, *upload.terms.needs)
            upload.abort_for_removal()
            if not self._committed(access, path):
                return
        if access.synthetic(path) or access.table.is_mount_point(path):
            raise IsADirectory(str(path))
        mount, inner = access.require(path, Right.DELETE)
        freed = mount.filesystem.usage(inner) if mount.quota else 0
        mount.filesystem.remove(inner)
        if mount.quota:
            mount.quota.charge(-freed)
        self._state.tell(EventKind.REMOVED, path, mount)

    def truncate(self, path: VirtualPath, size: int) -> None:
        """Cut or extend a file: the session's own upload in flight, or the live one."""
        access = self._state.live()
        upload = self._state.uploads.at(path)
        if upload is not None:
            upload.truncate(size)
            return
        mount, inner = access.require(path)
        own = self._is_own(access, path)
        if Right.OVERWRITE not in access.rights(path) and not own:
            access.require(path, Right.OVERWRITE)
        grown = size - mount.filesystem.stat(inner).size if mount.quota else 0
        if mount.quota:
            mount.quota.charge(grown)
        try:
            mount.filesystem.truncate(inner, size)
        except BaseException:
            if mount.quota:
                mount.quota.charge(-grown, forced=True)
            raise
        if own:
            self._state.own.changed(path, mount.filesystem.stat(inner))

    def set_times(self, path: VirtualPath, modified_ns: int | None, accessed_ns: int | None) -> None:
        """Set times; None leaves one as it is. What the session uploaded itself needs no further right."""
        access = self._state.live()
        upload = self._state.uploads.at(path)
        if upload is not None:
            upload.set_times(modified_ns, accessed_ns)
            return
        if access.synthetic(path):
            raise PermissionDenied(f"{path} is above a mount")
        mount, inner = access.require(path)
        own = self._is_own(access, path)
        if Right.SET_TIMES not in access.rights(path) and not own:
            access.require(path, Right.SET_TIMES)
        mount.filesystem.set_times(inner, modified_ns, accessed_ns)
        if own:
            self._state.own.changed(path, mount.filesystem.stat(inner))

    def copy_file(self, source: VirtualPath, target: VirtualPath, *, replace: bool) -> Stat:
        """Copy a file's bytes and modification time; atomic at the target."""
        return trees.copy_file(self, source, target, replace=replace)

    # Directories -----------------------------------------------------------------------------------

    def mkdir(self, path: VirtualPath) -> None:
        """Make one directory."""
        access = self._state.live()
        if access.synthetic(path) or access.table.is_mount_point(path) or self._state.uploads.at(path) is not None:
            raise AlreadyExists(str(path))
        mount, inner = access.require(path, Right.MAKE_DIRECTORY)
        mount.filesystem.mkdir(inner)
        if Right.LIST not in access.rights(path):
            self._state.remember(path, mount.filesystem.stat(inner))
        self._state.tell(EventKind.MADE_DIRECTORY, path, mount)

    def rmdir(self, path: VirtualPath) -> None:
        """Remove an empty directory; parked uploads of this session into it are given up."""
        access = self._state.live()
        if access.is_fixed(path):
            raise PermissionDenied(f"{path} is a mount or above one")
        mount, inner = access.require(path, Right.DELETE)
        for upload in self._state.uploads.within(path):
            if not upload.parked:
                raise DirectoryNotEmpty(str(path))
            upload.abort_for_removal()
        mount.filesystem.rmdir(inner)
        self._state.tell(EventKind.REMOVED_DIRECTORY, path, mount)

    def remove_tree(self, path: VirtualPath) -> None:
        """Remove a file, or a directory with all in it; refused as a whole if a right is missing below."""
        access = self._state.live()
        if access.is_fixed(path) or access.missing_below(path, Right.DELETE):
            raise PermissionDenied(f"no right to delete all of {path}")
        trees.remove_tree(self._state, access, path)

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool) -> None:
        """Move atomically within one mount; uploads of this session at or below ``source`` follow."""
        moves.rename(self._state, self._state.live(), source, target, replace=replace)

    # Links -----------------------------------------------------------------------------------------

    def symlink(self, target_text: str, path: VirtualPath) -> None:
        """Make a symbolic link to a place of the same mount; Unsupported unless the site allows it."""
        links.symlink(self._state, target_text, path, allowed=self._allow_symlinks)

    def read_link(self, path: VirtualPath) -> str:
        """Give the text of a symbolic link; Unsupported unless the site allows links."""
        return links.read_link(self._state, path, allowed=self._allow_symlinks)

    def link_text(self, path: VirtualPath) -> str | None:
        """Give the text of what is a symbolic link, else None; where links are off they are what they lead to."""
        return links.link_text(self._state, path, allowed=self._allow_symlinks)

    def hard_link(self, source: VirtualPath, path: VirtualPath) -> None:
        """Give a file a further name in the same mount; Unsupported unless the site allows it."""
        links.hard_link(self._state, source, path, allowed=self._allow_hard_links)

    # Inside ----------------------------------------------------------------------------------------

    def _view(self, mounts: MountTable) -> Access:
        return Access(mounts, read_only=self._read_only, prefixes=self._prefixes)

    def _peek(self, access: Access, path: VirtualPath) -> Stat | None:
        mount, inner = access.require(path)
        try:
            return mount.filesystem.stat(inner)
        except NotFound:
            return None

    def _committed(self, access: Access, path: VirtualPath) -> bool:
        return self._peek(access, path) is not None

    def _is_own(self, access: Access, path: VirtualPath) -> bool:
        present = self._peek(access, path)
        return present is not None and Right.CREATE in access.rights(path) and self._state.own.has(path, present)

    def _needs(
        self, access: Access, path: VirtualPath, mode: WriteMode, present: Stat | None
    ) -> tuple[frozenset[Right], int]:
        """Say which rights an upload needs, and before which byte it may not write."""
        rights = access.rights(path)
        if present is None or (Right.CREATE in rights and self._state.own.has(path, present)):
            return frozenset({Right.CREATE}), 0
        if mode is WriteMode.RESUME and Right.OVERWRITE not in rights:
            return frozenset({Right.APPEND}), present.size
        return frozenset({Right.OVERWRITE}), 0

    def _take_parked(self, path: VirtualPath, mode: WriteMode) -> Upload | None:
        upload = self._state.uploads.at(path)
        if upload is None:
            return None
        match mode:
            case WriteMode.CREATE:
                raise AlreadyExists(f"an upload to {path} is in flight")
            case WriteMode.REPLACE:
                if upload.parked:
                    upload.abort_for_removal()
                return None
            case WriteMode.RESUME | WriteMode.IN_PLACE:
                if not upload.parked:
                    raise Locked(f"an upload to {path} is in flight")
                heir = upload.successor()
                self._state.uploads.discard(upload)
                return heir
