"""A list that is written once and read in order, on disk, so that memory does not grow with the directory."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Spool(Generic[T]):
    """Values of this process's own classes, in a file that has no name and goes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="quaymaster-sync-")  # noqa: SIM115 - closed by close()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, value: T) -> None:
        """Add a value at the end."""
        pickle.dump(value, self._file, protocol=pickle.HIGHEST_PROTOCOL)
        self._length += 1

    def pages(self, size: int) -> Iterator[list[T]]:
        """Give all values in order, so many at a time; nothing may be added meanwhile."""
        self._file.seek(0)
        left = self._length
        while left:
            page = [pickle.load(self._file) for _ in range(min(size, left))]  # noqa: S301 - written by this object
            left -= len(page)
            yield page

    def close(self) -> None:
        """Free the disk."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
