"""What each kind of directory calls things, how it names an entry for good, and how changes are found in it."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from enum import StrEnum

from ldap3.utils.conv import escape_filter_chars

from auth_backends.ldap.entry import Entry
from config.ldap import LdapProvider, Vendor

GUID_BYTES = 16
MAX_ID = 255  # characters; what the store keeps
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NS_UNIQUE_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{8}){3}")
_NOTHING = "(!(objectClass=*))"


class ChangeMarker(StrEnum):
    """By which attribute an entry tells that it changed."""

    USN_CHANGED = "usn"
    MODIFY_TIMESTAMP = "time"


@dataclass(frozen=True, slots=True)
class Preset:
    """Names of attributes, and filters, of one kind of directory.

    ``anybody_filter`` takes whoever may ever have been a user. ``status_attributes`` say whether an account is in
    use, and ``policy_attributes`` which lock-out settings an entry is under.
    """

    user_filter: str
    anybody_filter: str
    group_filter: str
    id_attribute: str
    login_attribute: str
    alias_attributes: tuple[str, ...]
    display_name_attribute: str
    mail_attribute: str
    group_name_attribute: str
    member_attributes: tuple[str, ...]
    change_marker: ChangeMarker
    changed_attribute: str
    status_attributes: tuple[str, ...]
    policy_attributes: tuple[str, ...]
    is_active_directory: bool = False

    @property
    def id_is_guid(self) -> bool:
        """Whether the immutable id is an AD GUID: 16 bytes, the first three parts little-endian ([MS-DTYP] 2.3.4.2)."""
        return self.id_attribute.casefold() == "objectguid"


_AD_PERSON = "(&(objectCategory=person)(objectClass=user))"  # objectClass=user alone takes computers, too
_ACTIVE_DIRECTORY = Preset(
    user_filter=_AD_PERSON,
    anybody_filter="(objectClass=user)",
    group_filter="(objectCategory=group)",
    id_attribute="objectGUID",
    login_attribute="sAMAccountName",
    alias_attributes=("userPrincipalName",),
    display_name_attribute="displayName",
    mail_attribute="mail",
    group_name_attribute="sAMAccountName",
    member_attributes=("member",),
    change_marker=ChangeMarker.USN_CHANGED,
    changed_attribute="uSNChanged",
    status_attributes=("userAccountControl", "accountExpires"),
    policy_attributes=("msDS-ResultantPSO",),
    is_active_directory=True,
)
_OPENLDAP = Preset(
    user_filter="(objectClass=inetOrgPerson)",
    anybody_filter="(objectClass=*)",
    group_filter="(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))",
    id_attribute="entryUUID",
    login_attribute="uid",
    alias_attributes=(),
    display_name_attribute="displayName",
    mail_attribute="mail",
    group_name_attribute="cn",
    member_attributes=("member", "uniqueMember", "memberUid"),
    change_marker=ChangeMarker.MODIFY_TIMESTAMP,
    changed_attribute="modifyTimestamp",
    status_attributes=("pwdAccountLockedTime",),
    policy_attributes=("pwdPolicySubentry",),
)
_DS389 = replace(
    _OPENLDAP,
    id_attribute="nsUniqueId",
    status_attributes=("nsAccountLock",),
    policy_attributes=("pwdPolicySubentry", "krbPwdPolicyReference"),
)
_CUSTOM = replace(
    _OPENLDAP,
    status_attributes=("pwdAccountLockedTime", "nsAccountLock"),
)

PRESETS = {
    Vendor.ACTIVE_DIRECTORY: _ACTIVE_DIRECTORY,
    Vendor.ENTRA_DS: _ACTIVE_DIRECTORY,
    Vendor.OPENLDAP: _OPENLDAP,
    Vendor.DS389: _DS389,
    Vendor.CUSTOM: _CUSTOM,
}


def preset_of(provider: LdapProvider) -> Preset:
    """Give the vendor's preset with whatever the provider's settings say otherwise."""
    preset = PRESETS[provider.vendor]
    return replace(
        preset,
        user_filter=provider.user_filter or preset.user_filter,
        group_filter=provider.group_filter or preset.group_filter,
        id_attribute=provider.id_attribute or preset.id_attribute,
        login_attribute=provider.login_attribute or preset.login_attribute,
        alias_attributes=preset.alias_attributes if provider.alias_attributes is None else provider.alias_attributes,
    )


def external_id_of(preset: Preset, entry: Entry) -> str | None:
    """Give the immutable id of an entry in its one form, or None if it has none that can be read.

    Ids that are hexadecimal by nature are lower case; any other is kept as it is, since case may matter in it.
    """
    values = entry.attributes.get(preset.id_attribute.casefold(), ())
    if len(values) != 1:
        return None
    raw = values[0]
    if preset.id_is_guid:
        return str(uuid.UUID(bytes_le=raw)) if len(raw) == GUID_BYTES else None
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        return None
    if _UUID.fullmatch(text) or _NS_UNIQUE_ID.fullmatch(text):
        return text.lower()
    return text if 0 < len(text) <= MAX_ID and text.isprintable() else None


def id_filter(preset: Preset, external_id: str) -> str:
    """Give the filter that takes exactly the entry of this immutable id."""
    if not external_id:
        return _NOTHING
    if preset.id_is_guid:
        try:
            raw = uuid.UUID(external_id).bytes_le
        except ValueError:
            return _NOTHING
        return f"({preset.id_attribute}={_octets(raw)})"
    return f"({preset.id_attribute}={escaped(external_id)})"


def login_filter(preset: Preset, login: str) -> str:
    """Give the filter of users whose login name or alias this is."""
    text = escaped(login)
    names = "".join(f"({name}={text})" for name in (preset.login_attribute, *preset.alias_attributes))
    return f"(&{preset.user_filter}(|{names}))"


def _octets(raw: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in raw)


def escaped(text: str) -> str:
    """Make a text harmless inside a filter (RFC 4515 section 3)."""
    return str(escape_filter_chars(text))
