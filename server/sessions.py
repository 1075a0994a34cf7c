"""Live sessions of this process, their rows in the store, and how a revocation reaches them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import structlog

from auth_backends.api import Clock, FrontEnd, Granted, Principal, Reason
from server.runtime.journal import Journal
from storage.database.records import SessionRow, User
from storage.database.store import Store, StoreError
from storage.files.errors import StorageError
from storage.files.mounts import MountTable
from storage.files.workspace import Workspace

log = structlog.get_logger(__name__)

Cut = Callable[[str], None]
"""Given by a front end: thread-safe, returns at once, drops the client's connections without committing uploads."""

REVOKE_THREADS = 16
RECHECK_S = 5.0  # a session past its first expiry is held against the present rows this often

StillValid = Callable[[User | None, Principal], Reason | None]
MountsFor = Callable[[User], MountTable]


class Session:
    """One signed-in client on one front end.

    It ends once, by whoever is first: the front end (``end``), or a revocation, which also cuts
    the client off.
    """

    def __init__(
        self,
        sessions: Sessions,
        granted: Granted,
        row: SessionRow,
        workspace: Workspace,
        cut: Cut,
    ) -> None:
        self.id = row.id
        self.principal = granted.principal
        self.front_end = FrontEnd(row.front_end)
        self.peer = row.peer
        self.opened_at = row.opened_at
        self.not_after = granted.not_after
        self.epoch = granted.epoch
        self.workspace = workspace
        self.ended: str | None = None
        self._sessions = sessions
        self._cut = cut
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()

    def refresh(self, user: User, mounts: MountTable) -> bool:
        """Put the user's present rights in force; False if rights as new are in force already. Raises StorageError.

        Sign-in and the watcher may both come here with what they read at different times: the
        epoch only ever rises, so the older of the two never wins.
        """
        with self._refreshing:
            if user.epoch <= self.epoch:
                return False
            self.workspace.replace_mounts(mounts)
            self.principal = replace(self.principal, user=user)
            self.not_after = _earliest(self.not_after, user.expires_at)
            self.epoch = user.epoch
            return True

    def end(self, reason: str) -> None:
        """Close the session from the front end's side: uploads in flight are aborted. Idempotent, thread-safe."""
        if self._claim(reason):
            try:
                self.workspace.end(reason)
            finally:
                self._sessions.forget(self, reason)

    def revoke(self, reason: str) -> bool:
        """End the session from the server's side and drop the client; whether this call was the one that did."""
        if not self._claim(reason):
            return False
        try:
            self.workspace.end(reason)
        except Exception:
            log.exception("session.workspace_end_failed", session=self.id)
        try:
            self._cut(reason)
        except Exception:
            log.exception("session.cut_failed", session=self.id)
        self._sessions.forget(self, reason)
        return True

    def _claim(self, reason: str) -> bool:
        with self._lock:
            if self.ended is not None:
                return False
            self.ended = reason
            return True


class Sessions:
    """The registry of one worker process. Thread-safe.

    The watcher (see :mod:`server.watcher`) calls ``recheck`` with the users that a revocation
    names; everything that must end is cut before anything is narrowed.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        *,
        worker: str,
        still_valid: StillValid,
        mounts_for: MountsFor,
        clock: Clock = time.time,
    ) -> None:
        self.worker = worker
        self._store = store
        self._journal = journal
        self._still_valid = still_valid
        self._mounts_for = mounts_for
        self._clock = clock
        self._lock = threading.Lock()
        self._live: dict[str, Session] = {}

    def open(
        self, session_id: str, granted: Granted, front_end: FrontEnd, *, peer: str, workspace: Workspace, cut: Cut
    ) -> Session:
        """Register a session; what changed since the broker's decision is applied before it is given.

        The session is given even if it was ended by that: ``ended`` says so, and its workspace
        serves nothing. Raises StoreError, and then nothing is registered.
        """
        now = self._clock()
        user = granted.principal.user
        row = SessionRow(
            id=session_id,
            user_id=user.id,
            user_name=user.name,
            front_end=front_end.value,
            peer=peer,
            factor=granted.principal.factor.value,
            credential_id=granted.principal.credential_id,
            epoch=granted.epoch,
            worker=self.worker,
            opened_at=now,
            seen_at=now,
        )
        session = Session(self, granted, row, workspace, cut)
        self._store.sessions.open(row)
        with self._lock:
            self._live[session.id] = session
        # From here on the watcher sees it; a change between the decision and this line is looked for now.
        try:
            self._recheck_user(user.id, [session])
        except StoreError:
            session.end("store_unavailable")
            raise
        log.info("session.opened", session=session.id, user=user.name, front_end=front_end.value, peer=peer)
        return session

    def live(self) -> list[Session]:
        """Give the sessions that have not ended."""
        with self._lock:
            return list(self._live.values())

    def revoke(self, *, user_id: str | None = None, session_id: str | None = None, reason: str) -> int:
        """Cut the sessions of a user, or one session, of this process; give how many."""
        return self._revoke(
            [
                (session, reason)
                for session in self.live()
                if session.principal.user.id == user_id or session.id == session_id
            ]
        )

    def close_all(self, reason: str) -> int:
        """Cut every session; give how many."""
        return self._revoke([(session, reason) for session in self.live()])

    def forget(self, session: Session, reason: str) -> None:
        """Take an ended session off the registry; its row is closed in the background."""
        with self._lock:
            self._live.pop(session.id, None)
        log.info("session.ended", session=session.id, user=session.principal.user.name, reason=reason)
        ended_at = self._clock()
        self._journal.write(lambda store: store.sessions.end(session.id, reason, ended_at))

    def bury(self, worker: str) -> None:
        """Close the rows of a worker that is gone, in the background."""
        at = self._clock()
        self._journal.write(lambda store: store.sessions.end_of_worker(worker, "worker_lost", at))

    def recheck(self, user_ids: Iterable[str]) -> None:
        """Hold the live sessions of these users against the present rows: cut, narrow, or leave. Raises StoreError."""
        by_user = self._by_user()
        for user_id in user_ids:
            if sessions := by_user.get(user_id):
                self._recheck_user(user_id, sessions)

    def compare_epochs(self) -> None:
        """Recheck every user whose epoch moved on, so that a lost wake-up only delays. Raises StoreError."""
        for user_id, sessions in self._by_user().items():
            self._recheck_user(user_id, sessions)

    def expire(self) -> None:
        """Cut the sessions whose account or credential has run out and was not prolonged. Raises StoreError."""
        now = self._clock()
        for session in self.live():
            if session.not_after is None or now < session.not_after:
                continue
            reason = self._end_reason(self._store.users.by_id(session.principal.user.id), session)
            if reason is None:  # prolonged meanwhile: the present rows decide from here on
                session.not_after = now + RECHECK_S
            else:
                self._cut(session, reason)

    def _by_user(self) -> dict[str, list[Session]]:
        by_user: dict[str, list[Session]] = {}
        for session in self.live():
            by_user.setdefault(session.principal.user.id, []).append(session)
        return by_user

    def _recheck_user(self, user_id: str, sessions: list[Session]) -> None:
        user = self._store.users.by_id(user_id)  # before the grants: a later change has a later epoch and comes again
        moved_on = [session for session in sessions if user is None or session.epoch != user.epoch]
        reasons = [(session, self._end_reason(user, session)) for session in moved_on]
        self._revoke([(session, reason) for session, reason in reasons if reason is not None])
        stay = [session for session, reason in reasons if reason is None]
        if user is not None and stay:
            self._narrow(user, stay)

    def _revoke(self, ending: list[tuple[Session, str]]) -> int:
        """Cut these, all at the same time: ending a workspace may wait for a slow disk. Give how many were cut here."""
        if len(ending) <= 1:
            return sum(self._cut(session, reason) for session, reason in ending)
        with ThreadPoolExecutor(min(len(ending), REVOKE_THREADS), thread_name_prefix="revoke") as pool:
            return sum(pool.map(lambda pair: self._cut(*pair), ending))

    def _cut(self, session: Session, reason: str) -> bool:
        cut = session.revoke(reason)
        if cut:
            self._record_cut(session, reason)
        return cut

    def _end_reason(self, user: User | None, session: Session) -> str | None:
        """Say why a session must end, or None. One that cannot be judged ends: it must not hold up the others' turn."""
        try:
            reason = self._still_valid(user, session.principal)
        except StoreError:
            raise
        except Exception:
            log.exception("session.not_judged", session=session.id)
            reason = Reason.INTERNAL_ERROR
        return None if reason is None else reason.value

    def _narrow(self, user: User, sessions: list[Session]) -> None:
        try:
            mounts = self._mounts_for(user)
        except StoreError:
            raise
        except Exception:  # also a backend's own: the rights cannot be put in force, so fail closed
            log.exception("session.tree_failed", user=user.name)
            self._revoke([(session, "storage_unavailable") for session in sessions])
            return
        for session in sessions:
            try:
                if session.refresh(user, mounts):
                    log.info("session.refreshed", session=session.id, user=user.name, epoch=user.epoch)
            except StorageError:
                log.exception("session.narrow_failed", session=session.id)
                self._cut(session, "storage_unavailable")

    def _record_cut(self, session: Session, reason: str) -> None:
        name, at = session.principal.user.name, self._clock()
        self._journal.write(
            lambda store: store.audit.add(
                "session.cut",
                "system",
                name,
                "cut",
                reason,
                front_end=session.front_end.value,
                peer=session.peer,
                session_id=session.id,
                at=at,
            )
        )


def _earliest(first: float | None, second: float | None) -> float | None:
    known = [moment for moment in (first, second) if moment is not None]
    return min(known) if known else None
