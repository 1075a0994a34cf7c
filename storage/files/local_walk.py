"""Walking a local tree with bounded memory and descriptors: usage and sweep."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator

from storage.files.confined import Resolver
from storage.files.path import TEMP_PREFIX

_OPEN_LEVELS = 32  # directories held open at the same time; below them a level's names are kept instead

Visit = Callable[[int, "os.DirEntry[str]"], None]


def walk(resolver: Resolver, root_fd: int, top: bytes, visit: Visit) -> None:
    """Call ``visit(directory's descriptor, entry)`` for all but directories below ``top``; links are not followed.

    Directories that cannot be opened, or are gone by then, are left out.
    """
    path = [top]
    levels = [_level(resolver, root_fd, top, visit)]
    while levels:
        name = next(levels[-1], None)
        if name is None:
            levels.pop()
            path.pop()
            continue
        path.append(name)
        level = _level(resolver, root_fd, b"/".join(path), visit)
        levels.append(level if len(levels) < _OPEN_LEVELS else iter(list(level)))


def _level(resolver: Resolver, root_fd: int, path: bytes, visit: Visit) -> Iterator[bytes]:
    """Visit one directory's files and give the names of its directories."""
    try:
        fd = resolver.open(root_fd, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield os.fsencode(entry.name)
                else:
                    visit(fd, entry)
    finally:
        os.close(fd)


class Weigher:
    """Sums up the sizes of regular files; uploads in flight do not count."""

    def __init__(self) -> None:
        self.total = 0

    def __call__(self, _fd: int, entry: os.DirEntry[str]) -> None:
        """Add one file."""
        if entry.name.startswith(TEMP_PREFIX):
            return
        with contextlib.suppress(FileNotFoundError):
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(facts.st_mode):
                self.total += facts.st_size


class Sweeper:
    """Removes temporary files that nobody holds and that were last written before ``older_than_s``."""

    def __init__(self, older_than_s: float) -> None:
        self.removed = 0
        self._before_ns = time.time_ns() - int(older_than_s * 1e9)

    def __call__(self, fd: int, entry: os.DirEntry[str]) -> None:
        """Remove one, if it is one."""
        if entry.name.startswith(TEMP_PREFIX):
            self.take(fd, os.fsencode(entry.name))

    def take(self, parent: int, name: bytes) -> None:
        """Remove the temporary file ``name`` unless it is locked or young.

        Its writer holds a lock from its making to its end (``local_writer``), so a lock that can
        be had says that the writer's process is gone.
        """
        with contextlib.suppress(OSError):
            facts = os.lstat(name, dir_fd=parent)
            if not stat.S_ISREG(facts.st_mode) or facts.st_mtime_ns > self._before_ns:
                return
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(fd).st_ino == os.lstat(name, dir_fd=parent).st_ino:
                    os.unlink(name, dir_fd=parent)
                    self.removed += 1
            finally:
                os.close(fd)


def sweep_directory(parent: int, name: bytes) -> int:
    """Remove abandoned temporary files in one directory, however young; give how many."""
    sweeper = Sweeper(0)
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        with os.scandir(fd) as entries:
            for each in entries:
                sweeper(fd, each)
    finally:
        os.close(fd)
    return sweeper.removed
