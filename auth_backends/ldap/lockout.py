"""When a directory locks an account, so that we stop asking before it does."""

from __future__ import annotations

from dataclasses import dataclass

from auth_backends.api import AttemptLimit
from auth_backends.ldap.connection import LdapConnection, Scope
from auth_backends.ldap.entry import Entry
from auth_backends.ldap.errors import SearchRefused
from auth_backends.ldap.password_policy import OID
from auth_backends.ldap.vendors import Preset
from config.ldap import LdapProvider, Vendor

DAY_S = 86_400.0
TICKS_PER_S = 10_000_000  # [MS-ADTS] durations: negative, in 100 ns
MAX_POLICIES = 1000
_TRUE = "true"


@dataclass(frozen=True, slots=True)
class Lockout:
    """``threshold`` failures within ``window_s`` lock an account; a threshold of 0 never does."""

    threshold: int
    window_s: float


NEVER = Lockout(0, 0.0)
UNREADABLE = Lockout(3, 600.0)
"""What is assumed of a directory that does not say: 389's own defaults, the strictest that are common."""


def limit_of(lockout: Lockout) -> AttemptLimit | None:
    """Give how many wrong passwords may be sent, one less than locks, or None for any number.

    A threshold of 1 cannot be kept: whoever may try at all may lock the account.
    """
    if lockout.threshold <= 0:
        return None
    return AttemptLimit(max(1, lockout.threshold - 1), lockout.window_s or DAY_S)


def configured(provider: LdapProvider) -> Lockout | None:
    """Give what the provider's settings say, or None if the directory is to be asked."""
    if provider.lockout_threshold is None:
        return None
    return Lockout(provider.lockout_threshold, provider.lockout_window_s or UNREADABLE.window_s)


def policy_place(preset: Preset, entry: Entry) -> str:
    """Give the DN of the settings that an entry is under, or "" for those of all entries."""
    for attribute in preset.policy_attributes:
        if place := entry.text(attribute):
            return place
    return ""


def read_lockout(connection: LdapConnection, provider: LdapProvider, preset: Preset, place: str) -> Lockout | None:
    """Read the settings at a place; "" means those of all entries. None if they cannot be read.

    Raises DirectoryUnreachable.
    """
    try:
        if preset.is_active_directory:
            return _of_domain(connection) if not place else _of_settings_object(connection, place)
        if place:
            entry = connection.search_base(place, _POLICY)
            return None if entry is None else _of_policy(entry)
        return _of_all_policies(connection, provider)
    except SearchRefused:
        return None


def strictest(known: list[Lockout]) -> Lockout | None:
    """Give the settings that lock soonest, with the longest memory of any; None if there are none."""
    locking = [one for one in known if one.threshold > 0]
    if not locking:
        return NEVER if known else None
    return Lockout(min(one.threshold for one in locking), max(one.window_s or DAY_S for one in locking))


# Active Directory --------------------------------------------------------------------------------


def _of_domain(connection: LdapConnection) -> Lockout | None:
    """Read [MS-ADA1] lockoutThreshold and lockOutObservationWindow of the domain."""
    place = connection.root(("defaultNamingContext",)).text("defaultNamingContext")
    entry = connection.search_base(place, ("lockoutThreshold", "lockOutObservationWindow")) if place else None
    return None if entry is None else _lockout(entry, "lockoutThreshold", "lockOutObservationWindow")


def _of_settings_object(connection: LdapConnection, place: str) -> Lockout | None:
    """Read a password settings object; without leave to read it, hold to the domain's and the strictest common one."""
    names = ("msDS-LockoutThreshold", "msDS-LockoutObservationWindow")
    entry = connection.search_base(place, names)
    own = None if entry is None else _lockout(entry, *names)
    if own is not None:
        return own
    return strictest([UNREADABLE, *filter(None, [_of_domain(connection)])])


def _lockout(entry: Entry, threshold: str, window: str) -> Lockout | None:
    failures, ticks = entry.number(threshold), entry.number(window)
    if failures is None:
        return None
    return Lockout(failures, abs(ticks or 0) / TICKS_PER_S)


# OpenLDAP, 389, FreeIPA --------------------------------------------------------------------------

_POLICY = (
    "pwdLockout", "pwdMaxFailure", "pwdFailureCountInterval",
    "krbPwdMaxFailure", "krbPwdFailureCountInterval",
    "passwordLockout", "passwordMaxFailure", "passwordResetFailureCount",
)  # fmt: skip
_ANY_POLICY = "(|(objectClass=pwdPolicy)(objectClass=krbPwdPolicy))"
_MAX_READ = 100


def _of_policy(entry: Entry) -> Lockout | None:
    """Read draft-behera section 5.2, FreeIPA's Kerberos policy, or 389's own; 0 or nothing means: locks nobody."""
    if (failures := entry.number("krbPwdMaxFailure")) is not None:
        return Lockout(failures, float(entry.number("krbPwdFailureCountInterval") or 0))
    for switch, threshold, window in (
        ("pwdLockout", "pwdMaxFailure", "pwdFailureCountInterval"),
        ("passwordLockout", "passwordMaxFailure", "passwordResetFailureCount"),
    ):
        if entry.text(switch) is not None or entry.text(threshold) is not None:
            on = (entry.text(switch) or "").casefold() in {_TRUE, "on"}
            return Lockout(entry.number(threshold) or 0, float(entry.number(window) or 0)) if on else NEVER
    return None


def _of_all_policies(connection: LdapConnection, provider: LdapProvider) -> Lockout | None:
    """Read what may hold for an entry that names no settings of its own: which it is, only the server knows."""
    if provider.vendor is Vendor.OPENLDAP and OID not in connection.root(("supportedControl",)).texts(
        "supportedControl"
    ):
        return NEVER  # without the overlay nothing counts failures
    if provider.vendor is Vendor.DS389:
        entry = _config(connection)
        if entry is not None and (own := _of_policy(entry)) is not None:
            return own
    found = connection.search(provider.base_dn, _ANY_POLICY, _POLICY, scope=Scope.SUBTREE, limit=_MAX_READ)
    return strictest([one for entry in found if (one := _of_policy(entry)) is not None])


def _config(connection: LdapConnection) -> Entry | None:
    try:
        return connection.search_base("cn=config", _POLICY)
    except SearchRefused:
        return None
