"""Renaming that never replaces: renameat2(2) with RENAME_NOREPLACE, and what comes close without it."""

from __future__ import annotations

import ctypes
import errno
import os
import stat

_NOREPLACE = 1
_libc = ctypes.CDLL(None, use_errno=True)
_renameat2 = getattr(_libc, "renameat2", None)  # glibc 2.28; musl has none
if _renameat2 is not None:
    _renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]


def rename_no_replace(source_fd: int, source: bytes, target_fd: int, target: bytes) -> None:
    """Move atomically; ``FileExistsError`` if anything has the target's name."""
    if _renameat2 is not None:
        if _renameat2(source_fd, source, target_fd, target, _NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number not in {errno.EINVAL, errno.ENOSYS}:
            raise OSError(number, os.strerror(number))
    rename_without_flag(source_fd, source, target_fd, target)


def rename_without_flag(source_fd: int, source: bytes, target_fd: int, target: bytes) -> None:
    """The same where the filesystem lacks the flag (NFS, some FUSE).

    A file gets its new name by link(2), which never replaces, and then loses the old one; for a
    moment it has both. A directory takes the place of an empty one that is made for it.
    """
    if stat.S_ISDIR(os.lstat(source, dir_fd=source_fd).st_mode):
        os.mkdir(target, 0o700, dir_fd=target_fd)
        try:
            os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)
        except OSError:
            os.rmdir(target, dir_fd=target_fd)
            raise
        return
    os.link(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
    os.unlink(source, dir_fd=source_fd)
