"""Quota: how many bytes one mount's root may hold, shared by everybody who uses it.

Two numbers count against the limit:

* **used**: bytes of committed files. Kept in a ledger. With a ledger folder, the ledger is a small
  file under ``flock`` that all worker processes of the machine share, so commits are checked one
  after another and committed bytes never pass the limit, however many workers there are.
* **reserved**: bytes that uploads in flight of this process have announced. They make a write fail
  early. Other workers' reservations are not seen: what is on the disk may pass the limit by the
  uploads in flight, which then fail at commit.

``used`` is measured anew from the files (``Filesystem.usage``) when nothing is known, and in the
background when the last measurement is older than ``max_age_s``: that heals what was changed
behind the server's back and what a killed worker left uncounted. Without a ledger folder, or with
several machines on one disk, each process or machine counts for itself between measurements.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from storage.files.errors import QuotaExceeded, StorageError

log = structlog.get_logger(__name__)

UNKNOWN = 0.0
_RECORD = struct.Struct("<qd")


class Ledger(Protocol):
    """Where ``used`` and the time of its last measurement are kept."""

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep everybody else out for a block; not reentrant."""

    def read(self) -> tuple[int, float]:
        """Give used bytes and when they were measured (Unix seconds; 0: never)."""

    def write(self, used: int, measured_at: float) -> None:
        """Store both; only inside ``locked``."""


class MemoryLedger:
    """A ledger of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._record = (0, UNKNOWN)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other threads out."""
        with self._lock:
            yield

    def read(self) -> tuple[int, float]:
        """Give used bytes and when they were measured."""
        return self._record

    def write(self, used: int, measured_at: float) -> None:
        """Store both."""
        self._record = (used, measured_at)


class FileLedger:
    """A ledger shared by all processes of one machine: 16 bytes in a file, under ``flock``."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()  # flock belongs to the open file, which all threads share
        self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other threads and processes out."""
        with self._lock:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def read(self) -> tuple[int, float]:
        """Give used bytes and when they were measured."""
        record = os.pread(self._fd, _RECORD.size, 0)
        return _RECORD.unpack(record) if len(record) == _RECORD.size else (0, UNKNOWN)

    def write(self, used: int, measured_at: float) -> None:
        """Store both."""
        os.pwrite(self._fd, _RECORD.pack(used, measured_at), 0)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._fd)


class Quota:
    """The limit of one mount's root. Thread-safe; share one object per root and process."""

    def __init__(
        self,
        limit: int,
        measure: Callable[[], int],
        *,
        ledger: Ledger | None = None,
        max_age_s: float = 600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limit = limit
        self._measure = measure
        self._ledger: Ledger = ledger or MemoryLedger()
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        self._reserved = 0
        self._measuring = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes of committed files, as far as known; measures if nothing is known yet."""
        used, measured_at = self._ledger.read()
        if measured_at == UNKNOWN:
            return self.reconcile()
        if abs(self._clock() - measured_at) > self._max_age_s and not self._measuring.locked():
            threading.Thread(target=self._reconcile_quietly, name="quota", daemon=True).start()
        return used

    @property
    def reserved(self) -> int:
        """Bytes that uploads in flight of this process have announced."""
        return self._reserved

    @property
    def available(self) -> int:
        """Bytes that could be reserved now."""
        return max(0, self.limit - self.used - self._reserved)

    def reserve(self, size: int) -> None:
        """Announce ``size`` more bytes of an upload in flight; QuotaExceeded if they do not fit."""
        used = self.used
        with self._lock:
            if size > 0 and used + self._reserved + size > self.limit:
                raise QuotaExceeded(f"{used} used + {self._reserved} reserved + {size} > {self.limit}")
            self._reserved += size

    def release(self, size: int) -> None:
        """Take back an announcement."""
        with self._lock:
            self._reserved = max(0, self._reserved - size)

    def charge(self, delta: int, *, forced: bool = False) -> None:
        """Count ``delta`` bytes (negative: freed) as committed; QuotaExceeded if they do not fit.

        ``forced`` counts what has happened already, whether it fits or not.
        """
        if delta == 0:
            return
        _ = self.used  # so that there is a measurement to add to
        with self._ledger.locked():
            used, measured_at = self._ledger.read()
            if delta > 0 and not forced and used + delta > self.limit:
                raise QuotaExceeded(f"{used} used + {delta} > {self.limit}")
            self._ledger.write(max(0, used + delta), measured_at)

    def reconcile(self) -> int:
        """Measure the files and give the bytes in use; one measurement at a time per process."""
        with self._measuring:
            return self._reconcile()

    def _reconcile(self) -> int:
        with self._ledger.locked():
            before, measured_before = self._ledger.read()
        measured = self._measure()
        with self._ledger.locked():
            now, measured_now = self._ledger.read()
            if measured_now != measured_before:  # another process was faster, and may have charged since
                return now
            # Commits during the walk may or may not have been seen by it; counting them errs on
            # the safe side, and the next measurement puts it right.
            used = measured + max(0, now - before)
            self._ledger.write(used, self._clock())
            return used

    def _reconcile_quietly(self) -> None:
        if not self._measuring.acquire(blocking=False):
            return  # it is being measured already
        try:
            self._reconcile()
        except (StorageError, OSError) as error:
            log.warning("quota.not_measured", error=str(error))
        finally:
            self._measuring.release()


class QuotaBook:
    """All quotas of one process, one object per tree name while somebody uses it.

    ``folder`` holds the shared ledgers.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._quotas: WeakValueDictionary[str, Quota] = WeakValueDictionary()

    def quota(self, tree: str, limit: int, measure: Callable[[], int]) -> Quota:
        """Give the quota of ``tree``, with ``limit`` bytes from now on; ``measure`` counts its files."""
        with self._lock:
            known = self._quotas.get(tree)
            if known is None:
                known = self._quotas[tree] = Quota(limit, measure, ledger=self._ledger(tree))
            known.limit = limit
            return known

    def _ledger(self, tree: str) -> Ledger:
        if self._folder is None:
            return MemoryLedger()
        return FileLedger(self._folder / f"{hashlib.sha256(tree.encode()).hexdigest()[:32]}.quota")
