"""Passive ports."""

from __future__ import annotations

import socket

import pytest

from server.ftps.passive import listen_in_range

YEAR_S = 365 * 24 * 3600


def test_a_used_up_range_gives_none() -> None:
    """Not another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert listen_in_range("127.0.0.1", socket.AF_INET, range(port, port + 1)) is None


def test_a_port_that_is_bound_but_not_yet_listened_on_is_no_trap() -> None:
    """Another worker may be between bind and listen: SO_REUSEADDR lets both bind, and one listen."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        listener = listen_in_range("127.0.0.1", socket.AF_INET, range(port, port + 1))
        assert listener is not None
        with listener, pytest.raises(OSError, match="in use"):
            other.listen()
