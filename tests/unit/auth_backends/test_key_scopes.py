"""Networks and limits of keys."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from auth_backends.api import FrontEnd, Reason
from auth_backends.scope import api_key_problem, in_networks, ssh_key_problem
from storage.database.records import ApiKey, SshKey

INSIDE, OUTSIDE = ip_address("192.0.2.9"), ip_address("198.51.100.9")
NETWORKS = ("192.0.2.0/24",)


@pytest.mark.parametrize(
    ("peer", "networks", "inside"),
    [
        ("192.0.2.1", (), True),
        ("192.0.2.1", ("192.0.2.0/24",), True),
        ("192.0.2.1", ("192.0.2.77/24",), True),
        ("192.0.3.1", ("192.0.2.0/24",), False),
        ("192.0.3.1", ("192.0.2.0/24", "192.0.3.1"), True),
        ("::ffff:192.0.2.1", ("192.0.2.0/24",), True),
        ("2001:db8::1", ("2001:db8::/32",), True),
        ("2001:db8::1", ("192.0.2.0/24",), False),
        ("192.0.2.1", ("::/0",), False),
        ("192.0.2.1", ("everywhere",), False),
        ("192.0.2.1", ("everywhere", "192.0.2.1/32"), True),
    ],
)
def test_a_peer_is_in_a_network_or_not(peer: str, networks: tuple[str, ...], inside: bool) -> None:  # noqa: FBT001 - a table's column
    """Both families, IPv4 in IPv6, and texts that are no network admit nobody."""
    assert in_networks(ip_address(peer), networks) is inside


SSH = SshKey("1" * 32, "2" * 32, "ssh-ed25519", b"", "SHA256:")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (SSH, None),
        (replace(SSH, expires_at=101.0, networks=NETWORKS), None),
        (replace(SSH, revoked_at=1.0, expires_at=1.0), Reason.KEY_REVOKED),
        (replace(SSH, expires_at=100.0), Reason.KEY_EXPIRED),
        (replace(SSH, networks=("198.51.100.0/24",)), Reason.KEY_NETWORK),
    ],
)
def test_limits_of_an_ssh_key(key: SshKey, reason: Reason | None) -> None:
    """Revoked before expired before the network."""
    assert ssh_key_problem(key, INSIDE, 100.0, min_rsa_bits=2048) is reason


API = ApiKey("1" * 32, "2" * 32, b"")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (API, None),
        (replace(API, protocols=frozenset({"webdav", "api"}), networks=NETWORKS, expires_at=101.0), None),
        (replace(API, revoked_at=1.0), Reason.KEY_REVOKED),
        (replace(API, expires_at=100.0), Reason.KEY_EXPIRED),
        (replace(API, protocols=frozenset({"sftp"})), Reason.API_KEY_OUT_OF_SCOPE),
        (replace(API, networks=("198.51.100.0/24",)), Reason.KEY_NETWORK),
    ],
)
def test_limits_of_an_api_key(key: ApiKey, reason: Reason | None) -> None:
    """Each limit alone refuses the key."""
    assert api_key_problem(key, FrontEnd.WEBDAV, INSIDE, 100.0) is reason


def test_a_place_that_is_not_known_is_not_judged() -> None:
    """Without a front end and a peer only revocation and expiry are asked."""
    narrow = replace(API, protocols=frozenset({"sftp"}), networks=NETWORKS)

    assert api_key_problem(narrow, None, None, 0.0) is None
    assert api_key_problem(narrow, FrontEnd.SFTP, OUTSIDE, 0.0) is Reason.KEY_NETWORK
    assert ssh_key_problem(replace(SSH, networks=NETWORKS), None, 0.0, min_rsa_bits=2048) is None
