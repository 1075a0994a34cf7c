"""LocalReader, and how bytes are written and copied between descriptors."""

from __future__ import annotations

import errno
import os
from types import TracebackType
from typing import Self

from storage.files.api import Stat
from storage.files.errors import StorageError
from storage.files.local_places import to_stat
from storage.files.os_errors import translate, translated

_LARGE_READ = 1 << 20
_COPY_BLOCK = 1 << 26


class LocalReader:
    """An open file: the descriptor stays on its inode even when another file takes the name."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self._open()).st_size

    def stat(self) -> Stat:
        """Facts about the open file."""
        return to_stat(os.fstat(self._open()))

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes at ``offset``."""
        try:
            return read_fully(self._open(), offset, size)
        except (OSError, OverflowError) as error:
            raise translate(error, "read") from error

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._open()

    def close(self) -> None:
        """Release the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _open(self) -> int:
        if self._fd < 0:
            raise StorageError("the reader is closed")
        return self._fd

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def read_fully(fd: int, offset: int, size: int) -> bytes:
    """Read ``size`` bytes, fewer only at the end of the file. Takes memory for what is there, not for what is asked."""
    if size > _LARGE_READ:
        size = min(size, max(0, os.fstat(fd).st_size - offset))
    data = os.pread(fd, size, offset)
    if len(data) in {0, size}:
        return data
    parts = [data]
    done = len(data)
    while done < size and (more := os.pread(fd, size - done, offset + done)):
        parts.append(more)
        done += len(more)
    return b"".join(parts)


def write_fully(fd: int, offset: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of ``data`` or raise: pwrite(2) may take less, at a limit or on a full disk."""
    done = os.pwrite(fd, data, offset)
    if done == len(data):
        return
    rest = memoryview(data).cast("B")
    while done < len(rest):
        written = os.pwrite(fd, rest[done:], offset + done)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done += written


def copy_all(source: int, target: int) -> None:
    """Copy a whole file inside the kernel (shared blocks where the filesystem can), else block by block."""
    with translated("copy"):
        offset = 0
        while True:
            try:
                done = os.copy_file_range(source, target, _COPY_BLOCK, offset, offset)
            except OSError as error:
                if error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
                    raise
                break
            if done == 0:
                break
            offset += done
        while data := os.pread(source, _LARGE_READ, offset):
            write_fully(target, offset, data)
            offset += len(data)


def set_times_of(fd: int, modified_ns: int | None, accessed_ns: int | None) -> None:
    """Set the times of an open file; None leaves one as it is."""
    facts = os.fstat(fd)
    modified = facts.st_mtime_ns if modified_ns is None else modified_ns
    accessed = facts.st_atime_ns if accessed_ns is None else accessed_ns
    os.utime(fd, ns=(accessed, modified))


def sync_directory(path_fd: int) -> None:
    """Put a directory's names on stable storage; ``path_fd`` may be an O_PATH descriptor."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=path_fd)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
