"""pyftpdlib's view of the files: every method goes to the session's Workspace.

Paths that pyftpdlib calls "real" are virtual here too, so nothing it does with them can name a
place on the host. ``tests/architecture/test_arch_ftps_overrides.py`` proves that no method of
``AbstractedFS`` is left as it is.
"""

from __future__ import annotations

import os
import secrets
import stat as modes
import time
from collections.abc import Iterable, Iterator
from typing import NoReturn

from pyftpdlib.filesystems import AbstractedFS

from server.ftps.listing import NANOSECONDS, Listed, facts_line, list_line
from server.ftps.transfers import Incoming, Outgoing
from storage.files.api import Stat, WriteMode
from storage.files.errors import (
    AlreadyExists,
    InvalidPath,
    NotADirectory,
    NotFound,
    PermissionDenied,
    StorageError,
    Unsupported,
)
from storage.files.path import VirtualPath
from storage.files.permissions import Right
from storage.files.workspace import Workspace

UNIQUE_NAME_TRIES = 20
ABSENT = (NotFound, NotADirectory, PermissionDenied, InvalidPath)  # "is it a file?" has the answer no


class WorkspaceFilesystem(AbstractedFS):  # type: ignore[misc]  # pyftpdlib has no types
    """Every method raises StorageError; ``cwd`` is the only state."""

    def __init__(self, workspace: Workspace, cmd_channel: object) -> None:
        super().__init__("/", cmd_channel)
        self.workspace = workspace

    # --- names

    def ftpnorm(self, ftppath: str) -> str:
        """Give the absolute, normal form of a client's path; a relative one starts at ``cwd``."""
        return str(VirtualPath.parse(ftppath, base=VirtualPath.parse(self.cwd)))

    def ftp2fs(self, ftppath: str) -> str:
        """Give the virtual path: there is no other."""
        return self.ftpnorm(ftppath)

    def fs2ftp(self, fspath: str) -> str:
        """Give the virtual path back."""
        return fspath

    def validpath(self, path: str) -> bool:
        """Whether pyftpdlib may go on: always; the Workspace checks when it acts, not before."""
        return True

    def realpath(self, path: str) -> str:
        """Give the path itself: links are not shown."""
        return path

    def get_user_by_uid(self, uid: int) -> str:
        """Give the owner that listings show."""
        return "owner"

    def get_group_by_gid(self, gid: int) -> str:
        """Give the group that listings show."""
        return "group"

    # --- transfers

    def open(self, filename: str, mode: str) -> Incoming | Outgoing:
        """Open as Python's ``open`` would: ``rb`` to read, ``wb`` to replace, ``ab`` and ``r+b`` to go on."""
        match mode:
            case "rb":
                return self.open_download(filename)
            case "wb":
                return self.open_upload(filename, WriteMode.REPLACE)
            case "ab" | "r+b":
                return self.open_upload(filename, WriteMode.RESUME)
            case _:
                raise Unsupported(f"mode {mode!r}")

    def open_download(self, path: str, *, offset: int = 0) -> Outgoing:
        """Open a file to send from ``offset`` on."""
        return Outgoing(self.workspace.open_reader(VirtualPath.parse(path)), path, offset=offset)

    def open_upload(
        self, path: str, mode: WriteMode, *, offset: int | None = None, expected: int | None = None
    ) -> Incoming:
        """Start an upload; RESUME goes on at ``offset`` (what is behind it is dropped) or at the end."""
        upload = self.workspace.open_writer(VirtualPath.parse(path), mode)
        try:
            if offset is None:
                offset = upload.size
            elif offset < upload.size:
                upload.truncate(offset)
        except StorageError:
            upload.abort()
            raise
        return Incoming(upload, path, offset=offset, expected=expected)

    def mkstemp(self, suffix: str = "", prefix: str = "", dir: str | None = None, mode: str = "wb") -> Incoming:  # noqa: A002 - pyftpdlib's name
        """Start an upload under a name that nothing has yet."""
        folder = VirtualPath.parse(dir or self.cwd)
        for _ in range(UNIQUE_NAME_TRIES):
            path = folder.child(f"{prefix}{secrets.token_hex(6)}{suffix}")
            try:
                upload = self.workspace.open_writer(path, WriteMode.CREATE)
            except AlreadyExists:
                continue
            return Incoming(upload, str(path), offset=0)
        raise AlreadyExists("no unused name was found")

    # --- directories and names

    def chdir(self, path: str) -> None:
        """Make ``path`` the place where relative names start. The process stays where it is."""
        if not self.facts(path).is_directory:
            raise NotADirectory(path)
        self.cwd = path

    def mkdir(self, path: str) -> None:
        """Make one directory."""
        self.workspace.mkdir(VirtualPath.parse(path))

    def listdir(self, path: str) -> list[str]:
        """List a directory; every name carries its facts."""
        return [Listed(entry.name, entry.stat) for entry in self.workspace.scan(VirtualPath.parse(path))]

    listdirinfo = listdir

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        self.workspace.rmdir(VirtualPath.parse(path))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self.workspace.remove(VirtualPath.parse(path))

    def rename(self, src: str, dst: str) -> None:
        """Move; what is at ``dst`` is replaced if the user may, as common FTP servers do.

        The Workspace checks that for what is there now; without the right to overwrite, something
        that comes to be there meanwhile is not replaced.
        """
        target = VirtualPath.parse(dst)
        replace = self.workspace.may(target, Right.OVERWRITE) or self.workspace.exists(target)
        self.workspace.rename(VirtualPath.parse(src), target, replace=replace)

    def chmod(self, path: str, mode: int) -> None:
        """Check that the place is there and change nothing: rights are not kept in modes."""
        self.facts(path)

    def utime(self, path: str, timeval: float) -> None:
        """Set the time of modification, in seconds."""
        self.workspace.set_times(VirtualPath.parse(path), int(timeval * NANOSECONDS), None)

    def readlink(self, path: str) -> NoReturn:
        """Refuse: links are never shown as links."""
        raise Unsupported("links are not shown")

    # --- facts

    def facts(self, path: str) -> Stat:
        """Give the facts of one place."""
        return self.workspace.stat(VirtualPath.parse(path))

    def stat(self, path: str) -> os.stat_result:
        """Give the facts in the operating system's form."""
        facts = self.facts(path)
        mode = modes.S_IFDIR | 0o770 if facts.is_directory else modes.S_IFREG | 0o660
        seconds = [time_ns // NANOSECONDS for time_ns in (facts.accessed_ns, facts.modified_ns, facts.changed_ns)]
        return os.stat_result((mode, 0, 0, facts.links, 0, 0, facts.size, *seconds))

    lstat = stat

    def isfile(self, path: str) -> bool:
        """Whether a file is there that the user may know of."""
        return self._kind_is(path, directory=False)

    def isdir(self, path: str) -> bool:
        """Whether a directory is there that the user may know of."""
        return self._kind_is(path, directory=True)

    def islink(self, path: str) -> bool:
        """Whether it is a link: never shown as one."""
        return False

    def lexists(self, path: str) -> bool:
        """Whether anything is there."""
        try:
            self.facts(path)
        except ABSENT:
            return False
        return True

    def getsize(self, path: str) -> int:
        """Give the size in bytes; of the user's own upload in flight, too."""
        return self.facts(path).size

    def getmtime(self, path: str) -> float:
        """Give the time of modification in seconds."""
        return self.facts(path).modified_ns / NANOSECONDS

    def _kind_is(self, path: str, *, directory: bool) -> bool:
        try:
            return self.facts(path).is_directory is directory
        except ABSENT:
            return False

    # --- listings

    def format_list(self, basedir: str, listing: Iterable[str], ignore_err: bool = True) -> Iterator[bytes]:  # noqa: FBT001, FBT002 - pyftpdlib's signature
        """Give the lines of LIST."""
        now = time.time()
        for name, facts in self._with_facts(basedir, listing, ignore_absent=ignore_err):
            yield list_line(name, facts, now).encode()

    def format_mlsx(
        self,
        basedir: str,
        listing: Iterable[str],
        perms: object,
        facts: Iterable[str],
        ignore_err: bool = True,  # noqa: FBT001, FBT002 - pyftpdlib's signature
    ) -> Iterator[bytes]:
        """Give the lines of MLSD; ``perm`` tells the user's rights below ``basedir``."""
        wanted = frozenset(facts)
        folder = VirtualPath.parse(basedir)
        rights = frozenset(right for right in Right if self.workspace.may(folder, right)) if "perm" in wanted else ()
        for name, stat in self._with_facts(basedir, listing, ignore_absent=ignore_err):
            yield facts_line(name, stat, rights, wanted).encode()

    def _with_facts(self, basedir: str, listing: Iterable[str], *, ignore_absent: bool) -> Iterator[tuple[str, Stat]]:
        base = VirtualPath.parse(basedir)
        for name in listing:
            if isinstance(name, Listed):
                yield name, name.stat
                continue
            try:
                yield name, self.workspace.stat(base.child(name) if name else base)
            except ABSENT:
                if not ignore_absent:
                    raise
