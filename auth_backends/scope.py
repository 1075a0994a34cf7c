"""The limits of one key: where from, where to, until when. Pure."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network

from auth_backends.api import Address, FrontEnd, Reason
from auth_backends.ssh_keys import rsa_bits
from storage.database.records import ApiKey, SshKey


def plain_address(peer: Address) -> Address:
    """Give the IPv4 address behind an IPv4-mapped IPv6 one (RFC 4291 section 2.5.5.2); others as they are."""
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
        return peer.ipv4_mapped
    return peer


def in_networks(peer: Address, networks: tuple[str, ...]) -> bool:
    """Whether the peer is in one of the networks; no networks mean anywhere.

    A network that cannot be read admits nobody: a typing error narrows, it never widens.
    """
    if not networks:
        return True
    address = plain_address(peer)
    for text in networks:
        try:
            if address in ip_network(text, strict=False):
                return True
        except ValueError:
            continue
    return False


def ssh_key_problem(key: SshKey, peer: Address | None, now: float, *, min_rsa_bits: int) -> Reason | None:
    """Say why this registered SSH key may not be used from there at this time, or None."""
    if key.revoked_at is not None:
        return Reason.KEY_REVOKED
    if key.expires_at is not None and now >= key.expires_at:
        return Reason.KEY_EXPIRED
    if peer is not None and not in_networks(peer, key.networks):
        return Reason.KEY_NETWORK
    bits = rsa_bits(key.blob)
    if bits is not None and bits < min_rsa_bits:
        return Reason.KEY_TOO_WEAK
    return None


def api_key_problem(key: ApiKey, front_end: FrontEnd | None, peer: Address | None, now: float) -> Reason | None:
    """Say why this API key may not be used there, from there, at this time, or None."""
    if key.revoked_at is not None:
        return Reason.KEY_REVOKED
    if key.expires_at is not None and now >= key.expires_at:
        return Reason.KEY_EXPIRED
    if front_end is not None and key.protocols and front_end.value not in key.protocols:
        return Reason.API_KEY_OUT_OF_SCOPE
    if peer is not None and not in_networks(peer, key.networks):
        return Reason.KEY_NETWORK
    return None
