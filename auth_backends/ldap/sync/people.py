"""From an entry of the directory to a person as the user store can have one: pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from auth_backends.ldap.connection import Entry
from auth_backends.ldap.vendors import Preset, external_id_of
from config.ldap import LdapProvider
from storage.database.errors import InvalidName
from storage.database.names import canonical_login, canonical_name, shown

ACCOUNT_DISABLED = 0x2  # [MS-ADTS] 2.2.16 userAccountControl, ADS_UF_ACCOUNTDISABLE
LOCKED_FOR_GOOD = "000001010000Z"  # draft-behera-ldap-password-policy-10 section 5.3.3, by an administrator
NEVER = {0, 0x7FFFFFFFFFFFFFFF}  # [MS-ADA1] 2.1 accountExpires
FILETIME_EPOCH_S = 11_644_473_600  # from 1601-01-01 to 1970-01-01
FILETIME_PER_S = 10_000_000
MAX_EMAIL = 320

PRIMARY_GROUP = "primaryGroupID"


@dataclass(frozen=True, slots=True)
class Person:
    """What a directory says of one person. ``primary_group`` is the relative id of an AD group, or None.

    ``active`` None means that the directory does not say. ``problem`` says why the person can be no new user here, or
    can have no other name; ``name`` is what the directory calls the person then.
    """

    external_id: str
    dn: str
    name: str
    display_name: str = ""
    email: str = ""
    aliases: frozenset[str] = frozenset()
    expires_at: float | None = None
    active: bool | None = True
    primary_group: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Unusable:
    """An entry without an immutable id, which can be nobody here; ``reason`` is for an admin."""

    dn: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class PersonReader:
    """Reads entries by one provider's settings. ``domain`` is the NetBIOS name, or empty for none."""

    provider: LdapProvider
    preset: Preset
    domain: str = ""
    service_id: str = ""
    wanted: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        preset = self.preset
        names = [
            preset.id_attribute,
            preset.login_attribute,
            *preset.alias_attributes,
            preset.display_name_attribute,
            preset.mail_attribute,
            preset.changed_attribute,
            *preset.status_attributes,
        ]
        if preset.is_active_directory:
            names.append(PRIMARY_GROUP)
        object.__setattr__(self, "wanted", tuple(dict.fromkeys(name for name in names if name)))

    def read(self, entry: Entry) -> Person | Unusable:
        """Give the person, or why there is none."""
        external_id = external_id_of(self.preset, entry)
        login = entry.text(self.preset.login_attribute) or ""
        if external_id is None:
            return Unusable(entry.dn, shown(login), f"the entry has no readable {self.preset.id_attribute}")
        active, problem = is_active(entry, is_active_directory=self.preset.is_active_directory), ""
        try:
            name = canonical_name(login)
        except InvalidName as error:
            name = shown(login)
            problem = f"its {self.preset.login_attribute} {name!r} cannot be a login name: {error.message}"
        if external_id == self.service_id:
            active, problem = False, "it is the service account of this provider"
        return Person(
            external_id=external_id,
            dn=entry.dn,
            name=name,
            display_name=shown(entry.text(self.preset.display_name_attribute) or ""),
            email=shown(entry.text(self.preset.mail_attribute) or "", MAX_EMAIL),
            aliases=frozenset() if problem else self._aliases(entry, name),
            expires_at=expiry(entry),
            active=active,
            primary_group=_number(entry.text(PRIMARY_GROUP)),
            problem=problem,
        )

    def _aliases(self, entry: Entry, name: str) -> frozenset[str]:
        typed: list[str] = []
        for attribute in self.preset.alias_attributes:
            typed.extend(entry.texts(attribute))
        if self.domain:
            typed.append(f"{self.domain}\\{name}")
        if self.provider.upn_suffix:
            typed.append(f"{name}@{self.provider.upn_suffix}")
        return frozenset(_canonical(typed)) - {name}


def _canonical(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        try:
            yield canonical_login(text)
        except InvalidName:
            continue  # nobody could sign in with it anyway


def is_active(entry: Entry, *, is_active_directory: bool = False) -> bool | None:
    """Whether the directory lets the person in: not disabled, and not locked for good by an administrator.

    A lock that wrong passwords set, and that ends by itself, is no such thing: else a stranger who guesses passwords
    could end a person's keys and sessions. None if Active Directory does not show what every account there has.
    """
    flags = _number(entry.text("userAccountControl"))
    if flags is None and is_active_directory:
        return None
    if (flags or 0) & ACCOUNT_DISABLED or entry.text("pwdAccountLockedTime") == LOCKED_FOR_GOOD:
        return False
    return (entry.text("nsAccountLock") or "").casefold() != "true"


def expiry(entry: Entry) -> float | None:
    """Give when the account ends, in Unix seconds, or None for never."""
    ticks = _number(entry.text("accountExpires"))
    if ticks is None or ticks in NEVER:
        return None
    return max(1.0, ticks / FILETIME_PER_S - FILETIME_EPOCH_S)


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def home_of_id(external_id: str) -> str:
    """Give a home folder's name made of an immutable id: a UUID as it is, anything else hashed to one."""
    try:
        return str(uuid.UUID(external_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, external_id))
