"""Where a connection goes when a host has several addresses."""

from __future__ import annotations

import socket
from typing import Any, Final

import pytest

from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import NotConnected
from auth_backends.ldap.transport import Transport

UNKNOWN_FAMILY: Final[Any] = 9999
"""What no kernel has, as some have no IPv6: ``socket()`` itself fails."""


def test_an_address_of_an_unknown_family_is_passed_over() -> None:
    """The next address of the host is tried."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = (socket.AF_INET, "127.0.0.1", server.getsockname()[1])
        made = Transport.connect([(UNKNOWN_FAMILY, "::1", 636), here], "server:1", Deadline.after(5))
        accepted, _ = server.accept()
        accepted.close()
        made.close()


def test_only_addresses_of_an_unknown_family() -> None:
    """Said as any server that cannot be reached, so that the next server is asked."""
    with pytest.raises(NotConnected, match="not supported"):
        Transport.connect([(UNKNOWN_FAMILY, "::1", 636)], "server:1", Deadline.after(5))
