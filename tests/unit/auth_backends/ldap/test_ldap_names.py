"""Distinguished names are compared as directories compare them."""

from __future__ import annotations

import pytest

from auth_backends.ldap.dn import folded_dn, is_name, is_within, same_dn

BASE = "dc=corp,dc=test"
ODD = r"cn=we\,ird*()\\,ou=people,dc=corp,dc=test"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=Alice, OU=Staff ,DC=Corp,DC=Test", "cn=alice,ou=staff,dc=corp,dc=test"),
        (r"cn=we\2Cird*()\5C,dc=test", r"CN=We\,Ird*()\\,dc=test"),
        ('cn="Doe, Jane",dc=test', r"cn=doe\, jane,dc=test"),
        ("cn=a  b,dc=test", "cn=A b,dc=test"),
        ("uid=x+cn=y,dc=test", "cn=Y+uid=X,dc=test"),
        ("cn=a;dc=test", "cn=a,dc=test"),
        (r"cn=\c3\bc,dc=test", "cn=ü,dc=test"),
        (r"cn=a\=b,dc=test", "cn=a=b,dc=test"),
        (r"cn=\#1,dc=test", r"cn=\23\31,dc=test"),
    ],
)
def test_the_same_name(one: str, other: str) -> None:
    """Case, spacing, escapes, quotes and the order of parts of one level do not matter."""
    assert folded_dn(one) == folded_dn(other)
    assert same_dn(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"cn=a\,ou=b,dc=test", "cn=a,ou=b,dc=test"),
        ("cn=a,dc=test", "cn=a,dc=test,dc=other"),
        (r"cn=a\+uid=b,dc=test", "cn=a+uid=b,dc=test"),
        ('cn="a,ou=b",dc=test', "cn=a,ou=b,dc=test"),
        ("cn=a,dc=test", "uid=a,dc=test"),
    ],
)
def test_another_name(one: str, other: str) -> None:
    """No value makes itself look like two parts."""
    assert folded_dn(one) != folded_dn(other)
    assert not same_dn(one, other)


@pytest.mark.parametrize("dn", [BASE, "DC=CORP, DC=TEST", f"cn=x,{BASE}", ODD])
def test_within(dn: str) -> None:
    """The base itself and whatever is below it."""
    assert is_within(dn, BASE)


@pytest.mark.parametrize(
    "dn",
    [
        "dc=test",
        "cn=x,dc=evilcorp,dc=test",
        r"cn=x\,dc=corp,dc=test",
        f"cn=x,{BASE},dc=attacker",
        "",
        "no name",
        'cn="x,dc=corp,dc=test',
        "=x,dc=corp,dc=test",
    ],
)
def test_outside(dn: str) -> None:
    """What only ends with the same letters, and what is no name."""
    assert not is_within(dn, BASE)


def test_nothing_is_within_nothing() -> None:
    """An empty base takes nobody: that would be everybody."""
    assert not is_within(f"cn=x,{BASE}", "")
    assert not same_dn("", "")


def test_no_name_is_only_folded() -> None:
    """A member value may be no name at all; it is compared as text."""
    assert folded_dn("Alice") == "alice"
    assert not is_name("Alice")
    assert is_name(BASE)


def test_broken_octets_are_no_other_name() -> None:
    """Escapes that are no UTF-8 are replaced, and the name stays a name."""
    assert folded_dn(r"cn=\ff,dc=test") != folded_dn("cn=,dc=test")
