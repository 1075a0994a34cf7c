"""Clients that were not let in: each kind of refusal from each network is told at most once a minute."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from ipaddress import ip_address

import structlog

from auth_backends.api import Clock
from auth_backends.throttle import network_key
from storage.database.store import Store, StoreError

log = structlog.get_logger(__name__)

EVERY_S = 60.0
MAX_KEPT = 1000


@dataclass(slots=True)
class _Told:
    at: float
    since: int = 0


class Refusals:
    """Thread-safe. Strangers can't fill the audit trail: what comes within the minute is counted and told later."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str], _Told] = {}

    def tell(self, reason: str, provider: str, peer: str) -> None:
        """Write an audit event, if it is time for one; blocking."""
        now = self._clock()
        key = (reason, network_key(ip_address(peer)))
        with self._lock:
            if len(self._told) >= MAX_KEPT:
                self._told.clear()
            told = self._told.get(key)
            if told is not None and now - told.at < EVERY_S:
                told.since += 1
                return
            before = 0 if told is None else told.since
            self._told[key] = _Told(now)
        log.warning("scim.client_refused", reason=reason, provider=provider, peer=peer, more=before)
        try:
            self._store.audit.add(
                "scim.client_refused",
                "scim",
                f"provider:{provider}" if provider else "provider",
                "refused",
                reason,
                front_end="scim",
                peer=peer,
                detail={"more_since_last": before},
            )
        except StoreError as error:
            log.warning("scim.refusal_not_recorded", error=str(error))
