"""LocalFilesystem: a directory of the local disk; nothing outside it can be reached."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from storage.files.api import Capability, Dependencies, Entry, Filesystem, Reader, Space, Stat, WriteMode, Writer
from storage.files.confined import Resolver
from storage.files.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    InvalidPath,
    IsADirectory,
    NotADirectory,
    NotFound,
    PermissionDenied,
)
from storage.files.local_handles import LocalReader, sync_directory
from storage.files.local_places import Places, Spot, shown_name, to_stat
from storage.files.local_walk import Sweeper, Weigher, sweep_directory, walk
from storage.files.local_writer import open_writer
from storage.files.os_errors import translated
from storage.files.path import VirtualPath
from storage.files.renameat2 import rename_no_replace

_COMMON = frozenset(
    {Capability.IN_PLACE, Capability.FILE_DESCRIPTOR, Capability.HARD_LINK}
    | {Capability.ATOMIC_RENAME, Capability.SET_TIMES}
)


class LocalFilesystem:
    """One root directory. See ``api.Filesystem``; thread-safe.

    Links that stay inside the root are followed (not with the ``Walk`` resolver); all other links,
    FIFOs, sockets, devices, and names that are not UTF-8 are as if they were not there, and are
    never removed or replaced by a client.
    """

    def __init__(self, root: Path, *, durable: bool = False, resolver: Resolver | None = None) -> None:
        self._places = Places(root, resolver)
        self._durable = durable
        links = self._places.resolver.follows_links
        self.capabilities = _COMMON | {Capability.SYMLINK} if links else _COMMON

    def stat(self, path: VirtualPath) -> Stat:
        """Facts about what is at ``path``."""
        with translated(path):
            return to_stat(self._places.facts(path))

    def is_link(self, path: VirtualPath) -> bool:
        """Whether the name itself is a symbolic link."""
        if path.is_root:
            return False
        try:
            with translated(path), self._places.spot(path) as spot:
                return spot.facts is not None and stat.S_ISLNK(spot.facts.st_mode)
        except (NotFound, NotADirectory):
            return False

    def scan(self, path: VirtualPath) -> Iterator[Entry]:
        """List a directory, one stat for each entry."""
        with translated(path):
            fd = self._places.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
        entries = self._entries(fd, path)
        next(entries)  # from here on the generator closes the descriptor, whether it is used up or dropped
        return entries  # type: ignore[return-value]  # its first item, the only None, has been taken

    def _entries(self, fd: int, path: VirtualPath) -> Iterator[Entry | None]:
        try:
            yield None
            with translated(path), os.scandir(fd) as entries:
                for each in entries:
                    entry = self._entry(fd, each, path)
                    if entry is not None:
                        yield entry
        finally:
            os.close(fd)

    def _entry(self, fd: int, each: os.DirEntry[str], path: VirtualPath) -> Entry | None:
        name = shown_name(each.name)
        if name is None:
            return None
        try:
            if name != each.name and _is_there(fd, name):
                return None  # the composed spelling is the one that this name opens
            facts = each.stat(follow_symlinks=False)
            if stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode):
                return Entry(name, to_stat(facts))
            if stat.S_ISLNK(facts.st_mode):
                return Entry(name, to_stat(self._places.facts(path.child(name))), link=True)
        except OSError:  # gone since, or a link that leads nowhere
            return None
        return None

    def open_reader(self, path: VirtualPath) -> Reader:
        """Open a file to read from."""
        with translated(path):
            return LocalReader(self._places.open_file(path, os.O_RDONLY))

    def open_writer(self, path: VirtualPath, mode: WriteMode) -> Writer:
        """Start an upload."""
        if path.is_root:
            raise IsADirectory(str(path))
        with translated(path):
            return open_writer(self._places, path, mode, durable=self._durable)

    def mkdir(self, path: VirtualPath) -> None:
        """Make one directory."""
        if path.is_root:
            raise AlreadyExists(str(path))
        with translated(path), self._places.spot(path) as spot:
            os.mkdir(spot.name, 0o700, dir_fd=spot.parent)
            self._sync(spot)

    def remove(self, path: VirtualPath) -> None:
        """Remove a file or a link."""
        if path.is_root:
            raise IsADirectory(str(path))
        with translated(path), self._places.spot(path) as spot:
            self._check_visible(path, spot)
            _unlink(spot, path)
            self._sync(spot)

    def rmdir(self, path: VirtualPath) -> None:
        """Remove an empty directory, or a link to one."""
        if path.is_root:
            raise PermissionDenied("the root stays")
        with translated(path), self._places.spot(path) as spot:
            facts = self._check_visible(path, spot)
            if stat.S_ISLNK(facts.st_mode):
                if not stat.S_ISDIR(self._places.facts(path).st_mode):
                    raise NotADirectory(str(path))
                _unlink(spot, path)
            else:
                _rmdir(spot)
            self._sync(spot)

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool) -> None:
        """Move a file, a directory or a link."""
        if source.is_root or target.is_root:
            raise PermissionDenied("the root stays")
        with translated(source), self._places.spot(source) as old, self._places.spot(target) as new:
            self._check_visible(source, old)
            if replace:
                self._replace(target, old, new)
            else:
                rename_no_replace(old.parent, old.name, new.parent, new.name)
            self._sync(old)
            self._sync(new)

    def _replace(self, target: VirtualPath, old: Spot, new: Spot) -> None:
        if new.facts is not None and not self._places.is_visible(target, new):
            raise AlreadyExists(f"{target} is something that is not shown")
        try:
            os.rename(old.name, new.name, src_dir_fd=old.parent, dst_dir_fd=new.parent)
        except FileExistsError as error:  # what some filesystems say instead of ENOTEMPTY
            raise DirectoryNotEmpty(str(target)) from error

    def set_times(self, path: VirtualPath, modified_ns: int | None, accessed_ns: int | None) -> None:
        """Set times."""
        with translated(path):
            facts = self._places.facts(path)
            times = (
                facts.st_atime_ns if accessed_ns is None else accessed_ns,
                facts.st_mtime_ns if modified_ns is None else modified_ns,
            )
            fd = self._places.open(path, os.O_PATH)
            try:
                os.utime(f"/proc/self/fd/{fd}", ns=times)
            finally:
                os.close(fd)

    def truncate(self, path: VirtualPath, size: int) -> None:
        """Cut or extend the live file."""
        with translated(path):
            fd = self._places.open_file(path, os.O_WRONLY)
            try:
                os.ftruncate(fd, size)
            finally:
                os.close(fd)

    def space(self) -> Space:
        """Bytes of the disk behind the root."""
        with translated("statvfs"):
            disk = os.fstatvfs(self._places.root_fd)
        total = disk.f_blocks * disk.f_frsize
        return Space(total, total - disk.f_bfree * disk.f_frsize, disk.f_bavail * disk.f_frsize)

    def usage(self, path: VirtualPath) -> int:
        """Bytes of all files at and below ``path``; links count nothing."""
        top = b"."
        if not path.is_root:
            with translated(path), self._places.spot(path) as spot:
                facts = self._check_visible(path, spot)
            if not stat.S_ISDIR(facts.st_mode):
                return facts.st_size if stat.S_ISREG(facts.st_mode) else 0
            top = b"/".join(self._places.spelled(path))
        weigher = Weigher()
        walk(self._places.resolver, self._places.root_fd, top, weigher)
        return weigher.total

    def sweep(self, older_than_s: float) -> int:
        """Remove temporary files that no process holds and that are older than that."""
        sweeper = Sweeper(older_than_s)
        walk(self._places.resolver, self._places.root_fd, b".", sweeper)
        return sweeper.removed

    # Links: see api.Linker -------------------------------------------------------------------------

    def symlink(self, target: VirtualPath, path: VirtualPath) -> None:
        """Make a link at ``path`` that leads to ``target`` inside the root."""
        with translated(path):
            self._places.facts(target)
            text = b"/".join([b".."] * len(path.parent.names) + self._places.spelled(target)) or b"."
            with self._places.spot(path) as spot:
                os.symlink(text, spot.name, dir_fd=spot.parent)
                self._sync(spot)

    def read_link(self, path: VirtualPath) -> str:
        """Give the text of the link at ``path``."""
        with translated(path), self._places.spot(path) as spot:
            facts = self._check_visible(path, spot)
            if not stat.S_ISLNK(facts.st_mode):
                raise InvalidPath(f"{path} is no link")
            return os.fsencode(os.readlink(spot.name, dir_fd=spot.parent)).decode("utf-8", "replace")

    def hard_link(self, source: VirtualPath, path: VirtualPath) -> None:
        """Give the regular file at ``source`` the further name ``path``."""
        with translated(path):
            fd = self._places.open(source, os.O_PATH)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise PermissionDenied(f"{source} is no regular file")
                with self._places.spot(path) as spot:
                    os.link(f"/proc/self/fd/{fd}", spot.name, dst_dir_fd=spot.parent, follow_symlinks=True)
                    self._sync(spot)
            finally:
                os.close(fd)

    def _check_visible(self, path: VirtualPath, spot: Spot) -> os.stat_result:
        if spot.facts is None or not self._places.is_visible(path, spot):
            raise NotFound(str(path))
        return spot.facts

    def _sync(self, spot: Spot) -> None:
        if self._durable:
            sync_directory(spot.parent)


def _unlink(spot: Spot, path: VirtualPath) -> None:
    try:
        os.unlink(spot.name, dir_fd=spot.parent)
    except PermissionError as error:  # POSIX lets unlink answer EPERM for a directory
        if spot.facts is not None and stat.S_ISDIR(spot.facts.st_mode):
            raise IsADirectory(str(path)) from error
        raise


def _rmdir(spot: Spot) -> None:
    """Remove a directory; what killed processes left of uploads does not keep it."""
    try:
        os.rmdir(spot.name, dir_fd=spot.parent)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        if not sweep_directory(spot.parent, spot.name):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY)) from error
        os.rmdir(spot.name, dir_fd=spot.parent)


def _is_there(fd: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=fd)
    except OSError:
        return False
    return True


def build(options: Mapping[str, str], dependencies: Dependencies) -> Filesystem:
    """Make a LocalFilesystem of ``options["root"]``, an absolute path; with ``create = yes`` the folder is made."""
    unknown = set(options) - {"root", "create"}
    if unknown:
        message = f"unknown option {min(unknown)!r} of the local backend; known are root, create"
        raise ValueError(message)
    root = Path(options.get("root", ""))
    if not root.is_absolute():
        message = f"the local backend needs the option root with an absolute path, not {str(root)!r}"
        raise ValueError(message)
    if options.get("create", "no") in {"yes", "true", "1"}:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with translated(root):
        return LocalFilesystem(root, durable=dependencies.durable)
