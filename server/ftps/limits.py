"""How many control connections a worker serves, in all and per address."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv6Address, ip_address, ip_network

FAILED_SIGN_INS = 3  # per connection; the broker counts per user and per network besides
FAILURE_DELAY_S = 1.0  # how long a connection is held after a failed sign-in
MAX_LINE_BYTES = 8192  # a path of 4096 bytes of UTF-8, a command word, and some
MAX_WAITING_REPLIES = 64  # a client that reads no replies is not read from either
PASSIVE_WAIT_S = 30.0  # how long a passive port waits for the client
DATA_HANDSHAKE_S = 30.0  # how long the TLS handshake of a data connection may take


class Admission(Enum):
    """Whether a new connection may stay."""

    ADMITTED = auto()
    FULL = auto()
    ADDRESS_FULL = auto()


def address_key(address: str) -> str:
    """Give what is counted for an address: itself for IPv4 (also when mapped), the /64 for IPv6."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The two limits of a worker."""

    total: int
    per_address: int


class Admissions:
    """Counts live connections against the limits. Thread-safe."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._live: Counter[str] = Counter()

    def enter(self, address: str) -> Admission:
        """Count a new connection, if it may stay; whoever is admitted must ``leave``."""
        key = address_key(address)
        with self._lock:
            if self._live.total() >= self._limits.total:
                return Admission.FULL
            if self._live[key] >= self._limits.per_address:
                return Admission.ADDRESS_FULL
            self._live[key] += 1
            return Admission.ADMITTED

    def leave(self, address: str) -> None:
        """Count an admitted connection off."""
        key = address_key(address)
        with self._lock:
            self._live[key] -= 1
            if self._live[key] <= 0:
                del self._live[key]

    @property
    def live(self) -> int:
        """Connections admitted now."""
        with self._lock:
            return self._live.total()
