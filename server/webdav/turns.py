"""Turns: who publishes at a place does so alone, over all workers of this machine.

Between the last look at the preconditions and the rename another worker could publish, and both
clients would be told that theirs was the version they had named (RFC 9110 section 13.1.1).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from storage.files.errors import StorageUnavailable

FILES = 64  # places share a file by chance; they then wait for each other's rename, no more


class Turns:
    """Thread-safe; the files in ``folder`` hold nothing, and the kernel gives a turn back when its process ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files = [folder / f"{number:02x}" for number in range(FILES)]
        for file in self._files:  # now, since a full disk would refuse them later
            file.touch(mode=0o600)

    @contextmanager
    def at(self, reference: str) -> Iterator[None]:
        """Hold the turn of a place (:attr:`Place.reference`); waits for whoever has it. Raises StorageUnavailable."""
        try:
            fd = os.open(self._files[crc32(reference.encode()) % FILES], os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise StorageUnavailable(f"no turn to publish: {error}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
