"""The client's address as the core knows it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def peer_address(text: str) -> IPv4Address | IPv6Address:
    """Read a socket's peer name; an IPv4 client of a dual-stack socket is an IPv4 client. ValueError if it is none."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
