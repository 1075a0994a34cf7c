"""Resolvers: open what a path names below a root, and never anything else, whoever moves links meanwhile."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from typing import Protocol

_SYS_OPENAT2 = 437  # the same number on every architecture that has the unified table
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_RETRIES = 128
_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


class Resolver(Protocol):
    """How a relative path of raw names is opened below a directory."""

    @property
    def follows_links(self) -> bool:
        """Whether links that stay inside the root are followed."""

    def open(self, root_fd: int, path: bytes, flags: int) -> int:
        """Open ``path`` (``.`` for the root itself); ``O_CLOEXEC`` is added.

        With ``O_NOFOLLOW`` the last name is not followed. Raises ``OSError``: ``ENOENT`` for a
        link that leads outside, dangles or is not followed.
        """


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Openat2:
    """openat2(2) with RESOLVE_BENEATH: the kernel follows links and refuses every way out (Linux 5.6)."""

    follows_links = True

    def __init__(self) -> None:
        self._hows: dict[int, _OpenHow] = {}

    def open(self, root_fd: int, path: bytes, flags: int) -> int:
        """Open ``path`` below ``root_fd``."""
        how = self._hows.get(flags)
        if how is None:
            how = self._hows[flags] = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
        for _ in range(_RETRIES):
            fd: int = _syscall(_SYS_OPENAT2, root_fd, path, ctypes.byref(how), ctypes.sizeof(_OpenHow))
            if fd >= 0:
                return fd
            number = ctypes.get_errno()
            if number not in {errno.EAGAIN, errno.EINTR}:  # EAGAIN: a rename raced with a ".." in a link
                break
        if number in {errno.EXDEV, errno.ELOOP}:
            number = errno.ENOENT
        raise OSError(number, os.strerror(number))


class Walk:
    """One name at a time with O_NOFOLLOW, for kernels and sandboxes without openat2. Links are refused."""

    follows_links = False

    def open(self, root_fd: int, path: bytes, flags: int) -> int:
        """Open ``path`` below ``root_fd``."""
        *above, last = path.split(b"/")
        here = root_fd
        try:
            for name in above:
                below = self._step(here, name)
                if here != root_fd:
                    os.close(here)
                here = below
            return self._last(here, last, flags)
        finally:
            if here != root_fd:
                os.close(here)

    @staticmethod
    def _step(here: int, name: bytes) -> int:
        below = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        mode = os.fstat(below).st_mode
        if not stat.S_ISDIR(mode):
            os.close(below)
            number = errno.ENOENT if stat.S_ISLNK(mode) else errno.ENOTDIR
            raise OSError(number, os.strerror(number))
        return below

    @staticmethod
    def _last(here: int, name: bytes, flags: int) -> int:
        try:
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        except OSError as error:
            if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and _is_link(here, name)):
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
            raise
        if flags & os.O_PATH and not flags & os.O_NOFOLLOW and stat.S_ISLNK(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return fd


def _is_link(here: int, name: bytes) -> bool:
    return stat.S_ISLNK(os.lstat(name, dir_fd=here).st_mode)


def best_resolver(root_fd: int) -> Resolver:
    """Give Openat2 if this kernel and sandbox allow it, else Walk."""
    resolver = Openat2()
    try:
        os.close(resolver.open(root_fd, b".", os.O_PATH | os.O_DIRECTORY))
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EPERM}:
            return Walk()
        raise
    return resolver
