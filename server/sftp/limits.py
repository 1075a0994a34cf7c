"""Numbers that nobody may exceed, and the gate that counts connections which have not signed in."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_network
from typing import Final

from server.peers import peer_address

MAX_READ: Final = 256 * 1024  # bytes that one READ gives; more is answered by a short read
MAX_WRITE: Final = 256 * 1024  # bytes that one WRITE may carry
MAX_PACKET: Final = MAX_WRITE + 1024  # bytes of one SFTP packet; more ends the session
COPY_CHUNK: Final = 1024 * 1024  # bytes that copy-data moves before other sessions get their turn
LISTING_BATCH: Final = 128  # names in one answer to READDIR
MAX_UNAUTHENTICATED_INPUT: Final = 1024 * 1024  # bytes that may wait unparsed before sign-in


def network_of(address: str) -> str:
    """Give the /24 (IPv4) or /64 (IPv6) network of an address; an address that is none is its own."""
    try:
        ip = peer_address(address)
    except ValueError:
        return address
    return str(ip_network((ip, 24 if ip.version == 4 else 64), strict=False))  # noqa: PLR2004 - the IP version


class StartupGate:
    """Counts connections that have not signed in, in all and for each network.

    For one event loop: not thread-safe. asyncssh has only a timeout for them, which 300 silent
    connections fill for free.
    """

    def __init__(self, limit: int, limit_per_network: int) -> None:
        self._limit = limit
        self._limit_per_network = limit_per_network
        self._networks: Counter[str] = Counter()

    @property
    def inside(self) -> int:
        """Connections that have not signed in yet."""
        return self._networks.total()

    def enter(self, address: str) -> bool:
        """Count a new connection in; False, and nothing counted, if there are too many."""
        network = network_of(address)
        if self.inside >= self._limit or self._networks[network] >= self._limit_per_network:
            return False
        self._networks[network] += 1
        return True

    def leave(self, address: str) -> None:
        """Count a connection out that signed in or went away; once for each ``enter``."""
        network = network_of(address)
        self._networks[network] -= 1
        if self._networks[network] <= 0:
            del self._networks[network]
