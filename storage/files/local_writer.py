"""Writers of the local backend: a hidden temporary file that becomes the real one, and the in-place one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from types import TracebackType
from typing import Self

from storage.files.api import Stat, WriteMode
from storage.files.errors import AlreadyExists, CrossesMounts, IsADirectory, UploadFailed
from storage.files.local_handles import LocalReader, copy_all, read_fully, set_times_of, sync_directory, write_fully
from storage.files.local_places import TEMP, Places, Spot, is_shown, to_stat
from storage.files.os_errors import translate, translated
from storage.files.path import VirtualPath
from storage.files.renameat2 import rename_no_replace

_NEW_FILE_MODE = 0o600


class LocalWriter:
    """What both writers share: the descriptor, and that a failed write cannot be committed."""

    def __init__(self, fd: int, *, durable: bool) -> None:
        self._fd = fd
        self._durable = durable
        self._failed = False
        self._times: tuple[int | None, int | None] = (None, None)

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self._open()).st_size

    def stat(self) -> Stat:
        """Facts as they would be if committed now."""
        with translated("stat"):
            self._apply_times()
            return to_stat(os.fstat(self._open()))

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data`` at ``offset``."""
        try:
            write_fully(self._open(), offset, data)
        except (OSError, OverflowError) as error:
            self._failed = True
            raise translate(error, "write") from error

    def read_at(self, offset: int, size: int) -> bytes:
        """Read back what was written so far."""
        with translated("read"):
            return read_fully(self._open(), offset, size)

    def truncate(self, size: int) -> None:
        """Cut or extend."""
        try:
            os.ftruncate(self._open(), size)
        except (OSError, OverflowError) as error:
            self._failed = True
            raise translate(error, "truncate") from error

    def set_times(self, modified_ns: int | None, accessed_ns: int | None) -> None:
        """Set times that the committed file will have."""
        self._open()
        modified, accessed = self._times
        self._times = (
            modified if modified_ns is None else modified_ns,
            accessed if accessed_ns is None else accessed_ns,
        )

    def sync(self) -> None:
        """Put what was written so far on stable storage."""
        try:
            os.fsync(self._open())
        except OSError as error:
            self._failed = True
            raise translate(error, "sync") from error

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._open()

    def wrote(self, end: int) -> None:
        """Nothing to note: the file itself knows its size."""

    def _apply_times(self) -> None:
        modified, accessed = self._times
        if modified is not None or accessed is not None:
            set_times_of(self._open(), modified, accessed)

    def _open(self) -> int:
        if self._fd < 0:
            raise UploadFailed("the upload is over")
        return self._fd

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def abort(self) -> None:
        """Let go; what was written stays."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.abort()


class InPlaceWriter(LocalWriter):
    """Writes go to the live file at once."""

    def retarget(self, path: VirtualPath, *, replace: bool | None = None) -> None:
        """The descriptor follows its file wherever that is renamed to."""

    def commit(self) -> Stat:
        """Report the file complete."""
        fd = self._open()
        try:
            if self._failed:
                raise UploadFailed("an earlier write failed")
            with translated("commit"):
                self._apply_times()
                if self._durable:
                    os.fsync(fd)
                return to_stat(os.fstat(fd))
        finally:
            self._close()


class TempWriter(LocalWriter):
    """Writes go to a hidden file beside the target, locked while it lives; commit renames it.

    The directories are held open, so that temp and target are found even if somebody renames them.
    """

    def __init__(self, places: Places, spot: Spot, *, replace: bool, durable: bool) -> None:
        self._places = places
        self._spot = spot  # where commit publishes
        self._replace = replace
        self._published = False
        self._temp_parent = os.dup(spot.parent)
        try:
            fd, self._temp = _make_temp(self._temp_parent)
        except BaseException:
            os.close(self._temp_parent)
            raise
        super().__init__(fd, durable=durable)

    def retarget(self, path: VirtualPath, *, replace: bool | None = None) -> None:
        """Make ``commit`` publish under another path."""
        self._open()
        with translated(path):
            spot = self._places.take_settled_spot(path)
            try:
                _check_same_disk(spot.parent, self._temp_parent)
                _check_writable(spot, path)
            except BaseException:
                spot.close()
                raise
        old, self._spot = self._spot, spot
        self._replace = self._replace if replace is None else replace
        old.close()

    def commit(self) -> Stat:
        """Publish under the final name."""
        fd = self._open()
        try:
            if self._failed:
                raise UploadFailed("an earlier write failed")
            with translated("commit"):
                if (mode := self._mode_to_keep()) != _NEW_FILE_MODE:
                    os.fchmod(fd, mode)
                self._apply_times()
                if self._durable:
                    os.fsync(fd)
                self._publish()
                self._published = True
                if self._durable:
                    sync_directory(self._spot.parent)
                return to_stat(os.fstat(fd))
        finally:
            self.abort()

    def abort(self) -> None:
        """Remove the temporary file and let go; does nothing after the end."""
        if self._fd < 0:
            return
        if not self._published:
            with contextlib.suppress(OSError):
                os.unlink(self._temp, dir_fd=self._temp_parent)
        self._close()
        os.close(self._temp_parent)
        self._spot.close()

    def _mode_to_keep(self) -> int:
        """Give the mode of the file that will be replaced; refuse what must not be replaced."""
        try:
            facts = os.lstat(self._spot.name, dir_fd=self._spot.parent)
        except FileNotFoundError:
            return _NEW_FILE_MODE
        if stat.S_ISDIR(facts.st_mode):
            raise IsADirectory("a directory has the name by now")
        if not self._replace or not stat.S_ISREG(facts.st_mode):
            raise AlreadyExists("something has the name by now")
        return stat.S_IMODE(facts.st_mode) & 0o777

    def _publish(self) -> None:
        try:
            if self._replace:
                os.rename(self._temp, self._spot.name, src_dir_fd=self._temp_parent, dst_dir_fd=self._spot.parent)
            else:
                rename_no_replace(self._temp_parent, self._temp, self._spot.parent, self._spot.name)
        except FileNotFoundError as error:
            raise UploadFailed("the directory, or the temporary file, is gone") from error


def _make_temp(parent: int) -> tuple[int, bytes]:
    """Make a temporary file under a lock that only its writer holds; a sweep leaves it alone."""
    while True:
        name = TEMP + secrets.token_hex(12).encode()
        fd = os.open(
            name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _NEW_FILE_MODE, dir_fd=parent
        )
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return fd, name
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=parent)
            raise
        os.close(fd)  # a sweep took it between the two calls


def _check_same_disk(directory: int, other: int) -> None:
    if os.fstat(directory).st_dev != os.fstat(other).st_dev:
        raise CrossesMounts("another disk is mounted between the two")


def _check_writable(spot: Spot, path: VirtualPath, *, create: bool = False) -> None:
    """Raise unless the spot is free, or has a regular file that may be replaced."""
    if spot.facts is None:
        return
    if stat.S_ISDIR(spot.facts.st_mode):
        raise IsADirectory(str(path))
    if create or not is_shown(spot.facts):
        raise AlreadyExists(str(path))


def open_writer(places: Places, path: VirtualPath, mode: WriteMode, *, durable: bool) -> InPlaceWriter | TempWriter:
    """Start an upload to ``path``; ``OSError`` if a directory above is missing."""
    spot = places.take_settled_spot(path)
    try:
        _check_writable(spot, path, create=mode is WriteMode.CREATE)
        if mode is WriteMode.IN_PLACE:
            live = InPlaceWriter(_open_live(spot), durable=durable)
            spot.close()
            return live
        writer = TempWriter(places, spot, replace=mode is not WriteMode.CREATE, durable=durable)
    except BaseException:
        spot.close()
        raise
    if mode is WriteMode.RESUME and spot.facts is not None:
        try:
            with LocalReader(places.open_file(path, os.O_RDONLY)) as present:
                copy_all(present.fileno(), writer.fileno())
        except BaseException:
            writer.abort()
            raise
    return writer


def _open_live(spot: Spot) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    if spot.facts is None:
        return os.open(spot.name, flags | os.O_CREAT | os.O_EXCL, _NEW_FILE_MODE, dir_fd=spot.parent)
    fd = os.open(spot.name, flags, dir_fd=spot.parent)
    if not stat.S_ISREG(os.fstat(fd).st_mode):  # it took the name since the spot was looked at
        os.close(fd)
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return fd
