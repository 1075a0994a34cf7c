"""The gate for connections that have not signed in."""

from __future__ import annotations

import pytest

from server.sftp.limits import StartupGate, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2.0/24"),
        ("::ffff:10.1.2.3", "10.1.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_networks(address: str, network: str) -> None:
    """/24 and /64; an IPv4 client of a dual-stack socket is an IPv4 client."""
    assert network_of(address) == network


def test_a_network_cannot_take_all_places() -> None:
    """Others still get in, until the whole is full."""
    gate = StartupGate(limit=3, limit_per_network=2)

    assert [gate.enter(address) for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3")] == [True, True, False]
    assert gate.enter("10.0.1.1")
    assert not gate.enter("10.0.2.1")


def test_who_leaves_makes_room_and_leaves_nothing_behind() -> None:
    """The counters of empty networks are forgotten."""
    gate = StartupGate(limit=1, limit_per_network=1)
    for number in range(5):
        assert gate.enter(f"10.0.{number}.1")
        gate.leave(f"10.0.{number}.1")

    assert gate.inside == 0
    assert not gate._networks
