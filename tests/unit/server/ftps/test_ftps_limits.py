"""How connections are counted."""

from __future__ import annotations

from server.ftps.limits import Admission, Admissions, ConnectionLimits, address_key
from server.ftps.passive import plain_address

YEAR_S = 365 * 24 * 3600


def test_connections_are_counted_in_all_and_per_address() -> None:
    """Each limit has its own answer, and leaving frees a place."""
    admissions = Admissions(ConnectionLimits(total=3, per_address=2))
    answers = [admissions.enter("10.0.0.1") for _ in range(3)] + [admissions.enter(f"10.0.0.{n}") for n in (2, 3)]
    assert answers == [
        Admission.ADMITTED,
        Admission.ADMITTED,
        Admission.ADDRESS_FULL,
        Admission.ADMITTED,
        Admission.FULL,
    ]
    admissions.leave("10.0.0.1")

    assert admissions.enter("10.0.0.3") is Admission.ADMITTED
    assert admissions.live == 3


def test_one_customer_is_one_address() -> None:
    """IPv6 counts by /64, and IPv4 the same whether mapped or not."""
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff:1")
    assert address_key("2001:db8::1") != address_key("2001:db8:0:1::1")
    assert address_key("::ffff:10.0.0.1") == address_key("10.0.0.1") == "10.0.0.1"
    assert address_key("fe80::1%eth0") == "fe80::/64"


def test_addresses_compare_as_addresses() -> None:
    """However they are written."""
    assert plain_address("::ffff:127.0.0.1") == plain_address("127.0.0.1")
    assert plain_address("2001:DB8::0:1") == plain_address("2001:db8::1")
