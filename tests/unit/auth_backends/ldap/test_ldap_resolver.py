"""Addresses of servers: DNS has a limit, and an address that is known serves when DNS does not."""

from __future__ import annotations

import socket
import threading

import pytest

from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import NameUnresolved
from auth_backends.ldap.resolver import FRESH_S, Resolver, look_up
from auth_backends.ldap.transport import SocketAddress

HERE: SocketAddress = (socket.AF_INET, "192.0.2.1", 636)


class Dns:
    """Answers, fails or hangs, as the test says."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: OSError | None = None
        self.hangs = threading.Event()
        self.goes_on = threading.Event()
        self.now = 1000.0
        self.resolver = Resolver(self, lambda: self.now)

    def __call__(self, host: str, port: int) -> list[SocketAddress]:
        self.asked += 1
        if self.hangs.is_set():
            self.goes_on.wait(10)
        if self.error is not None:
            raise self.error
        return [HERE]

    def addresses(self) -> list[SocketAddress]:
        return list(self.resolver.addresses("dc1.corp.test", 636, Deadline.after(0.2)))


@pytest.fixture
def dns() -> object:
    made = Dns()
    yield made
    made.goes_on.set()


def test_known_for_a_while(dns: Dns) -> None:
    """Asked once, and again when it is old."""
    first = [dns.addresses() for _ in range(3)]
    dns.now += FRESH_S
    dns.addresses()

    assert first == [[HERE]] * 3
    assert dns.asked == 2


def test_a_known_address_serves_when_dns_does_not(dns: Dns) -> None:
    """Whether it fails or hangs: TLS proves who answers."""
    dns.addresses()
    dns.now += FRESH_S
    dns.error = OSError("no")
    failed = dns.addresses()
    dns.error = None
    dns.hangs.set()

    assert failed == dns.addresses() == [HERE]


def test_unknown(dns: Dns) -> None:
    """A name that DNS does not know; asked again the next time."""
    dns.error = socket.gaierror(-2, "Name or service not known")
    with pytest.raises(NameUnresolved, match=r"has no address for dc1\.corp\.test"):
        dns.addresses()
    dns.error = None

    assert dns.addresses() == [HERE]


def test_dns_that_hangs_holds_nobody(dns: Dns) -> None:
    """The wait ends with the deadline, and one question is enough for all who wait."""
    dns.hangs.set()
    for _ in range(3):
        with pytest.raises(NameUnresolved, match="in time"):
            dns.addresses()

    assert dns.asked == 1


@pytest.mark.parametrize(("text", "family"), [("192.0.2.7", socket.AF_INET), ("2001:db8::7", socket.AF_INET6)])
def test_an_address_needs_no_dns(text: str, family: int, dns: Dns) -> None:
    """It is what it says."""
    assert dns.resolver.addresses(text, 636, Deadline.after(0)) == [(family, text, 636)]
    assert dns.asked == 0


def test_the_systems_own() -> None:
    """A name of this machine; one that cannot be encoded is an error like any other."""
    assert ("127.0.0.1", 636) in {(ip, port) for _, ip, port in look_up("localhost", 636)}
    with pytest.raises(NameUnresolved):
        Resolver().addresses("a" * 70 + ".test", 636, Deadline.after(5))
