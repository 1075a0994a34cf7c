"""SFTP's verbs on the workspace. Every method of asyncssh.SFTPServer that reaches the host is replaced.

asyncssh's own chroot is not used: it can be left by a symbolic link that is renamed.
"""

# ruff: noqa: ARG002 - the signatures are asyncssh's

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from itertools import islice
from typing import NoReturn, cast

import asyncssh
from asyncssh import SSHServerChannel, constants
from asyncssh.sftp import SFTPAttrs, SFTPName, SFTPVFSAttrs

from server.runtime.bridge import Bridge
from server.sftp.attributes import longname, to_attrs, to_changes, to_link_attrs, to_name, to_vfs_attrs
from server.sftp.errors import sftp_error
from server.sftp.handles import FileHandle, OpenFiles, checked_size
from server.sftp.limits import LISTING_BATCH, MAX_READ
from storage.files.api import Entry
from storage.files.errors import InvalidPath, NotADirectory, Unsupported
from storage.files.path import VirtualPath
from storage.files.workspace import Workspace


class Listing:
    """A directory being read; each batch is made off the event loop.

    The first batch is read at once, so that a directory that cannot be listed fails at OPENDIR.
    """

    def __init__(self, workspace: Workspace, path: VirtualPath, owner: str) -> None:
        self._workspace = workspace
        self._path = path
        self._owner = owner
        here = workspace.stat(path)
        if not here.is_directory:
            raise NotADirectory(f"{path} is not a directory")
        self._entries = iter(workspace.scan(path))
        self._first = [self._name(Entry(".", here)), self._name(Entry("..", here)), *self._read()]

    def next_batch(self) -> list[SFTPName]:
        """Give the next names, none at the end. Blocking."""
        first, self._first = self._first, []
        return first or self._read()

    def close(self) -> None:
        """Release what the scan holds open."""
        close = getattr(self._entries, "close", None)
        if close is not None:
            close()

    def _read(self) -> list[SFTPName]:
        return [self._name(entry) for entry in islice(self._entries, LISTING_BATCH)]

    def _name(self, entry: Entry) -> SFTPName:
        text = self._workspace.link_text(self._path.child(entry.name)) if entry.link else None
        return to_name(entry, self._owner, time.time(), link_text=text)


class WorkspaceServer(asyncssh.SFTPServer):
    """One SFTP channel's view of its session's workspace; blocking calls go through the bridge's io pool."""

    def __init__(self, channel: SSHServerChannel[bytes], files: OpenFiles, bridge: Bridge, owner: str) -> None:
        super().__init__(channel)
        self._files = files
        self._workspace = files.workspace
        self._bridge = bridge
        self._owner = owner

    # Files ---------------------------------------------------------------------------------------

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        """Open a file; the mode in ``attrs`` is ignored, a size or time there has no place in v3 clients."""
        target = VirtualPath.parse(path)
        return await self._bridge.io(self._files.open, target, pflags, abandoned=FileHandle.abort)

    async def open56(self, path: bytes, desired_access: int, flags: int, attrs: SFTPAttrs) -> NoReturn:
        """Refuse: version 3 is spoken."""
        raise Unsupported("SFTP version 5")

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Read at most 256 KiB, whatever is asked: asyncssh 2.24.1 passes the client's 32 bits on."""
        handle = cast("FileHandle", file_obj)
        size = min(size, MAX_READ)
        data = handle.read_cached(offset, size)
        return await self._bridge.io(handle.read, offset, size) if data is None else data

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Write everything or raise; asyncssh 2.24.1 would take a short count for success."""
        await self._bridge.io(cast("FileHandle", file_obj).write, offset, data)
        return len(data)

    async def close(self, file_obj: object) -> None:
        """Commit an upload: this runs for the client's CLOSE and for nothing else (see ``abort``)."""
        await self._bridge.io(cast("FileHandle", file_obj).close)

    async def abort(self, file_obj: object) -> None:
        """End a handle that the client never closed."""
        await self._bridge.io(cast("FileHandle", file_obj).abort)

    async def fstat(self, file_obj: object) -> SFTPAttrs:
        """Facts about an open file."""
        return to_attrs(await self._bridge.io(cast("FileHandle", file_obj).stat))

    async def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        """Change size and times of an open file; owner and mode are ignored."""
        await self._bridge.io(cast("FileHandle", file_obj).change, to_changes(attrs))

    async def fsync(self, file_obj: object) -> None:
        """Put an upload's bytes on stable storage."""
        await self._bridge.io(cast("FileHandle", file_obj).sync)

    async def fstatvfs(self, file_obj: object) -> SFTPVFSAttrs:
        """Space of the mount that holds an open file."""
        path = cast("FileHandle", file_obj).path
        return to_vfs_attrs(await self._bridge.io(self._workspace.space, path))

    def lock(self, file_obj: object, offset: int, length: int, flags: int) -> NoReturn:
        """Refuse byte-range locks."""
        raise Unsupported("byte-range locks")

    def unlock(self, file_obj: object, offset: int, length: int) -> NoReturn:
        """Refuse byte-range locks."""
        raise Unsupported("byte-range locks")

    # Places --------------------------------------------------------------------------------------

    async def stat(self, path: bytes) -> SFTPAttrs:
        """Facts about a place."""
        return to_attrs(await self._bridge.io(self._workspace.stat, VirtualPath.parse(path)))

    async def lstat(self, path: bytes) -> SFTPAttrs:
        """As ``stat``; where the site allows symbolic links, about the link itself, so that nobody walks into it.

        Links that lead out or nowhere are not there.
        """
        return await self._bridge.io(self._link_attrs, VirtualPath.parse(path))

    def _link_attrs(self, path: VirtualPath) -> SFTPAttrs:
        stat, text = self._workspace.stat(path), self._workspace.link_text(path)
        return to_attrs(stat) if text is None else to_link_attrs(stat, text)

    async def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Change size and times by path; owner and mode are ignored, but the place must be there."""
        target = VirtualPath.parse(path)
        changes = to_changes(attrs)
        if changes.size is not None:
            await self._bridge.io(self._workspace.truncate, target, checked_size(changes.size))
        if changes.has_times:
            await self._bridge.io(self._workspace.set_times, target, changes.modified_ns, changes.accessed_ns)
        if changes.size is None and not changes.has_times:
            await self._bridge.io(self._workspace.stat, target)

    async def lsetstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """As ``setstat``."""
        await self.setstat(path, attrs)

    async def statvfs(self, path: bytes) -> SFTPVFSAttrs:
        """Space of the mount at a place."""
        return to_vfs_attrs(await self._bridge.io(self._workspace.space, VirtualPath.parse(path)))

    async def remove(self, path: bytes) -> None:
        """Remove a file."""
        await self._bridge.io(self._workspace.remove, VirtualPath.parse(path))

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Move, and never replace anything (v3 section 6.5)."""
        await self._rename(oldpath, newpath, replace=False)

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Move, and replace what is there, atomically."""
        await self._rename(oldpath, newpath, replace=True)

    async def _rename(self, oldpath: bytes, newpath: bytes, *, replace: bool) -> None:
        source, target = VirtualPath.parse(oldpath), VirtualPath.parse(newpath)
        await self._bridge.io(lambda: self._workspace.rename(source, target, replace=replace))

    async def link(self, oldpath: bytes, newpath: bytes) -> None:
        """Make a hard link where the site allows it."""
        await self._bridge.io(self._workspace.hard_link, VirtualPath.parse(oldpath), VirtualPath.parse(newpath))

    async def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        """Make a symbolic link where the site allows it; ``oldpath`` is its text."""
        try:
            text = oldpath.decode("utf-8", "strict")
        except UnicodeDecodeError:
            raise InvalidPath("the link's text is not UTF-8") from None
        await self._bridge.io(self._workspace.symlink, text, VirtualPath.parse(newpath))

    async def readlink(self, path: bytes) -> bytes:
        """Give a symbolic link's text where the site allows links."""
        return (await self._bridge.io(self._workspace.read_link, VirtualPath.parse(path))).encode()

    async def realpath(self, path: bytes) -> bytes:
        """Make a path absolute and normal, by its text alone: whether it is there stays unsaid."""
        return str(VirtualPath.parse(path)).encode()

    # Directories ---------------------------------------------------------------------------------

    async def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Make a directory; the mode is ignored."""
        await self._bridge.io(self._workspace.mkdir, VirtualPath.parse(path))

    async def rmdir(self, path: bytes) -> None:
        """Remove an empty directory."""
        await self._bridge.io(self._workspace.rmdir, VirtualPath.parse(path))

    async def open_listing(self, path: bytes) -> Listing:
        """Begin to read a directory; raises at once if it cannot be read, as OPENDIR should."""
        return await self._bridge.io(
            Listing, self._workspace, VirtualPath.parse(path), self._owner, abandoned=Listing.close
        )

    async def next_names(self, listing: Listing) -> list[SFTPName]:
        """Give the next batch of a listing, none at the end."""
        return await self._bridge.io(listing.next_batch)

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        """Give all names of a directory; asyncssh's own handler asks here, ours asks for batches."""
        try:
            listing = await self.open_listing(path)
            while names := await self.next_names(listing):
                for name in names:
                    yield name
        except Exception as error:
            raise sftp_error(error) from error

    # What the library would ask the host for -------------------------------------------------------

    def format_user(self, uid: int | None) -> str:
        """Give the session's user: the host's user database is nobody's business."""
        return self._owner

    def format_group(self, gid: int | None) -> str:
        """As ``format_user``."""
        return self._owner

    def format_longname(self, name: SFTPName) -> None:
        """Fill in the ``ls -l`` line."""
        filename = name.filename if isinstance(name.filename, bytes) else name.filename.encode()
        name.longname = longname(name.attrs, filename, self._owner, time.time())

    def map_path(self, path: bytes) -> NoReturn:
        """Refuse: there is no host path. A library method that was forgotten here fails closed."""
        raise asyncssh.SFTPError(constants.FX_PERMISSION_DENIED, "Permission denied.")

    def reverse_map_path(self, path: bytes) -> NoReturn:
        """Refuse, as ``map_path``."""
        raise asyncssh.SFTPError(constants.FX_PERMISSION_DENIED, "Permission denied.")

    def exit(self) -> None:
        """Do nothing: handles are ended and the exit status is sent by the handler (see handler.py)."""
