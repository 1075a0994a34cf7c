"""Places: from a VirtualPath to an open descriptor, or to a parent's descriptor and a name in it."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from storage.files.api import Kind, Stat
from storage.files.confined import Resolver, best_resolver
from storage.files.errors import InvalidPath, NotFound
from storage.files.path import TEMP_PREFIX, VirtualPath, checked_name

TEMP = TEMP_PREFIX.encode()


@dataclass(frozen=True, slots=True)
class Spot:
    """A name in an open directory, which the holder closes; ``facts`` of what is there, links not followed."""

    parent: int
    name: bytes
    facts: os.stat_result | None

    def close(self) -> None:
        """Release the directory."""
        os.close(self.parent)


class Places:
    """One root directory and the only ways into it. Thread-safe."""

    def __init__(self, root: Path, resolver: Resolver | None = None) -> None:
        self.root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.resolver = resolver or best_resolver(self.root_fd)

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):
            os.close(self.root_fd)

    def open(self, path: VirtualPath, flags: int) -> int:
        """Open what is at ``path``, following links that stay inside; ``OSError`` as from the resolver."""
        names = _encoded(path)
        try:
            return self.resolver.open(self.root_fd, b"/".join(names) or b".", flags)
        except OSError as error:
            if error.errno != errno.ENOENT or _is_ascii(names):
                raise
            return self.resolver.open(self.root_fd, b"/".join(self._respelled(names)) or b".", flags)

    def facts(self, path: VirtualPath) -> os.stat_result:
        """Facts about the regular file or directory at ``path``; ``ENOENT`` for anything else."""
        fd = self.open(path, os.O_PATH)
        try:
            facts = os.fstat(fd)
        finally:
            os.close(fd)
        if not is_shown(facts):
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return facts

    def open_file(self, path: VirtualPath, flags: int) -> int:
        """Open a regular file; directories and special files are not opened at all.

        Raises:
            OSError: ``EISDIR`` for a directory, ``EACCES`` for a FIFO, a socket or a device.
        """
        handle = self.open(path, os.O_PATH)
        try:
            mode = os.fstat(handle).st_mode
            if not stat.S_ISREG(mode):
                number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EACCES
                raise OSError(number, os.strerror(number))
            return os.open(f"/proc/self/fd/{handle}", flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        finally:
            os.close(handle)

    @contextmanager
    def spot(self, path: VirtualPath) -> Iterator[Spot]:
        """Give the name itself in its open directory, for a block. The root has none: InvalidPath."""
        spot = self.take_spot(path)
        try:
            yield spot
        finally:
            spot.close()

    def take_spot(self, path: VirtualPath) -> Spot:
        """Give the name itself in its open directory; the caller closes it."""
        if path.is_root:
            raise InvalidPath("the root has no name")
        names = self.spelled(path)
        parent = self.resolver.open(self.root_fd, b"/".join(names[:-1]) or b".", os.O_PATH | os.O_DIRECTORY)
        try:
            facts = os.lstat(names[-1], dir_fd=parent)
        except FileNotFoundError:
            return Spot(parent, names[-1], None)
        except BaseException:
            os.close(parent)
            raise
        return Spot(parent, names[-1], facts)

    def take_settled_spot(self, path: VirtualPath) -> Spot:
        """Like :meth:`take_spot`, but where the name is a link, give the name that it leads to.

        NotFound if the link leads outside or nowhere: nothing may be made in its place.
        """
        spot = self.take_spot(path)
        if spot.facts is None or not stat.S_ISLNK(spot.facts.st_mode):
            return spot
        spot.close()
        handle = self.open(path, os.O_PATH)
        try:
            wanted = os.fstat(handle)
            root, real = (os.fsencode(Path(f"/proc/self/fd/{fd}").readlink()) for fd in (self.root_fd, handle))
        finally:
            os.close(handle)
        prefix = root.rstrip(b"/") + b"/"
        above, _, name = real.removeprefix(prefix).rpartition(b"/")
        if not real.startswith(prefix):
            raise NotFound(f"{path} leads to the root or out of it")
        parent = self.resolver.open(self.root_fd, above or b".", os.O_PATH | os.O_DIRECTORY)
        try:
            facts = os.lstat(name, dir_fd=parent)
            _check_same(facts, wanted)
        except BaseException:
            os.close(parent)
            raise
        return Spot(parent, name, facts)

    def spelled(self, path: VirtualPath) -> list[bytes]:
        """Give the names as they are spelled on the disk, composed (NFC) where they are not there yet."""
        names = _encoded(path)
        return names if _is_ascii(names) else self._respelled(names)

    def is_visible(self, path: VirtualPath, spot: Spot) -> bool:
        """Whether what is at ``path`` would be listed: a file, a directory, or a link to one inside."""
        if spot.facts is None:
            return False
        if not stat.S_ISLNK(spot.facts.st_mode):
            return is_shown(spot.facts)
        try:
            self.facts(path)
        except OSError:
            return False
        return True

    def _respelled(self, names: list[bytes]) -> list[bytes]:
        """Take the decomposed spelling (NFD) of each name that exists only in that one on the disk."""
        spelled: list[bytes] = []
        for name in names:
            chosen = name
            if not name.isascii() and not self._is_there([*spelled, name]):
                decomposed = unicodedata.normalize("NFD", name.decode()).encode()
                if self._is_there([*spelled, decomposed]):
                    chosen = decomposed
            spelled.append(chosen)
        return spelled

    def _is_there(self, names: list[bytes]) -> bool:
        try:
            os.close(self.resolver.open(self.root_fd, b"/".join(names), os.O_PATH | os.O_NOFOLLOW))
        except OSError:
            return False
        return True


def _check_same(facts: os.stat_result, wanted: os.stat_result) -> None:
    if (facts.st_dev, facts.st_ino) != (wanted.st_dev, wanted.st_ino):
        raise NotFound("what the link leads to changed meanwhile")


def _is_ascii(names: list[bytes]) -> bool:
    return all(name.isascii() for name in names)


def _encoded(path: VirtualPath) -> list[bytes]:
    """Give the names as bytes; a VirtualPath that was not made by ``parse`` is not trusted."""
    names = []
    for name in path.names:
        if name in {"", ".", ".."} or "/" in name or "\0" in name or name.startswith(TEMP_PREFIX):
            raise InvalidPath("not a name of a file")
        try:
            names.append(name.encode("utf-8", "strict"))
        except UnicodeEncodeError:
            raise InvalidPath("not a name of a file") from None
    return names


def is_shown(facts: os.stat_result) -> bool:
    """Whether it is a regular file or a directory: nothing else is shown or opened."""
    return stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)


def shown_name(name: str) -> str | None:
    """Give the name under which a directory entry is shown, or None if it cannot be."""
    try:
        return checked_name(name)
    except InvalidPath:
        return None


def to_stat(facts: os.stat_result) -> Stat:
    """Say what the kernel's facts mean here."""
    inode, size, modified, changed = facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
    is_directory = stat.S_ISDIR(facts.st_mode)
    return Stat(
        Kind.DIRECTORY if is_directory else Kind.FILE,
        0 if is_directory else size,
        modified,
        facts.st_atime_ns,
        changed,
        f"{inode:x}-{modified:x}-{changed:x}-{size:x}",
        f"{facts.st_dev:x}-{inode:x}",
        facts.st_nlink,
    )
