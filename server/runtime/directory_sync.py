"""The sync of directories as a job: each provider when it is due, one after the other, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from auth_backends.ldap.sync.api import Report, SyncBusy, Wish
from server.providers import ProviderBook
from server.services import Services
from storage.database.store import StoreError, StoreUnavailable

log = structlog.get_logger(__name__)

ROUND_S = 5.0
ACTOR = "jobs"


class DirectorySync:
    """Runs while this process leads the jobs. The runs of a large directory must not hold up the other jobs."""

    def __init__(
        self,
        services: Services,
        *,
        leads: Callable[[], bool],
        round_s: float = ROUND_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = services.store
        self._book = ProviderBook(services.store, services.settings)
        self._holder = f"{services.sessions.worker}/sync"
        self._leads = leads
        self._round_s = round_s
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="directory-sync", daemon=True)

    def start(self) -> None:
        """Begin to look for what is due."""
        self._thread.start()

    def stop(self, wait_s: float = 10.0) -> None:
        """Stop; a run that is under way ends between two pages and goes on in the next process."""
        self._stopping.set()
        self._thread.join(wait_s)

    def round(self) -> list[Report]:
        """Run what is due now. Raises StoreError."""
        reports: list[Report] = []
        providers = self._book.listed()
        if not providers:
            return reports
        from auth_backends.ldap.sync.run import synchronise  # noqa: PLC0415 - a site without a directory does without

        for listed in providers:
            if self._stopping.is_set():
                break
            if listed.provider is None:
                log.warning("sync.provider_unreadable", provider=listed.name, why=listed.problem)
                continue
            if self._clock() < self._store.syncs.state(listed.name).next_at:
                continue
            provider = self._book.ldap(listed.name)  # a run before may have taken an hour
            if provider is None:
                continue
            try:
                report = synchronise(
                    self._store,
                    listed.name,
                    provider,
                    Wish(),
                    actor=ACTOR,
                    holder=self._holder,
                    stopping=self._stopping.is_set,
                    clock=self._clock,
                )
            except SyncBusy:  # an admin runs it by hand
                continue
            except StoreUnavailable:
                raise
            except Exception:  # the run has failed and says so; other providers are no worse for it
                log.exception("sync.broke", provider=listed.name)
                continue
            reports.append(report)
        return reports

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._leads():
                    self.round()
            except StoreError as error:
                log.warning("sync.store_unreachable", error=str(error))
            except Exception:
                log.exception("sync.round_failed")
            self._stopping.wait(self._round_s)
