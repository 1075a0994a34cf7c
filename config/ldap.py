"""One LDAP directory as a source of users and as the authority for their passwords.

The same model serves ``[ldap.NAME]`` in the TOML file and the providers that an admin keeps in the database.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv6Address
from itertools import accumulate
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from config.providers import HomeLayout, WayIn
from config.secrets import Masked
from config.sections import FilePath, Seconds, Section

MAX_HOSTS = 3
LDAPS_PORT = 636
LDAP_PORT = 389
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9;-]{0,63}", re.ASCII)  # RFC 4512 section 2.5
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


class Security(StrEnum):
    """How the connection is protected; there is no unprotected kind."""

    LDAPS = "ldaps"
    STARTTLS = "starttls"


class Vendor(StrEnum):
    """The kind of directory: it sets the names of attributes, and how changes are found."""

    ACTIVE_DIRECTORY = "active-directory"
    OPENLDAP = "openldap"
    DS389 = "389ds"
    ENTRA_DS = "entra-ds"
    CUSTOM = "custom"


class Departure(StrEnum):
    """What becomes of a user who is no longer in the directory."""

    DISABLE = "disable"
    DELETE = "delete"


def _host(text: str) -> str:
    found = _HOST.fullmatch(text)
    if found is None or not 0 < int(found["port"] or 1) < 65536:  # noqa: PLR2004 - the highest port
        message = f"{text!r} is neither NAME nor NAME:PORT"
        raise ValueError(message)
    if text.startswith("["):
        IPv6Address(found["name"].strip("[]"))
    return text


def _attribute(text: str) -> str:
    if not _ATTRIBUTE.fullmatch(text):
        message = f"{text!r} is not the name of an LDAP attribute"
        raise ValueError(message)
    return text


def _filter(text: str) -> str:
    depths = list(accumulate({"(": 1, ")": -1}.get(letter, 0) for letter in text))
    if not depths or depths[-1] != 0 or min(depths[:-1], default=0) < 1 or "\0" in text:
        message = f"{text!r} does not stand in one pair of balanced parentheses, see RFC 4515"
        raise ValueError(message)
    return text


def _distinguished_name(text: str) -> str:
    if "=" not in text or "\0" in text:
        message = f"{text!r} is not a distinguished name such as dc=example,dc=org"
        raise ValueError(message)
    return text


Attribute = Annotated[str, AfterValidator(_attribute)]
Filter = Annotated[str, AfterValidator(_filter)]
DistinguishedName = Annotated[str, AfterValidator(_distinguished_name)]
Host = Annotated[str, AfterValidator(_host)]


class LdapProvider(Section):
    """A directory: its users sign in with their directory password, and a sync keeps users and groups up to date."""

    hosts: Annotated[tuple[Host, ...], Field(min_length=1, max_length=MAX_HOSTS)]
    """One to three servers as NAME or NAME:PORT, asked in this order. The certificate must name them."""
    security: Security = Security.LDAPS
    """``ldaps`` (port 636) or ``starttls`` (port 389). A password never leaves over an unprotected connection."""
    ca_file: FilePath | None = None
    """PEM file with the authority that signed the servers' certificates. Default: the system's authorities."""
    tls_name: str | None = None
    """The name to look for in the certificate where it is not the host's, for example when hosts are addresses."""
    vendor: Vendor
    """The kind of directory: attribute names, filters and the way to find changes follow from it."""
    base_dn: DistinguishedName
    """Where the search for users and groups starts; an entry outside of it is never accepted."""
    user_base_dn: DistinguishedName | None = None
    """Where the search for users starts, if deeper than ``base_dn``."""
    group_base_dn: DistinguishedName | None = None
    """Where the search for groups starts, if deeper than ``base_dn``."""
    bind_user: Annotated[str, Field(min_length=1, max_length=1024)]
    """The service account that searches: a DN, or on Active Directory also ``name@domain``. It never signs in here."""
    bind_password: Annotated[str, Masked(), Field(min_length=1, max_length=1024, repr=False)]
    """The service account's password; may name where it is kept: ``file:/path`` or ``env:NAME``."""
    user_filter: Filter | None = None
    """Which entries are users. Default: the vendor's."""
    group_filter: Filter | None = None
    """Which entries are groups. Default: the vendor's."""
    id_attribute: Attribute | None = None
    """The attribute that never changes for an entry. Default: the vendor's (``objectGUID``, ``entryUUID``, ...)."""
    login_attribute: Attribute | None = None
    """The attribute that holds the login name. Default: the vendor's (``sAMAccountName``, ``uid``)."""
    alias_attributes: tuple[Attribute, ...] | None = None
    """Attributes whose values a person may type instead of the login name. Default: the vendor's (``userPrincipalName``
    on Active Directory, none elsewhere). Add ``mail`` only if people cannot change their own there."""
    domain: str | None = None
    r"""Name of the domain, as people type it in ``DOMAIN\user``. Default: Active Directory's own, else not accepted."""
    upn_suffix: str | None = None
    """Accept ``login@suffix`` for every user, whatever ``userPrincipalName`` says."""
    groups_include: tuple[str, ...] = ("*",)
    """Which groups are taken over, by name; ``*`` and ``?`` are wildcards."""
    groups_exclude: tuple[str, ...] = ()
    """Which of these are left out; wins over ``groups_include``."""
    groups_required: tuple[str, ...] = ()
    """If set, only members of one of these groups (nested ones count) are users here."""
    default_group: str | None = None
    """A group of Quaymaster's own that every user of this directory is put into; it is made if it is missing."""
    protocols: frozenset[WayIn] = frozenset()
    """Ways in that a new user gets (sftp, ftps, webdav, api, portal); empty means any. An admin may change them."""
    home_layout: HomeLayout = HomeLayout.NAME
    """What a new user's home folder is called: the login ``name`` or the directory's immutable ``id``."""
    on_departure: Departure = Departure.DISABLE
    """``disable`` or ``delete`` a user who left the directory. One who is only disabled there is always disabled."""
    sync_interval_s: Annotated[float, Field(ge=60, le=7 * 86400)] = 3600.0
    """Seconds between two runs of the sync; a tenth of it is added or taken away by chance."""
    full_sync_interval_s: Annotated[float, Field(ge=60, le=30 * 86400)] = 21600.0
    """After this long a run reads the whole directory again, which finds entries that were deleted there."""
    max_disabled_percent: Annotated[int, Field(ge=1, le=100)] = 10
    """A run that would disable or delete more than this share of the users waits for an admin."""
    max_disabled_count: Annotated[int, Field(ge=1, le=100000)] = 20
    """Fewer than this many are disabled without asking, whatever their share."""
    timeout_s: Annotated[float, Field(ge=1, le=30)] = 5.0
    """Seconds within which a password is judged; then nobody can tell, and the client is told to try later."""
    connections: Annotated[int, Field(ge=1, le=64)] = 16
    """Passwords judged at the same time by one worker process."""
    lockout_threshold: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Failed passwords after which the directory locks an account; 0: it never does. Default: read from it."""
    lockout_window_s: Seconds | None = None
    """Seconds within which the directory counts them. Default: read from the directory."""

    @model_validator(mode="after")
    def _distinct_hosts(self) -> Self:
        if len({(name.lower(), port) for name, port in self.addresses()}) != len(self.hosts):
            message = "hosts names the same server twice"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _custom_is_complete(self) -> Self:
        names = ("user_filter", "group_filter", "id_attribute", "login_attribute")
        missing = [name for name in names if getattr(self, name) is None]
        if self.vendor is Vendor.CUSTOM and missing:
            message = f"vendor custom needs {', '.join(missing)} too: there is no preset to take them from"
            raise ValueError(message)
        return self

    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Give the servers as (name, port), in the order in which they are asked."""
        default = LDAPS_PORT if self.security is Security.LDAPS else LDAP_PORT
        return tuple(_split(host, default) for host in self.hosts)


def _split(host: str, default: int) -> tuple[str, int]:
    found = _HOST.fullmatch(host)
    assert found is not None  # noqa: S101 - checked by the field's validator
    return found["name"].strip("[]"), int(found["port"] or default)
