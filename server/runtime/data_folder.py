"""The data folder: private to this user, and held by one supervisor at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE = 0o700
LOCK = "serve.lock"


class DataFolderUnusable(Exception):
    """The data folder cannot be used; the text says why and what to do."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder private and hold it for a block; DataFolderUnusable if another server has it.

    The lock belongs to this process alone: it ends with it, however it ends.
    """
    try:
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        folder.chmod(PRIVATE)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        message = (
            f"The data folder {folder} cannot be used: {error.strerror}. "
            "Make it writable for this user, or name another one with QUAYMASTER_DATA."
        )
        raise DataFolderUnusable(message) from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        message = (
            f"Another quaymaster serve (process {holder}) uses the data folder {folder}. "
            "Stop it, or name another folder with QUAYMASTER_DATA."
        )
        raise DataFolderUnusable(message) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
