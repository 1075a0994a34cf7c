"""Reader and Writer of the memory backend."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from storage.files.api import Stat, WriteMode
from storage.files.errors import AlreadyExists, IsADirectory, StorageError, UploadFailed
from storage.files.memory_nodes import DirectoryNode, FileNode, facts
from storage.files.path import VirtualPath

if TYPE_CHECKING:  # the backend imports this file
    from storage.files.memory import MemoryFilesystem


class MemoryReader:
    """An open file: its node stays even when another one takes its name."""

    def __init__(self, filesystem: MemoryFilesystem, node: FileNode) -> None:
        self._filesystem = filesystem
        self._node = node
        self._closed = False

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return len(self._node.data)

    def stat(self) -> Stat:
        """Facts about the open file."""
        return facts(self._node)

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes at ``offset``."""
        with self._filesystem.lock:
            if self._closed:
                raise StorageError("the reader is closed")
            return bytes(self._node.data[offset : offset + size])

    def fileno(self) -> int | None:
        """There is no descriptor."""
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryWriter:
    """An upload in flight: a node that no directory holds yet (IN_PLACE: the live one)."""

    def __init__(self, filesystem: MemoryFilesystem, path: VirtualPath, node: FileNode, mode: WriteMode) -> None:
        self._filesystem = filesystem
        self._path = path
        self._node = node
        self._mode = mode
        self._replace = mode is not WriteMode.CREATE
        self._pending = mode is not WriteMode.IN_PLACE
        self._times: tuple[int | None, int | None] = (None, None)
        self._failed = False
        self._over = False

    @property
    def size(self) -> int:
        """Bytes written so far, with gaps."""
        return len(self._node.data)

    def stat(self) -> Stat:
        """Facts as they would be if committed now."""
        with self._filesystem.lock:
            self._apply_times()
            return facts(self._node)

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data`` at ``offset``."""
        with self._filesystem.lock:
            self._check_open()
            try:
                self._filesystem.overwrite(self._node, offset, memoryview(data).cast("B"), pending=self._pending)
            except StorageError:
                self._failed = True
                raise

    def read_at(self, offset: int, size: int) -> bytes:
        """Read back what was written so far."""
        with self._filesystem.lock:
            self._check_open()
            return bytes(self._node.data[offset : offset + size])

    def truncate(self, size: int) -> None:
        """Cut or extend."""
        with self._filesystem.lock:
            self._check_open()
            try:
                self._filesystem.resize(self._node, size, pending=self._pending)
            except StorageError:
                self._failed = True
                raise

    def set_times(self, modified_ns: int | None, accessed_ns: int | None) -> None:
        """Set times that the committed file will have."""
        with self._filesystem.lock:
            self._check_open()
            modified, accessed = self._times
            self._times = (
                modified if modified_ns is None else modified_ns,
                accessed if accessed_ns is None else accessed_ns,
            )

    def sync(self) -> None:
        """Memory has nothing more stable."""
        self._check_open()

    def retarget(self, path: VirtualPath, *, replace: bool | None = None) -> None:
        """Make ``commit`` publish under another path."""
        with self._filesystem.lock:
            self._check_open()
            self._filesystem.peek(path)  # the parent must exist
            self._path = path
            self._replace = self._replace if replace is None else replace

    def fileno(self) -> int | None:
        """There is no descriptor."""
        return None

    def wrote(self, end: int) -> None:
        """Nothing can have been written past this object."""

    def commit(self) -> Stat:
        """Publish the file and give its facts."""
        with self._filesystem.lock:
            self._check_open()
            if self._failed:
                self.abort()
                raise UploadFailed("an earlier write failed")
            try:
                if self._mode is not WriteMode.IN_PLACE:
                    self._publish()
            except StorageError:
                self.abort()
                raise
            self._apply_times()
            self._end()
            return facts(self._node)

    def abort(self) -> None:
        """Throw the upload away."""
        with self._filesystem.lock:
            if not self._over:
                self._end()

    def _publish(self) -> None:
        present = self._filesystem.peek(self._path)
        if isinstance(present, DirectoryNode):
            raise IsADirectory(str(self._path))
        if present is not None and not self._replace:
            raise AlreadyExists(str(self._path))
        self._filesystem.put(self._path, self._node)

    def _end(self) -> None:
        self._over = True
        if self._pending:
            self._filesystem.pending -= len(self._node.data)

    def _apply_times(self) -> None:
        modified, accessed = self._times
        if modified is not None:
            self._node.modified_ns = modified
        if accessed is not None:
            self._node.accessed_ns = accessed

    def _check_open(self) -> None:
        if self._over:
            raise UploadFailed("the upload is over")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
