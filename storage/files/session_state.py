"""SessionState: what one workspace holds open, and how all of it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from storage.files.access import Access
from storage.files.api import Stat
from storage.files.errors import PermissionDenied, SessionEnded, StorageError, TooManyOpen
from storage.files.events import EventKind, FileEvent, Observer
from storage.files.mounts import Mount
from storage.files.own import OwnFiles
from storage.files.path import VirtualPath
from storage.files.permissions import Right
from storage.files.readers import SessionReader
from storage.files.uploads import PendingTable, Upload, cut_all


class SessionState:
    """Open handles, own files, access and liveness of one session; thread-safe."""

    def __init__(self, access: Access, max_open: int, observer: Observer | None) -> None:
        self.access = access
        self.uploads = PendingTable()
        self.own = OwnFiles()
        self.ended: str | None = None
        self.renamer: Callable[..., None] | None = None
        self._readers: set[SessionReader] = set()
        self._max_open = max_open
        self._opening = 0
        self._observer = observer
        self._lock = threading.Lock()

    def live(self) -> Access:
        """Give the present access, or raise SessionEnded."""
        if self.ended is not None:
            raise SessionEnded(self.ended)
        return self.access

    def tell(self, kind: EventKind, path: VirtualPath, mount: Mount, **more: VirtualPath | int | None) -> None:
        """Tell the observer, if there is one."""
        if self._observer is not None:
            target, size = more.get("target"), more.get("size")
            self._observer.happened(
                FileEvent(
                    kind,
                    path,
                    mount.tree,
                    target=target if isinstance(target, VirtualPath) else None,
                    size=size if isinstance(size, int) else None,
                )
            )

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place for one more open handle while it is being opened; TooManyOpen if none is left."""
        with self._lock:
            if len(self.uploads) + len(self._readers) + self._opening >= self._max_open:
                raise TooManyOpen(f"{self._max_open} files are open")
            self._opening += 1
        try:
            yield
        finally:
            with self._lock:
                self._opening -= 1

    def keep_reader(self, reader: SessionReader) -> SessionReader:
        """Take in a reader; if the session or the right has ended meanwhile, close it and raise."""
        with self._lock:
            self._readers.add(reader)
        if self.ended is not None:
            reader.cut(self._refusal)
            raise self._refusal()
        if not _still_covered(self.access, reader.path, reader.mount, frozenset({Right.READ})):
            reader.cut(_revoked)
            raise _revoked()
        return reader

    def keep_upload(self, upload: Upload) -> Upload:
        """Take in an upload; if the session or the right has ended meanwhile, abort it and raise."""
        self.uploads.add(upload)
        if self.ended is not None:
            upload.cut(self._refusal)
            raise self._refusal()
        if not _still_covered(self.access, upload.path, upload.terms.mount, upload.terms.needs):
            upload.cut(_revoked)
            raise _revoked()
        return upload

    def adopt(self, access: Access) -> None:
        """Go on with another access: what lost its mount or its right is cut off at once."""
        self.access = access
        cut_all(
            (
                upload
                for upload in self.uploads.all()
                if not _still_covered(access, upload.path, upload.terms.mount, upload.terms.needs)
            ),
            _revoked,
        )
        with self._lock:
            readers = list(self._readers)
        for reader in readers:
            if not _still_covered(access, reader.path, reader.mount, frozenset({Right.READ})):
                reader.cut(_revoked)

    def end(self, reason: str) -> None:
        """End everything: later verbs raise SessionEnded, uploads are aborted, readers closed."""
        with self._lock:
            if self.ended is None:
                self.ended = reason
            readers = list(self._readers)
        for reader in readers:
            reader.cut(self._refusal)
        cut_all(self.uploads.all(), self._refusal)

    # What handles ask of their session ---------------------------------------------------------------

    def check_live(self) -> None:
        """Raise SessionEnded if the session has ended."""
        self.live()

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool) -> None:
        """Rename by path, with all checks."""
        if self.renamer is not None:
            self.renamer(source, target, replace=replace)

    def upload_over(self, upload: Upload, stat: Stat | None) -> None:
        """Take note that an upload was committed or aborted."""
        self.uploads.discard(upload)
        if stat is None:
            self.tell(EventKind.UPLOAD_ABORTED, upload.path, upload.terms.mount, size=upload.size)
            return
        if upload.terms.own:
            self.remember(upload.path, stat)
        self.tell(EventKind.UPLOADED, upload.path, upload.terms.mount, size=stat.size)

    def remember(self, path: VirtualPath, stat: Stat) -> None:
        """Note that the session made ``path``, if its rights alone would not let it go on there."""
        if not {Right.LIST, Right.OVERWRITE, Right.RENAME, Right.SET_TIMES} <= self.access.rights(path):
            self.own.add(path, stat)

    def reader_closed(self, reader: SessionReader) -> None:
        """Take note that a reader was closed."""
        with self._lock:
            self._readers.discard(reader)
        if reader.given:
            self.tell(EventKind.DOWNLOADED, reader.path, reader.mount, size=reader.given)

    def _refusal(self) -> StorageError:
        return SessionEnded(self.ended or "")


def _still_covered(access: Access, path: VirtualPath, mount: Mount, needs: frozenset[Right]) -> bool:
    found = access.table.find(path)
    return found is not None and found[0].tree == mount.tree and needs <= access.rights(path)


def _revoked() -> StorageError:
    return PermissionDenied("the right was taken away while the file was open")
