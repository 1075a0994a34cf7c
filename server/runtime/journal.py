"""What happened, written to the store in the background, so that no transfer waits on the database."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import structlog

from auth_backends.api import Clock, FrontEnd
from storage.database.store import Store, StoreError, StoreUnavailable
from storage.files.events import EventKind, FileEvent

log = structlog.get_logger(__name__)

CAPACITY = 10_000  # entries that wait while the database is away: minutes of a busy worker, some MB
RETRY_S = 0.5
CLOSING_RETRY_S = 0.05

UNRECORDED = frozenset({EventKind.DOWNLOADED, EventKind.UPLOAD_ABORTED})  # logged, but no change to any file

Entry = Callable[[Store], object]


class Journal:
    """A bounded queue and one thread that writes to the store, in order.

    While the store is unreachable entries wait and are tried again. What cannot be kept (the
    queue is full, or the store is still away at ``close``) is counted and logged as an error:
    nothing is lost silently.
    """

    def __init__(self, store: Store, *, capacity: int = CAPACITY, retry_s: float = RETRY_S) -> None:
        self._store = store
        self._retry_s = retry_s
        self._entries: queue.Queue[Entry | None] = queue.Queue(capacity)
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._lost = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Entries that could not be written."""
        return self._lost

    def write(self, entry: Entry) -> None:
        """Queue one write and return at once; it must raise nothing but StoreError."""
        try:
            self._entries.put_nowait(entry)
        except queue.Full:
            self._lose("the journal is full")

    def close(self, timeout_s: float = 10.0) -> int:
        """Write what is queued, for at most ``timeout_s`` seconds, and stop; give how many were lost in all."""
        self._deadline = time.monotonic() + timeout_s
        self._closing.set()
        try:
            self._entries.put(None, timeout=timeout_s)
        except queue.Full:
            log.warning("journal.still_full_at_close")
        self._thread.join(timeout_s + 1.0)
        while True:
            try:
                left = self._entries.get_nowait()
            except queue.Empty:
                break
            if left is not None:
                self._lose("the store stayed unreachable until the end")
        return self._lost

    def _work(self) -> None:
        while (entry := self._entries.get()) is not None:
            while not self._written(entry):
                if time.monotonic() >= self._deadline:
                    self._lose("the store stayed unreachable until the end")
                    return
                if self._closing.wait(self._retry_s):
                    time.sleep(CLOSING_RETRY_S)

    def _written(self, entry: Entry) -> bool:
        try:
            entry(self._store)
        except StoreUnavailable as error:
            log.warning("journal.waits_for_store", error=str(error), queued=self._entries.qsize())
            return False
        except StoreError as error:
            self._lose(str(error))
        except Exception as error:
            log.exception("journal.entry_failed")
            self._lose(str(error))
        return True

    def _lose(self, why: str) -> None:
        with self._lock:
            self._lost += 1
        log.error("journal.entry_lost", why=why, lost=self._lost)


class FileJournal:
    """The Observer of one session: each file event goes to the log at once and to the audit trail soon."""

    def __init__(
        self,
        journal: Journal,
        session_id: str,
        user_name: str,
        front_end: FrontEnd,
        peer: str,
        *,
        clock: Clock = time.time,
    ) -> None:
        self._journal = journal
        self._session_id = session_id
        self._user_name = user_name
        self._front_end = front_end
        self._peer = peer
        self._clock = clock

    def happened(self, event: FileEvent) -> None:
        """Log one event, and queue its audit record if it changed files."""
        name = f"file.{event.kind}"
        path, target = str(event.path), None if event.target is None else str(event.target)
        log.info(
            name,
            session=self._session_id,
            user=self._user_name,
            front_end=self._front_end.value,
            path=path,
            target=target,
            size=event.size,
        )
        if event.kind in UNRECORDED:
            return
        at = self._clock()
        detail: dict[str, object] = {"path": path, "tree": event.tree}
        detail |= {} if target is None else {"target": target}
        detail |= {} if event.size is None else {"size": event.size}
        self._journal.write(
            lambda store: store.audit.add(
                name,
                self._user_name,
                self._user_name,
                "done",
                str(event.kind),
                front_end=self._front_end.value,
                peer=self._peer,
                session_id=self._session_id,
                detail=detail,
                at=at,
            )
        )
