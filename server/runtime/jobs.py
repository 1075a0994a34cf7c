"""The jobs role: what one process of the installation does now and then, elected by a lease."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from server.runtime.directory_sync import DirectorySync
from server.runtime.token_warnings import warn_of_tokens
from server.services import Control, Services
from storage.database.portal_sessions import PORTAL_WORKER
from storage.database.store import StoreError
from storage.files.errors import StorageError

log = structlog.get_logger(__name__)

LEASE = "jobs"
LEASE_S = 60.0
ROUND_S = 10.0
DEAD_S = 60.0  # live workers touch their sessions every 10 s
PRUNE_S = 3600.0
TOKENS_S = 3600.0
SIGN_IN_S = 3600.0
SWEEP_AT_LEAST_S = 3600.0
SWEEP_AT_MOST_S = 1.0


class Jobs:
    """Each job with the time when it is due; blocking, one thread."""

    def __init__(
        self,
        services: Services,
        *,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._services = services
        self._stopping = stopping
        self._clock = clock
        stale_s = services.settings.files.stale_upload_s
        self._sweep_every_s = min(max(stale_s / 4, SWEEP_AT_MOST_S), SWEEP_AT_LEAST_S)
        self._due = {"sweep": 0.0, "prune": 0.0, "tokens": 0.0, "sign_in": 0.0}
        self.leads = False

    @property
    def round_s(self) -> float:
        """Seconds between rounds."""
        return min(ROUND_S, self._sweep_every_s)

    def round(self) -> None:
        """Do what is due, if this process has the lease. Raises StoreError."""
        services = self._services
        self.leads = services.store.leases.take(LEASE, services.sessions.worker, LEASE_S)
        if not self.leads:
            return
        now = self._clock()
        self.bury_dead_workers(now)
        services.store.portal.expire(now, services.settings.portal.idle_s)
        if now >= self._due["prune"]:
            services.store.prune(now)
            self._due["prune"] = now + PRUNE_S
        if now >= self._due["tokens"]:
            warn_of_tokens(services.store, now)
            self._due["tokens"] = now + TOKENS_S
        if now >= self._due["sign_in"]:
            self._due["sign_in"] = now + SIGN_IN_S
            services.look_after_sign_in(now)
        if now >= self._due["sweep"]:
            self.sweep()
            self._due["sweep"] = now + self._sweep_every_s

    def bury_dead_workers(self, now: float) -> None:
        """End the sessions of workers that showed no sign of life for a minute; those of the portal have no worker."""
        rows = [row for row in self._services.store.sessions.live() if row.worker != PORTAL_WORKER]
        for worker in {row.worker for row in rows if now - row.seen_at > DEAD_S}:
            ended = self._services.store.sessions.end_of_worker(worker, "worker_lost", now)
            log.warning("sessions.of_dead_worker_ended", dead=worker, sessions=ended)

    def sweep(self) -> int:
        """Remove the temporary files that dead workers left; give how many."""
        removed = 0
        for filesystem in self._services.workspaces.filesystems():
            if self._stopping():
                break
            try:
                removed += filesystem.sweep(self._services.settings.files.stale_upload_s)
            except (StorageError, OSError) as error:
                log.warning("sweep.failed", error=str(error))
        if removed:
            log.info("sweep.removed", files=removed)
        return removed

    def release(self) -> None:
        """Let another process take over at once. Raises StoreError."""
        self._services.store.leases.release(LEASE, self._services.sessions.worker)


def run(services: Services, sockets: Sequence[socket.socket], control: Control) -> None:  # noqa: ARG001 - every role's signature
    """Do the jobs until drained."""
    stopping = threading.Event()
    control.on_drain(lambda _grace_s: stopping.set())
    jobs = Jobs(services, stopping=stopping.is_set)
    directories = DirectorySync(services, leads=lambda: jobs.leads)
    directories.start()
    control.ready()
    while not stopping.is_set():
        try:
            jobs.round()
        except StoreError as error:
            log.warning("jobs.store_unreachable", error=str(error))
        stopping.wait(jobs.round_s)
    directories.stop()
    try:
        jobs.release()
    except StoreError as error:
        log.warning("jobs.lease_kept", error=str(error))
