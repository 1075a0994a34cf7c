"""SessionReader: one session's open file, which the end of the session closes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from storage.files.api import Reader, Stat
from storage.files.errors import StorageError
from storage.files.gate import Gate
from storage.files.mounts import Mount
from storage.files.path import VirtualPath


class ReaderDesk(Protocol):
    """What a reader needs of its session."""

    def reader_closed(self, reader: SessionReader) -> None:
        """Take note that a reader was closed."""


def _closed() -> StorageError:
    return StorageError("the reader is closed")


class SessionReader:
    """An open file to read from. See ``api.Reader``; thread-safe. ``given`` counts bytes from ``read_at``."""

    def __init__(self, desk: ReaderDesk, path: VirtualPath, mount: Mount, reader: Reader) -> None:
        self.path = path
        self.mount = mount
        self.given = 0
        self._desk = desk
        self._reader = reader
        self._gate = Gate()

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        with self._gate.inside():
            return self._reader.size

    def stat(self) -> Stat:
        """Facts about the open file itself."""
        with self._gate.inside():
            return self._reader.stat()

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes at ``offset``."""
        self._gate.enter()
        try:
            data = self._reader.read_at(offset, size)
        finally:
            self._gate.leave()
        self.given += len(data)
        return data

    def fileno(self) -> int | None:
        """Give a descriptor for ``os.pread``, or None; only use it inside :meth:`lease`."""
        return self._reader.fileno()

    @contextmanager
    def lease(self) -> Iterator[int | None]:
        """Keep the descriptor alive for a block, however the session ends meanwhile."""
        with self._gate.inside():
            yield self._reader.fileno()

    def gave(self, size: int) -> None:
        """Note that ``size`` bytes were read through ``fileno``."""
        self.given += size

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self.cut(_closed)

    def cut(self, refusal: Callable[[], StorageError]) -> None:
        """Close; every later operation raises ``refusal()``. One that is inside ends first."""
        self._gate.shut_and_then(refusal, self._finish)

    def _finish(self) -> None:
        self._reader.close()
        self._desk.reader_closed(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
