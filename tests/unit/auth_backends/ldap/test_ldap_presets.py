"""Presets, immutable ids and filters."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from auth_backends.ldap.entry import Entry
from auth_backends.ldap.vendors import ChangeMarker, escaped, external_id_of, id_filter, login_filter, preset_of
from config.ldap import LdapProvider, Vendor

GUID = uuid.UUID("72bcadea-1111-4222-8333-444455556666")


def provider(vendor: Vendor, **settings: Any) -> LdapProvider:
    defaults: dict[str, Any] = {
        "hosts": ("dc1.corp.test",),
        "vendor": vendor,
        "base_dn": "dc=corp,dc=test",
        "bind_user": "cn=svc,dc=corp,dc=test",
        "bind_password": "x",
    }
    return LdapProvider.model_validate(defaults | settings)


def entry(**attributes: bytes) -> Entry:
    return Entry("cn=x,dc=corp,dc=test", {name.casefold(): (value,) for name, value in attributes.items()})


def test_active_directory() -> None:
    """Its GUID is little-endian bytes; one form here, and the same entry is found by it."""
    preset = preset_of(provider(Vendor.ACTIVE_DIRECTORY))
    external_id = external_id_of(preset, entry(objectGUID=GUID.bytes_le))

    assert str(GUID) == external_id
    assert id_filter(preset, str(GUID)) == r"(objectGUID=\ea\ad\bc\72\11\11\22\42\83\33\44\44\55\55\66\66)"
    assert preset.is_active_directory
    assert preset.change_marker is ChangeMarker.USN_CHANGED
    assert "objectCategory=person" in preset.user_filter  # computers have objectClass=user, too


@pytest.mark.parametrize(
    ("vendor", "attribute", "raw", "expected"),
    [
        (Vendor.OPENLDAP, "entryUUID", b"72BCADEA-1111-4222-8333-444455556666", str(GUID)),
        (Vendor.DS389, "nsUniqueId", b"66446001-1DD211B2-66225011-2EE211DB", "66446001-1dd211b2-66225011-2ee211db"),
    ],
)
def test_ids_that_are_hexadecimal_have_one_case(vendor: Vendor, attribute: str, raw: bytes, expected: str) -> None:
    """Whatever case a server writes."""
    preset = preset_of(provider(vendor))

    assert expected == external_id_of(preset, entry(**{attribute: raw}))
    assert id_filter(preset, expected) == f"({attribute}={expected})"


def test_other_ids_are_kept_as_they_are() -> None:
    """Case may tell two people apart."""
    custom = provider(
        Vendor.CUSTOM, user_filter="(a=b)", group_filter="(c=d)", id_attribute="employeeNumber", login_attribute="cn"
    )
    preset = preset_of(custom)

    assert external_id_of(preset, entry(employeeNumber=b" A1 ")) == "A1"
    assert id_filter(preset, "A*1)(") == r"(employeeNumber=A\2a1\29\28)"


@pytest.mark.parametrize("raw", [b"", b"   ", b"\xff\xfe", b"x" * 256, b"a\nb"])
def test_what_is_no_id(raw: bytes) -> None:
    """Empty, binary, overlong, or with control characters."""
    preset = preset_of(provider(Vendor.OPENLDAP))

    assert external_id_of(preset, entry(entryUUID=raw)) is None


def test_no_id_is_no_id() -> None:
    """No value, two values, or a GUID of another length; the filter for no id takes nobody."""
    openldap, ad = preset_of(provider(Vendor.OPENLDAP)), preset_of(provider(Vendor.ENTRA_DS))

    assert external_id_of(openldap, entry()) is None
    assert external_id_of(openldap, Entry("", {"entryuuid": (b"a", b"b")})) is None
    assert external_id_of(ad, entry(objectGUID=b"short")) is None
    assert {id_filter(openldap, ""), id_filter(ad, ""), id_filter(ad, "no guid")} == {"(!(objectClass=*))"}


def test_settings_win() -> None:
    """What a provider says overrides the vendor's preset; no aliases means none."""
    told = provider(
        Vendor.ACTIVE_DIRECTORY,
        user_filter="(u=1)",
        group_filter="(g=1)",
        id_attribute="uuid",
        login_attribute="login",
        alias_attributes=(),
    )
    preset = preset_of(told)

    assert (preset.user_filter, preset.group_filter, preset.id_attribute, preset.login_attribute) == (
        "(u=1)",
        "(g=1)",
        "uuid",
        "login",
    )
    assert preset.alias_attributes == ()
    assert not preset.id_is_guid
    assert preset_of(provider(Vendor.ACTIVE_DIRECTORY)).alias_attributes == ("userPrincipalName",)


def test_names_in_filters_are_harmless() -> None:
    """A login name is a value and never a part of the filter (L2)."""
    preset = preset_of(provider(Vendor.OPENLDAP))

    assert escaped("*)(uid=*\\\0") == r"\2a\29\28uid=\2a\5c\00"
    assert login_filter(preset, "*") == r"(&(objectClass=inetOrgPerson)(|(uid=\2a)))"


def test_values_of_an_entry() -> None:
    """Names without regard to case; a text for what is text; a number for what is one."""
    seen = Entry("cn=x", {"cn": (b"a", b"b"), "n": (b"7",), "bad": (b"\xff",)})

    assert (seen.text("CN"), seen.texts("Cn"), seen.number("N")) == ("a", ("a", "b"), 7)
    assert (seen.text("none"), seen.texts("none"), seen.number("none"), seen.number("cn")) == (None, (), None, None)
    assert seen.text("bad") == "\ufffd"
