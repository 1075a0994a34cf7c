"""One table from the operating system's errors to StorageError."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from storage.files.errors import (
    AlreadyExists,
    CrossesMounts,
    DirectoryNotEmpty,
    InvalidPath,
    IsADirectory,
    NameTooLong,
    NoSpace,
    NotADirectory,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    StorageError,
    StorageUnavailable,
    Unsupported,
)

_TABLE: dict[int, type[StorageError]] = {
    errno.ENOENT: NotFound,
    errno.ELOOP: NotFound,  # a link that the resolver does not follow
    errno.ENOTDIR: NotADirectory,
    errno.EISDIR: IsADirectory,
    errno.EEXIST: AlreadyExists,
    errno.ENOTEMPTY: DirectoryNotEmpty,
    errno.EACCES: PermissionDenied,
    errno.EPERM: PermissionDenied,
    errno.EROFS: PermissionDenied,
    errno.EBUSY: PermissionDenied,
    errno.ETXTBSY: PermissionDenied,
    errno.ENXIO: PermissionDenied,
    errno.ENODEV: PermissionDenied,
    errno.ENAMETOOLONG: NameTooLong,
    errno.EINVAL: InvalidPath,
    errno.EXDEV: CrossesMounts,  # of rename; the resolvers never let theirs out
    errno.ENOSPC: NoSpace,
    errno.EFBIG: NoSpace,
    errno.EDQUOT: QuotaExceeded,
    errno.EMLINK: Unsupported,
    errno.EOPNOTSUPP: Unsupported,
}


def translate(error: OSError | OverflowError, detail: object) -> StorageError:
    """Give the StorageError for what the kernel said; StorageUnavailable if it says nothing known."""
    if isinstance(error, OverflowError):  # an offset or a time that the kernel's types cannot hold
        return NoSpace(f"{detail}: {error}")
    return _TABLE.get(error.errno or 0, StorageUnavailable)(f"{detail}: {error.strerror}")


@contextmanager
def translated(detail: object) -> Iterator[None]:
    """Turn an OSError of the block into its StorageError."""
    try:
        yield
    except (OSError, OverflowError) as error:
        raise translate(error, detail) from error
