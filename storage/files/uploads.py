"""Upload: one session's writer, with its path, rights floor, quota and liveness around a backend's Writer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import TracebackType
from typing import Protocol, Self

from storage.files.api import Stat, Writer
from storage.files.errors import NotFound, PermissionDenied, StorageError, UploadFailed
from storage.files.gate import Gate
from storage.files.mounts import Mount
from storage.files.path import VirtualPath
from storage.files.permissions import Right

RESERVE_AHEAD = 1 << 20  # quota is reserved in steps, so that not every block asks for it
END_WAIT_S = 1.0  # how long the end of a session waits for an operation that is inside a handle


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms an upload runs.

    ``needs`` must stay granted while it runs. Bytes before ``floor`` may not be changed (append
    only). ``own`` says that all bytes are the session's, so that the committed file is its own too.
    ``base`` is the size of what the commit will replace. ``in_place`` writes go to the live
    file. ``readable`` allows to read back bytes that the session did not send itself.
    """

    mount: Mount
    inner: VirtualPath
    needs: frozenset[Right]
    floor: int = 0
    base: int = 0
    own: bool = True
    in_place: bool = False
    readable: bool = True


class State(Enum):
    """Who may drive the upload."""

    ACTIVE = auto()
    PARKED = auto()
    OVER = auto()


class Desk(Protocol):
    """What an upload needs of its session."""

    def check_live(self) -> None:
        """Raise SessionEnded if the session has ended."""

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool) -> None:
        """Rename by path, with all checks."""

    def upload_over(self, upload: Upload, stat: Stat | None) -> None:
        """Take note that an upload was committed (with its facts) or aborted."""


def _over() -> StorageError:
    return UploadFailed("the upload is over")


class Upload:
    """An upload in flight or parked. See ``api.Writer``; thread-safe.

    ``path`` is where it will be published in the client's tree; it follows renames.
    """

    def __init__(self, desk: Desk, path: VirtualPath, writer: Writer, terms: Terms) -> None:
        self.path = path
        self.terms = terms
        self._desk = desk
        self._writer = writer
        self._gate = Gate()
        self._lock = threading.Lock()
        self._covering = threading.Lock()  # not _lock: a first measurement of the quota takes long, and cut must not
        self._state = State.ACTIVE
        self._refusal: Callable[[], StorageError] = _over
        self._failed = False
        self._reserved = 0
        self._charged = terms.base  # in place: the size that the quota knows
        self._last_size = 0
        self._finished = threading.Event()

    # Facts -----------------------------------------------------------------------------------------

    @property
    def parked(self) -> bool:
        """Whether nobody drives it and a RESUME may take it up."""
        return self._state is State.PARKED

    @property
    def size(self) -> int:
        """Bytes that the file would have if committed now; after its end, those that it had."""
        try:
            with self._gate.inside():
                return self._writer.size
        except StorageError:
            return self._last_size

    def stat(self) -> Stat:
        """Facts as they would be if committed now."""
        with self._gate.inside():
            return self._writer.stat()

    # Writing ---------------------------------------------------------------------------------------

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data`` at ``offset``, or raise; then the upload can only be aborted."""
        self._gate.enter()  # what _driving does, without a context manager: this is the hot path
        try:
            self._check_active()
            try:
                self._check_floor(offset)
                if self.terms.mount.quota is not None:
                    self._cover(offset + len(data))
                self._writer.write_at(offset, data)
            except StorageError:
                self._failed = True
                raise
        finally:
            self._gate.leave()

    def read_at(self, offset: int, size: int) -> bytes:
        """Read back what was written so far; PermissionDenied if those may be other people's bytes."""
        if not self.terms.readable:
            raise PermissionDenied(f"no right to read at {self.path}")
        with self._gate.inside():
            self._check_active()
            return self._writer.read_at(offset, size)

    def truncate(self, size: int) -> None:
        """Cut or extend to ``size`` bytes."""
        with self._driving():
            self._check_floor(size)
            self._cover(size)
            self._writer.truncate(size)

    def set_times(self, modified_ns: int | None, accessed_ns: int | None) -> None:
        """Set times that the committed file will have."""
        with self._gate.inside():
            self._writer.set_times(modified_ns, accessed_ns)

    def sync(self) -> None:
        """Put what was written so far on stable storage."""
        with self._driving():
            self._writer.sync()

    def retarget(self, path: VirtualPath) -> None:
        """Rename in the client's tree, replacing what is at ``path``."""
        self._desk.rename(self.path, path, replace=True)

    def fileno(self) -> int | None:
        """Give a descriptor for ``os.pwrite``, or None; only use it inside :meth:`lease`."""
        return None if self.terms.floor else self._writer.fileno()

    @contextmanager
    def lease(self) -> Iterator[int | None]:
        """Keep the descriptor alive for a block, however the session ends meanwhile.

        After a short write or an ``OSError``, give the rest to :meth:`write_at`, which raises properly.
        """
        with self._gate.inside():
            self._check_active()
            yield self.fileno()

    def wrote(self, end: int) -> None:
        """Note that bytes before ``end`` were written through ``fileno``; QuotaExceeded if too many."""
        with self._driving():
            self._cover(end)
            self._writer.wrote(end)

    def expect(self, size: int) -> None:
        """Reserve quota for ``size`` bytes in all, so that an upload too large fails at its start."""
        with self._driving():
            self._cover(size)

    # Ending ----------------------------------------------------------------------------------------

    def commit(self) -> Stat:
        """Publish everything under the final name, atomically, and give its facts."""
        with self._lock:
            self._check_active()
            self._state = State.OVER
        if not self._gate.shut_and_wait(_over):
            self._gate.enter()  # raises what it was shut with
        stat = None
        try:
            self._desk.check_live()
            stat = self._publish()
            return stat
        finally:
            self._finish(stat)

    def abort(self) -> None:
        """Throw the upload away; does nothing if it is parked, committed or aborted."""
        with self._lock:
            if self._state is not State.ACTIVE:
                return
        self.cut(_over)

    def park(self) -> None:
        """Keep the bytes for this session only; ``open_writer(path, RESUME)`` goes on with them.

        A failed upload, and one that writes in place, is aborted instead. This handle is dead then.
        """
        with self._lock:
            if self._state is not State.ACTIVE:
                return
            if not (self._failed or self.terms.in_place):
                self._state = State.PARKED
                return
        self.cut(_over)

    # For the workspace -----------------------------------------------------------------------------

    def cut(self, refusal: Callable[[], StorageError], *, wait_s: float = END_WAIT_S) -> None:
        """Abort, parked or not; every later operation raises ``refusal()``.

        An operation that is inside aborts on its way out. It, or a commit that has begun, is waited for
        up to ``wait_s`` seconds.
        """
        with self._lock:
            self._state = State.OVER
            self._refusal = refusal
        self._gate.shut_and_then(refusal, lambda: self._finish(None))
        self._finished.wait(wait_s)

    def abort_for_removal(self) -> None:
        """Abort, parked or not, because its place was removed or replaced."""
        self.cut(_over)

    def successor(self) -> Upload:
        """Take up a parked upload under a new handle."""
        with self._lock:
            if self._state is not State.PARKED:
                raise _over()
            self._state = State.OVER
        if not self._gate.shut_and_wait(_over):
            self._gate.enter()
        heir = Upload(self._desk, self.path, self._writer, self.terms)
        heir._reserved, heir._charged = self._reserved, self._charged
        self._finished.set()
        return heir

    def move(self, path: VirtualPath, terms: Terms, *, replace: bool | None = None) -> None:
        """Publish at another path of the same mount; the caller has checked the rights (``Writer.retarget``)."""
        with self._gate.inside():
            self._writer.retarget(terms.inner, replace=replace)
            self.path, self.terms = path, terms

    # Inside ----------------------------------------------------------------------------------------

    @contextmanager
    def _driving(self) -> Iterator[None]:
        with self._gate.inside():
            self._check_active()  # outside the try: a late call on a dead handle fails no upload
            try:
                yield
            except StorageError:
                self._failed = True
                raise

    def _check_active(self) -> None:
        if self._state is not State.ACTIVE:
            raise self._refusal()

    def _check_floor(self, offset: int) -> None:
        if offset < self.terms.floor:
            raise PermissionDenied(f"only appending is allowed at {self.path}")

    def _cover(self, end: int) -> None:
        """See that the quota has room for a file of ``end`` bytes."""
        quota = self.terms.mount.quota
        if quota is None:
            return
        with self._covering:
            if self.terms.in_place:
                if end > self._charged:
                    quota.charge(end - self._charged)
                    self._charged = end
                return
            missing = end - self.terms.base - self._reserved
            if missing <= 0:
                return
            try:
                quota.reserve(missing + RESERVE_AHEAD)
                self._reserved += missing + RESERVE_AHEAD
            except StorageError:
                quota.reserve(missing)
                self._reserved += missing

    def _publish(self) -> Stat:
        if self._failed:
            raise UploadFailed("an earlier write failed")
        quota = self.terms.mount.quota
        if quota is None or self.terms.in_place:
            return self._writer.commit()
        try:
            replaced = self.terms.mount.filesystem.stat(self.terms.inner).size
        except NotFound:
            replaced = 0
        delta = self._writer.size - replaced
        quota.charge(delta)
        try:
            return self._writer.commit()
        except BaseException:
            quota.charge(-delta, forced=True)
            raise

    def _finish(self, stat: Stat | None) -> None:
        quota = self.terms.mount.quota
        try:
            with suppress(StorageError):  # a failed commit has ended the writer already
                self._last_size = self._writer.size if stat is None else stat.size
                if quota is not None and self.terms.in_place:
                    quota.charge(self._last_size - self._charged, forced=True)
            if stat is None:
                self._writer.abort()
        finally:
            if quota is not None:
                quota.release(self._reserved)
                self._reserved = 0
            self._finished.set()
            self._desk.upload_over(self, stat)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


def cut_all(uploads: Iterable[Upload], refusal: Callable[[], StorageError]) -> None:
    """Cut many, as one is cut: what is inside of them is waited for together."""
    cut = list(uploads)
    for upload in cut:
        upload.cut(refusal, wait_s=0)
    deadline = time.monotonic() + END_WAIT_S
    for upload in cut:
        upload.cut(refusal, wait_s=max(0.0, deadline - time.monotonic()))


class PendingTable:
    """A session's uploads in flight and parked, by path; thread-safe. At one path the latest counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uploads: dict[int, Upload] = {}

    def add(self, upload: Upload) -> None:
        """Take in an upload."""
        with self._lock:
            self._uploads[id(upload)] = upload

    def discard(self, upload: Upload) -> None:
        """Forget an upload that is over."""
        with self._lock:
            self._uploads.pop(id(upload), None)

    def all(self) -> list[Upload]:
        """All of them, oldest first."""
        with self._lock:
            return list(self._uploads.values())

    def at(self, path: VirtualPath) -> Upload | None:
        """Give the latest upload to ``path``, or None."""
        if not self._uploads:
            return None
        return next((upload for upload in reversed(self.all()) if upload.path == path), None)

    def within(self, path: VirtualPath) -> list[Upload]:
        """Give all uploads to ``path`` or below it."""
        return [upload for upload in self.all() if upload.path.is_within(path)] if self._uploads else []

    def names_in(self, directory: VirtualPath) -> dict[str, Upload]:
        """Give the uploads into ``directory`` by name."""
        if not self._uploads:
            return {}
        return {upload.path.name: upload for upload in self.all() if upload.path.parent == directory}

    def __len__(self) -> int:
        return len(self._uploads)


def moved(terms: Terms, inner: VirtualPath) -> Terms:
    """Give the same terms for another place of the same mount."""
    return replace(terms, inner=inner)
