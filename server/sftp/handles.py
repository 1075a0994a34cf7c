"""Open files of one session: what OPEN's flags mean, and when an upload is committed."""

from __future__ import annotations

import threading
from typing import Final

from asyncssh import constants

from server.sftp.attributes import Changes
from server.sftp.cached import CachedReads
from storage.files.api import Stat, WriteMode
from storage.files.errors import AlreadyExists, InvalidPath, NotFound, PermissionDenied, Unsupported, UploadFailed
from storage.files.path import VirtualPath
from storage.files.readers import SessionReader
from storage.files.uploads import Upload
from storage.files.workspace import Workspace

MAX_OFFSET: Final = 2**63 - 1  # off_t; SFTP's offsets have one bit more


class SharedUpload:
    """An upload with the handles that write to it; the last CLOSE commits.

    Clients such as sshfs open a file that they are still writing once more; all these handles
    mean the same bytes.
    """

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.writers = 0
        self.failed = False
        self.finished = False


class FileHandle:
    """One SFTP file handle. Blocking; asyncssh runs the requests of a channel one after another."""

    def __init__(
        self,
        files: OpenFiles,
        path: VirtualPath,
        *,
        reader: SessionReader | None = None,
        shared: SharedUpload | None = None,
        writable: bool = False,
        readable: bool = True,
        append: bool = False,
    ) -> None:
        self._files = files
        self._path = path
        self._shared = shared
        self._writable = writable
        self._readable = readable
        self._append = append
        self._cached = CachedReads()
        self.reader = reader

    def read(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes; ``b""`` at and past the end."""
        if not self._readable:
            raise PermissionDenied("the handle was not opened for reading")
        if offset > MAX_OFFSET - size:
            return b""
        return self._source().read_at(offset, size)

    def read_cached(self, offset: int, size: int) -> bytes | None:
        """Read on the event loop if that needs no waiting, else None; see :class:`CachedReads`."""
        if self.reader is None or not self._readable or offset > MAX_OFFSET - size:
            return None
        return self._cached.read(self.reader, offset, size)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of ``data`` or raise; after a failure the upload can only be aborted."""
        shared = self._writing()
        upload = shared.upload
        if self._append:
            offset = upload.size
        try:
            upload.write_at(checked_size(offset + len(data)) - len(data), data)
        except BaseException:
            shared.failed = True
            raise

    def stat(self) -> Stat:
        """Facts about the open file."""
        return self._source().stat()

    def change(self, changes: Changes) -> None:
        """Apply an FSETSTAT: the size to handles open for writing, times to any."""
        if changes.size is not None:
            self._writing().upload.truncate(checked_size(changes.size))
        if changes.has_times:
            if self._shared is not None and not self._shared.finished:
                self._shared.upload.set_times(changes.modified_ns, changes.accessed_ns)
            else:
                self._files.workspace.set_times(self._path, changes.modified_ns, changes.accessed_ns)

    def sync(self) -> None:
        """Put what was written so far on stable storage."""
        if self._writable:
            self._writing().upload.sync()

    def close(self) -> None:
        """End the handle on the client's CLOSE: the last one that writes commits, or raises why not."""
        self._close_reader()
        if self._shared is not None and self._writable:
            self._writable = False
            self._files.release(self._shared, commit=True)

    def abort(self) -> None:
        """End the handle without a CLOSE (drop, EOF, revocation): its upload is thrown away."""
        try:
            self._close_reader()
        finally:
            if self._shared is not None and self._writable:
                self._writable = False
                self._files.release(self._shared, commit=False)

    def same_file(self, other: FileHandle) -> bool:
        """Whether both handles mean the same bytes in flight."""
        return self._shared is not None and self._shared is other._shared

    @property
    def path(self) -> VirtualPath:
        """Where the file is now."""
        return self._path if self._shared is None else self._shared.upload.path

    def _source(self) -> SessionReader | Upload:
        if self.reader is not None:
            return self.reader
        if self._shared is not None and not self._shared.finished:
            return self._shared.upload
        # another handle's CLOSE committed the upload that this one was reading
        self.reader = self._files.workspace.open_reader(self.path)
        return self.reader

    def _writing(self) -> SharedUpload:
        if self._shared is None or not self._writable:
            raise PermissionDenied("the handle was not opened for writing")
        return self._shared

    def _close_reader(self) -> None:
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.close()


class OpenFiles:
    """All file handles of one session, over all its channels. Blocking and thread-safe."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._lock = threading.Lock()
        self._shared: dict[int, SharedUpload] = {}  # by id(upload), which it keeps alive

    def open(self, path: VirtualPath, flags: int) -> FileHandle:
        """Open by SFTP v3 flags (draft-ietf-secsh-filexfer-02 section 6.3).

        READ reads. WRITE starts an upload: EXCL creates, TRUNC replaces; without them an existing
        file is gone on with, on a private copy if only written (reput), in place if also read
        (random access). A file that this session has in flight is opened by its upload.
        """
        readable = bool(flags & constants.FXF_READ)
        append = bool(flags & constants.FXF_APPEND)
        if append or flags & constants.FXF_WRITE:
            shared = self._share(path, flags)
            return FileHandle(self, path, shared=shared, writable=True, readable=readable, append=append)
        if not readable:
            raise Unsupported("OPEN asks neither to read nor to write")
        with self._lock:
            pending = self._pending(path)
        if pending is not None:
            return FileHandle(self, path, shared=pending)
        if flags & constants.FXF_CREAT:
            self._make_empty(path, exclusive=bool(flags & constants.FXF_EXCL))
        return FileHandle(self, path, reader=self.workspace.open_reader(path))

    def release(self, shared: SharedUpload, *, commit: bool) -> None:
        """Take one writing handle off an upload; the last one ends it.

        Raises what the commit raised, and UploadFailed if a write had failed before.
        """
        with self._lock:
            shared.writers -= 1
            shared.failed = shared.failed or not commit
            if shared.writers == 0:
                self._shared.pop(id(shared.upload), None)
            last = shared.writers == 0
        if last and not shared.failed:
            try:
                shared.upload.commit()
            except BaseException:
                shared.failed = True
                shared.upload.abort()
                raise
            finally:
                shared.finished = True
        elif last:
            shared.finished = True
            shared.upload.abort()
        if commit and shared.failed:
            raise UploadFailed("a write of this upload failed")

    def _share(self, path: VirtualPath, flags: int) -> SharedUpload:
        with self._lock:  # over the whole opening, so that two channels cannot start the same upload twice
            shared = self._pending(path)
            if shared is None:
                shared = SharedUpload(self._start(path, flags))
                self._shared[id(shared.upload)] = shared
            elif flags & constants.FXF_CREAT and flags & constants.FXF_EXCL:
                raise AlreadyExists("this session is uploading it")
            elif flags & constants.FXF_TRUNC:
                shared.upload.truncate(0)
            shared.writers += 1
            return shared

    def _start(self, path: VirtualPath, flags: int) -> Upload:
        workspace = self.workspace
        create = bool(flags & constants.FXF_CREAT)
        if create and flags & constants.FXF_EXCL:
            return workspace.open_writer(path, WriteMode.CREATE)
        if not create and not workspace.exists(path):
            raise NotFound("OPEN without CREAT")
        if flags & constants.FXF_TRUNC:
            return workspace.open_writer(path, WriteMode.REPLACE)
        if flags & constants.FXF_READ and workspace.exists(path):
            try:
                return workspace.open_writer(path, WriteMode.IN_PLACE)
            except Unsupported:  # an object store: the private copy does, published at CLOSE
                return workspace.open_writer(path, WriteMode.RESUME)
        return workspace.open_writer(path, WriteMode.RESUME)

    def _make_empty(self, path: VirtualPath, *, exclusive: bool) -> None:
        if not exclusive and self.workspace.exists(path):
            return
        with self.workspace.open_writer(path, WriteMode.CREATE) as upload:
            upload.commit()

    def _pending(self, path: VirtualPath) -> SharedUpload | None:
        upload = self.workspace.pending(path)
        return None if upload is None else self._shared.get(id(upload))


def checked_size(size: int) -> int:
    """Give a file size that the system can hold, or raise InvalidPath."""
    if size > MAX_OFFSET:
        raise InvalidPath("the size is past what a file can hold")
    return size
