"""How many requests a second one provider may send to this worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rate:
    """A bucket of tokens for each provider, refilled continuously; a burst of two seconds' worth goes through.

    Not thread-safe: one event loop asks.
    """

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, provider: str, per_s: int, now: float) -> bool:
        """Whether one more request may come now; ``now`` is monotonic, in seconds."""
        burst = 2.0 * per_s
        bucket = self._buckets.setdefault(provider, _Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * per_s)
        bucket.at = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True
