"""What a directory says of itself and of us: who the service account is, and what the domain is called."""

from __future__ import annotations

from auth_backends.ldap.connection import LdapConnection, Scope
from auth_backends.ldap.dn import is_within
from auth_backends.ldap.errors import SearchRefused
from auth_backends.ldap.vendors import Preset, escaped, external_id_of
from config.ldap import LdapProvider

_USER = "u:"


def service_id_of(connection: LdapConnection, provider: LdapProvider, preset: Preset) -> str:
    """Give the immutable id of the account that the connection is bound as; empty if it is no entry below the base.

    Raises DirectoryUnreachable.
    """
    wanted = (preset.id_attribute,)
    if "=" in provider.bind_user:
        entry = connection.search_base(provider.bind_user, wanted)
        return "" if entry is None else external_id_of(preset, entry) or ""
    name = escaped(_account_name(connection, provider.bind_user))
    found = connection.search(provider.base_dn, f"({preset.login_attribute}={name})", wanted, limit=2)
    return external_id_of(preset, found[0]) or "" if len(found) == 1 else ""


def domain_of(connection: LdapConnection) -> str:
    """Give an Active Directory domain's NetBIOS name ([MS-ADTS] 6.1.1.2.1.1, crossRef), or empty.

    Raises DirectoryUnreachable.
    """
    root = connection.root(("configurationNamingContext", "defaultNamingContext"))
    configuration, own = root.text("configurationNamingContext"), root.text("defaultNamingContext")
    if not configuration or not own:
        return ""
    try:
        found = connection.search(
            f"CN=Partitions,{configuration}", "(nETBIOSName=*)", ("nETBIOSName", "nCName"), scope=Scope.LEVEL
        )
    except SearchRefused:
        return ""
    for entry in found:
        place = entry.text("nCName") or ""
        if is_within(place, own) and is_within(own, place):
            return entry.text("nETBIOSName") or ""
    return ""


def _account_name(connection: LdapConnection, bind_user: str) -> str:
    r"""Give the plain name of the account. The server knows it; ``name@domain`` need not be anybody's attribute."""
    try:
        told = connection.who_am_i()
    except SearchRefused:
        told = ""
    if told.startswith(_USER):
        return told.removeprefix(_USER).rpartition("\\")[2].partition("@")[0]
    return bind_user.rpartition("\\")[2].partition("@")[0]
