"""The event loop of a session."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from OpenSSL import SSL

from server.ftps.loop import SessionLoop, Waker
from server.ftps.tls import build_context
from tests.support.ftps_site import write_certificate

YEAR_S = 365 * 24 * 3600


def test_a_waker_ends_the_wait_from_another_thread() -> None:
    """At once, and once only."""
    with SessionLoop() as loop:
        waker = Waker()
        waker.attach(loop)
        thread = threading.Timer(0.05, waker.wake)
        thread.start()
        start = time.monotonic()
        loop.poll(20)
        assert time.monotonic() - start < 10
        thread.join()
        start = time.monotonic()
        loop.poll(0.05)
        assert time.monotonic() - start >= 0.04
    waker.wake()


def test_the_loop_asks_what_a_channel_wants() -> None:
    """A channel that is writable and wants nothing does not end the wait; stale interest is not kept."""
    near, far = socket.socketpair()

    class Channel:
        _fileno = near.fileno()
        wants_to_write = True
        turns = 0

        def readable(self) -> bool:
            return False

        def writable(self) -> bool:
            return self.wants_to_write

        def handle_write_event(self) -> None:
            self.turns += 1
            self.wants_to_write = False

        def close(self) -> None:
            near.close()

    with far, SessionLoop() as loop:
        channel = Channel()
        loop.register(near.fileno(), channel, loop.READ | loop.WRITE)
        loop.poll(1)
        start = time.monotonic()
        loop.poll(0.05)

        assert channel.turns == 1
        assert time.monotonic() - start >= 0.04


def test_the_server_offers_no_renegotiation(tmp_path: Path) -> None:
    """A client could make it do handshakes for ever."""
    context = build_context(*write_certificate(tmp_path))

    assert context.set_options(0) & SSL.OP_NO_RENEGOTIATION
