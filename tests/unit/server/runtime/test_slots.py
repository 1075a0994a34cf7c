"""Back-off of restarts."""

from __future__ import annotations

from server.runtime.slots import Backoff


def test_the_delay_doubles_up_to_half_a_minute() -> None:
    """A worker that keeps crashing is started ever more rarely, but never given up."""
    backoff = Backoff()
    delays = [backoff.failed(served_s=0.0) for _ in range(12)]

    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-2:] == [30.0, 30.0]


def test_a_long_service_pays_off_earlier_crashes() -> None:
    """A crash after a minute of service starts the count anew."""
    backoff = Backoff()
    for _ in range(5):
        backoff.failed(served_s=1.0)

    assert backoff.failed(served_s=61.0) == 0.1
