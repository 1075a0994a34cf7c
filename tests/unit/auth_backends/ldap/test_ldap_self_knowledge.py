"""Who the service account is, what the domain is called, and when an account is locked, as directories differ in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from auth_backends.ldap.codec import Scope
from auth_backends.ldap.connection import LdapConnection
from auth_backends.ldap.entry import Entry
from auth_backends.ldap.errors import SearchRefused
from auth_backends.ldap.lockout import DAY_S, NEVER, UNREADABLE, Lockout, policy_place, read_lockout
from auth_backends.ldap.password_policy import OID
from auth_backends.ldap.self_knowledge import domain_of, service_id_of
from auth_backends.ldap.vendors import preset_of
from config.ldap import LdapProvider, Vendor

BASE = "dc=corp,dc=test"
GUID = bytes(range(16))


class Told:
    """A connection to a directory that is a table; searches give ``found`` or are refused."""

    def __init__(
        self,
        entries: Mapping[str, Mapping[str, str | bytes]] | None = None,
        *,
        found: Sequence[tuple[str, Mapping[str, str | bytes]]] | None = (),
        who: str | None = None,
        hidden: str = "",
    ) -> None:
        self.entries = {dn.casefold(): values for dn, values in (entries or {}).items()}
        self.found, self.who, self.hidden = found, who, hidden
        self.searched: list[tuple[str, str]] = []

    def search_base(self, dn: str, _: Sequence[str]) -> Entry | None:
        if self.hidden and dn.casefold() == self.hidden.casefold():
            raise SearchRefused("x", "h", 50)
        values = self.entries.get(dn.casefold())
        return None if values is None else entry(dn, values)

    def root(self, names: Sequence[str]) -> Entry:
        return self.search_base("", names) or Entry("", {})

    def search(self, base: str, wanted: str, _: Sequence[str], *, scope: Scope = Scope.SUBTREE, limit: int = 0) -> Any:
        self.searched.append((base, wanted))
        if self.found is None:
            raise SearchRefused("x", "h", 50)
        return [entry(dn, values) for dn, values in self.found]

    def who_am_i(self) -> str:
        if self.who is None:
            raise SearchRefused("x", "h", 2)
        return self.who


def entry(dn: str, values: Mapping[str, str | bytes]) -> Entry:
    raw = {name.casefold(): (value.encode() if isinstance(value, str) else value,) for name, value in values.items()}
    return Entry(dn, raw)


def provider(vendor: Vendor, bind_user: str = f"cn=svc,{BASE}") -> LdapProvider:
    return LdapProvider.model_validate(
        {"hosts": ("h",), "vendor": vendor, "base_dn": BASE, "bind_user": bind_user, "bind_password": "x"}
    )


def service_id(told: Told, bind_user: str) -> str:
    settings = provider(Vendor.ACTIVE_DIRECTORY, bind_user)
    return service_id_of(cast("LdapConnection", told), settings, preset_of(settings))


# Who we are --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bind_user", "who", "asked_for"),
    [
        ("svc@corp.test", None, "svc"),
        ("CORP\\svc", None, "svc"),
        ("odd@elsewhere", "u:CORP\\real-name", "real-name"),
        ("odd@elsewhere", "u:real-name@corp.test", "real-name"),
        ("a*b@corp.test", "", r"a\2ab"),
        ("svc@corp.test", "dn:cn=other,dc=corp,dc=test", "svc"),
    ],
)
def test_the_service_account_by_another_name(bind_user: str, who: str | None, asked_for: str) -> None:
    """The server's own word for who we are wins over what was configured."""
    told = Told(found=[(f"cn=svc,{BASE}", {"objectGUID": GUID})], who=who)

    assert service_id(told, bind_user) == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    assert told.searched == [(BASE, f"(sAMAccountName={asked_for})")]


def test_no_entry_is_the_service_account() -> None:
    """It is outside of the base, unreadable, or there are two of them."""
    two = [(f"cn={name},{BASE}", {"objectGUID": GUID}) for name in ("a", "b")]

    assert service_id(Told(found=[]), "svc@corp.test") == ""
    assert service_id(Told(found=two), "svc@corp.test") == ""
    assert service_id(Told(found=[(f"cn=a,{BASE}", {})]), "svc@corp.test") == ""
    assert service_id(Told(), f"cn=svc,{BASE}") == ""
    assert service_id(Told({f"cn=svc,{BASE}": {}}), f"cn=svc,{BASE}") == ""


ROOT = {"configurationNamingContext": f"CN=Configuration,{BASE}", "defaultNamingContext": BASE}


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (
            Told({"": ROOT}, found=[("x", {"nCName": "DC=other"}), ("y", {"nCName": BASE, "nETBIOSName": "CORP"})]),
            "CORP",
        ),
        (Told({"": ROOT}, found=[("x", {"nCName": f"DC=sub,{BASE}", "nETBIOSName": "SUB"})]), ""),
        (Told({"": ROOT}, found=[("x", {})]), ""),
        (Told({"": ROOT}, found=None), ""),
        (Told(), ""),
    ],
)
def test_the_domain(told: Told, name: str) -> None:
    """The NetBIOS name of this domain, and of no other in the forest."""
    assert name == domain_of(cast("LdapConnection", told))


# Lock-out ----------------------------------------------------------------------------------------


def lockout(told: Told, vendor: Vendor, place: str = "") -> Lockout | None:
    settings = provider(vendor)
    return read_lockout(cast("LdapConnection", told), settings, preset_of(settings), place)


PSO = f"CN=strict,CN=Password Settings Container,CN=System,{BASE}"
DOMAIN = {BASE: {"lockoutThreshold": "5", "lockOutObservationWindow": "-9000000000"}, "": ROOT}


@pytest.mark.parametrize(
    ("told", "place", "expected"),
    [
        (Told(DOMAIN), "", Lockout(5, 900.0)),
        (Told({"": ROOT}), "", None),
        (Told({"": ROOT, BASE: {}}), "", None),
        (Told(), "", None),
        (
            Told({PSO: {"msDS-LockoutThreshold": "10", "msDS-LockoutObservationWindow": "-600000000"}}),
            PSO,
            Lockout(10, 60),
        ),
        (Told(DOMAIN), PSO, Lockout(3, 900.0)),
        (Told(DOMAIN | {PSO: {}}), PSO, Lockout(3, 900.0)),
        (Told(), PSO, UNREADABLE),
        (Told(DOMAIN, hidden=PSO), PSO, None),
    ],
)
def test_active_directory(told: Told, place: str, expected: Lockout | None) -> None:
    """The domain's, or those of a settings object; one that cannot be read is taken for a strict one."""
    assert expected == lockout(told, Vendor.ACTIVE_DIRECTORY, place)


PPOLICY = {"": {"supportedControl": OID}}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Told(), NEVER),
        (Told(PPOLICY, found=[]), None),
        (Told(PPOLICY, found=None), None),
        (Told(PPOLICY, found=[("a", {"cn": "x"})]), None),
        (Told(PPOLICY, found=[("a", {"pwdLockout": "FALSE"})]), NEVER),
        (Told(PPOLICY, found=[("a", {"pwdLockout": "TRUE", "pwdMaxFailure": "4"})]), Lockout(4, DAY_S)),
    ],
)
def test_openldap(told: Told, expected: Lockout | None) -> None:
    """Without the overlay nobody is locked; with it the strictest policy that can be read holds for everybody."""
    assert expected == lockout(told, Vendor.OPENLDAP)


CONFIG = {"passwordLockout": "on", "passwordMaxFailure": "3", "passwordResetFailureCount": "600"}
KERBEROS = {"krbPwdMaxFailure": "6", "krbPwdFailureCountInterval": "60"}


@pytest.mark.parametrize(
    ("told", "place", "expected"),
    [
        (Told({"cn=config": CONFIG}), "", Lockout(3, 600.0)),
        (Told({"cn=config": CONFIG | {"passwordLockout": "off"}}), "", NEVER),
        (Told(hidden="cn=config", found=[("a", KERBEROS)]), "", Lockout(6, 60.0)),
        (Told({"cn=config": {}}, found=[("a", KERBEROS)]), "", Lockout(6, 60.0)),
        (Told({"cn=policy": KERBEROS}), "cn=policy", Lockout(6, 60.0)),
        (Told({"cn=policy": {"krbPwdMaxFailure": "0"}}), "cn=policy", Lockout(0, 0.0)),
        (Told(), "cn=policy", None),
        (Told(), "", None),
    ],
)
def test_389_and_freeipa(told: Told, place: str, expected: Lockout | None) -> None:
    """389's own settings where they can be read, FreeIPA's Kerberos policies, or nothing that is known."""
    assert expected == lockout(told, Vendor.DS389, place)


def test_the_place_of_an_entrys_settings() -> None:
    """The first attribute that names one, or none."""
    preset = preset_of(provider(Vendor.DS389))

    assert policy_place(preset, entry("x", {"krbPwdPolicyReference": "cn=policy"})) == "cn=policy"
    assert policy_place(preset, entry("x", {})) == ""
