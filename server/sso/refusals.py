"""So many refused answers a minute are looked into for one network: strangers send as many as they like.

Each costs a verification, a row for admins and an audit event. It is a limit of each worker, and counts in no other:
whoever fails here can still give a password.
"""

from __future__ import annotations

import time
from collections import Counter

from auth_backends.api import Clock
from auth_backends.throttle import network_key
from server.peers import peer_address

AT_MOST = 600
WINDOW_S = 60.0


class Refusals:
    """Belongs to one event loop. ``clock`` is monotonic."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._counts: Counter[str] = Counter()

    def too_many(self, peer: str) -> bool:
        """Whether the network of this address has had its share for now."""
        if self._clock() - self._since >= WINDOW_S:
            self._since = self._clock()
            self._counts.clear()
        return self._counts.get(network_key(peer_address(peer)), 0) >= AT_MOST

    def count(self, peer: str) -> None:
        """Note that an answer from this address was refused."""
        self._counts[network_key(peer_address(peer))] += 1
