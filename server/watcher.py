"""The thread that brings revocations from the store to the live sessions of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from server.sessions import Sessions
from storage.database.records import Revocation
from storage.database.store import Store, StoreError

log = structlog.get_logger(__name__)

WAIT_S = 0.5
COMPARE_S = 5.0
TOUCH_S = 10.0
BLIND_S = 60.0


class Watcher:
    """Waits for revocations and applies them; also compares epochs, ends expired sessions and shows signs of life.

    While the store is unreachable, or rounds fail for whatever reason, live sessions go on for at
    most ``blind_s`` seconds, since nobody could tell whether they were revoked; then they are all
    cut (fail closed). Without the store no new session opens meanwhile.
    """

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        *,
        blind_s: float = BLIND_S,
        wait_s: float = WAIT_S,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._blind_s = blind_s
        self._wait_s = wait_s
        self._monotonic = monotonic
        self._clock = clock
        self._stopping = threading.Event()
        self._sequence = store.revocations.latest()
        self._seen_at = monotonic()
        self._compared_at = self._touched_at = self._seen_at
        self._thread = threading.Thread(target=self._watch, name="revocations", daemon=True)

    def start(self) -> None:
        """Begin to watch; before the first session opens."""
        self._thread.start()

    def stop(self) -> None:
        """Stop within about the wait of one round."""
        self._stopping.set()
        self._thread.join(2 * self._wait_s + 1.0)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                self._round()
                self._seen_at = self._monotonic()
            except StoreError as error:
                log.warning("revocations.store_unreachable", error=str(error))
                self._missed_a_round("store_unreachable")
            except Exception:
                log.exception("revocations.round_failed")
                self._missed_a_round("revocations_unreadable")

    def _round(self) -> None:
        self._store.revocations.wait(self._wait_s)
        rows = self._store.revocations.since(self._sequence)
        if rows:
            self._apply(rows)
            self._sequence = rows[-1].sequence
        self._sessions.expire()
        now = self._monotonic()
        if now - self._compared_at >= COMPARE_S:
            self._sessions.compare_epochs()
            self._compared_at = now
        if now - self._touched_at >= TOUCH_S:
            if self._sessions.live():
                self._store.sessions.touch(self._sessions.worker, self._clock())
            self._touched_at = now

    def _apply(self, rows: list[Revocation]) -> None:
        users: dict[str, None] = {}
        for row in rows:
            if row.session_id is not None:
                self._sessions.revoke(session_id=row.session_id, reason=row.reason)
            elif row.user_id is not None:
                users[row.user_id] = None
        self._sessions.recheck(users)

    def _missed_a_round(self, reason: str) -> None:
        blind = self._monotonic() - self._seen_at
        if blind >= self._blind_s and (cut := self._sessions.close_all(reason)):
            log.error("revocations.sessions_cut_blind", sessions=cut, blind_s=round(blind, 1))
        self._stopping.wait(self._wait_s)
