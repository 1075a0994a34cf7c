"""From entries to people: what counts, what is left out, and why."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from auth_backends.ldap.entry import Entry
from auth_backends.ldap.sync.people import Person, PersonReader, Unusable, home_of_id
from auth_backends.ldap.vendors import preset_of
from config.ldap import LdapProvider, Vendor

GUID = uuid.UUID("11223344-5566-7788-99aa-bbccddeeff00")


def provider(vendor: Vendor, **settings: Any) -> LdapProvider:
    return LdapProvider.model_validate(
        {
            "hosts": ["dc1"],
            "vendor": vendor,
            "base_dn": "dc=corp",
            "bind_user": "cn=svc,dc=corp",
            "bind_password": "x",
        }
        | settings
    )


def reader(vendor: Vendor = Vendor.ACTIVE_DIRECTORY, *, domain: str = "CORP", **settings: Any) -> PersonReader:
    told = provider(vendor, **settings)
    return PersonReader(told, preset_of(told), domain, "svc-id")


def entry(**values: str | bytes | list[str]) -> Entry:
    def raw(value: str | bytes | list[str]) -> tuple[bytes, ...]:
        match value:
            case bytes():
                return (value,)
            case str():
                return (value.encode(),)
            case list():
                return tuple(one.encode() for one in value)

    return Entry("CN=Ann,DC=corp", {name.casefold(): raw(value) for name, value in values.items()})


def ann(**values: str | bytes | list[str]) -> Entry:
    """An AD user, with what the test says otherwise."""
    return entry(**{"objectGUID": GUID.bytes_le, "sAMAccountName": "Ann", "userAccountControl": "512", **values})


def person(found: Person | Unusable) -> Person:
    assert isinstance(found, Person)
    return found


def test_an_ad_user_whole() -> None:
    """The GUID in its canonical form, canonical names, and every name that may be typed."""
    found = reader(upn_suffix="corp.example").read(
        ann(userPrincipalName="Ann@corp.test", displayName="Ann A.", mail="ann@x.org", primaryGroupID="513")
    )

    assert found == Person(
        external_id=str(GUID),
        dn="CN=Ann,DC=corp",
        name="ann",
        display_name="Ann A.",
        email="ann@x.org",
        aliases=frozenset({"ann@corp.test", "corp\\ann", "ann@corp.example"}),
        primary_group=513,
    )


def test_an_openldap_user_has_no_domain() -> None:
    """EntryUUID as it stands, and no alias unless the site names one."""
    told = entry(entryUUID=str(GUID), uid="ann", mail="ann@x.org")

    assert person(reader(Vendor.OPENLDAP, domain="").read(told)).aliases == frozenset()
    by_mail = reader(Vendor.OPENLDAP, domain="", alias_attributes=["mail"])
    assert person(by_mail.read(told)).aliases == frozenset({"ann@x.org"})


@pytest.mark.parametrize(
    ("values", "active"),
    [
        ({}, True),
        ({"userAccountControl": "512"}, True),
        ({"userAccountControl": "514"}, False),
        ({"userAccountControl": "66050"}, False),
        ({"userAccountControl": "not a number"}, None),
        ({"pwdAccountLockedTime": "000001010000Z"}, False),
        ({"pwdAccountLockedTime": "20261125120000Z"}, True),
        ({"nsAccountLock": "TRUE"}, False),
        ({"nsAccountLock": "false"}, True),
    ],
)
def test_who_is_disabled(values: dict[str, str], active: bool | None) -> None:  # noqa: FBT001 - a column of the table
    """By an administrator's word only: a lock that wrong passwords set ends by itself; unreadable is neither."""
    assert person(reader().read(ann(**values))).active is active


@pytest.mark.parametrize(
    ("ticks", "at"),
    [
        ("0", None),
        ("9223372036854775807", None),
        ("133801632000000000", 1735689600.0),  # 2025-01-01
        ("1", 1.0),  # long ago, and still a time
        ("soon", None),
    ],
)
def test_when_an_account_expires(ticks: str, at: float | None) -> None:
    """Hundreds of nanoseconds since 1601; two values mean never."""
    assert at == person(reader().read(ann(accountExpires=ticks))).expires_at


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (entry(sAMAccountName="ann"), "no readable objectGUID"),
        (entry(objectGUID=b"short", sAMAccountName="ann"), "no readable objectGUID"),
    ],
)
def test_entries_that_can_be_nobody(told: Entry, reason: str) -> None:
    """Each is left out with a reason for the admin."""
    found = reader().read(told)

    assert isinstance(found, Unusable)
    assert reason in found.reason


@pytest.mark.parametrize("login", ["", "a/b", "-x", "a\nb"])
def test_a_name_that_nobody_can_have_is_a_problem_and_not_the_end_of_the_person(login: str) -> None:
    """Whoever is a user already is followed all the same, under the old name."""
    found = person(reader().read(ann(sAMAccountName=login, userAccountControl="514")))

    assert "cannot be a login name" in found.problem
    assert (str(GUID), False, frozenset()) == (found.external_id, found.active, found.aliases)


def test_the_service_account_is_nobody_here() -> None:
    """Its password is known to this server only, and guesses of it would stop everybody's sign-in."""
    told = provider(Vendor.OPENLDAP)
    found = PersonReader(told, preset_of(told), "", str(GUID)).read(entry(entryUUID=str(GUID), uid="svc"))

    assert isinstance(found, Person)
    assert (found.problem, found.active) == ("it is the service account of this provider", False)


def test_texts_for_people_are_fit_to_keep() -> None:
    """Control characters are replaced and long texts cut; an alias that nobody could type is left away."""
    found = person(
        reader().read(ann(displayName="A\nB" + "x" * 400, mail="y" * 500, userPrincipalName=["a b", "../x", "ok@x"]))
    )

    assert (len(found.display_name), len(found.email)) == (256, 320)
    assert "\n" not in found.display_name
    assert found.aliases == frozenset({"a b", "ok@x", "corp\\ann"})


def test_a_home_by_id_is_one_segment() -> None:
    """A UUID as it is; anything else becomes one."""
    assert str(GUID) == home_of_id(str(GUID))
    assert uuid.UUID(home_of_id("cn=../x"))
