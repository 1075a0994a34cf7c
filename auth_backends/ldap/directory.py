"""What may be asked of one directory. Thread-safe; every answer is the directory's own, or DirectoryUnreachable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from auth_backends.api import AttemptLimit
from auth_backends.ldap.connection import MAX_LARGE, LdapConnection, Scope
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.dialer import Dialer
from auth_backends.ldap.dn import is_within, same_dn
from auth_backends.ldap.entry import Entry
from auth_backends.ldap.errors import AnswerUntrue, SearchRefused
from auth_backends.ldap.hosts import Address, Hosts
from auth_backends.ldap.lockout import UNREADABLE, Lockout, configured, limit_of, policy_place, read_lockout
from auth_backends.ldap.pool import Pool
from auth_backends.ldap.remembered import Remembered
from auth_backends.ldap.resolver import Resolver
from auth_backends.ldap.results import Result
from auth_backends.ldap.self_knowledge import domain_of, service_id_of
from auth_backends.ldap.vendors import external_id_of, id_filter, login_filter, preset_of
from config.ldap import LdapProvider

READ_S = 60.0  # for one page of a long reading
KNOWN_S = 600.0
LOOKED_UP = 10
_ELSEWHERE = frozenset({Result.NO_SUCH_OBJECT, Result.INVALID_DN_SYNTAX, Result.REFERRAL})
_DOMAIN, _SERVICE = "domain", "service"
_UNREADABLE = Lockout(-1, 0.0)  # also worth remembering

T = TypeVar("T")


class Missing(StrEnum):
    """Why there is no entry to take a password for."""

    NO_ENTRY = "no_entry"
    AMBIGUOUS = "ambiguous"
    OUTSIDE_BASE = "outside_base"


@dataclass(frozen=True, slots=True)
class Found:
    """An entry, and the server that gave it."""

    entry: Entry
    address: Address


class Directory:
    """One provider's directory. ``monotonic`` is a clock; :meth:`close` frees the connections."""

    def __init__(self, provider: LdapProvider, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.provider = provider
        self.preset = preset_of(provider)
        self.hosts = Hosts(provider.addresses(), monotonic)
        self._monotonic = monotonic
        self._dialer = Dialer(provider, Resolver(monotonic=monotonic), monotonic)
        self._pool = Pool(self._dialer, provider.connections, monotonic)
        self._known: Remembered[str] = Remembered(KNOWN_S, monotonic)
        self._lockouts: Remembered[Lockout] = Remembered(KNOWN_S, monotonic)

    def ask(self, question: Callable[[LdapConnection], T], deadline: Deadline) -> T:
        """Ask the first server that answers, on a pooled connection of the service account."""
        return self.hosts.ask(lambda address, share: self._pool.ask(address, question, share), deadline)

    @contextmanager
    def reader(self) -> Iterator[LdapConnection]:
        """Give a connection of the service account of its own, for a long reading; each page has a minute."""
        connection = self.hosts.ask(self._dialer.open_as_service, self.soon())
        connection.each_s, connection.most = READ_S, MAX_LARGE
        try:
            yield connection
        finally:
            connection.close()

    def open(self, address: Address, deadline: Deadline) -> LdapConnection:
        """Give a fresh connection that is bound as nobody, for the one bind of one user."""
        return self._dialer.open(address, deadline)

    def find(
        self, external_id: str, hint: str, deadline: Deadline | None = None, *, attributes: tuple[str, ...] = ()
    ) -> Found | Missing:
        """Find a user by the immutable id, first at ``hint``, where the entry was last seen; see :meth:`find_at`."""
        return self.hosts.ask(
            lambda address, share: self.find_at(address, external_id, hint, share, attributes=attributes),
            deadline or self.soon(),
        )

    def find_at(
        self, address: Address, external_id: str, hint: str, deadline: Deadline, *, attributes: tuple[str, ...] = ()
    ) -> Found | Missing:
        """Find a user at one server. The id, the user filter and the base must hold, wherever the entry is.

        The entry has its id and these attributes.
        """
        wanted = (self.preset.id_attribute, *attributes)
        found = self._pool.ask(address, lambda connection: self._find(connection, external_id, hint, wanted), deadline)
        return found if isinstance(found, Missing) else Found(found, address)

    def look_up(self, login: str, deadline: Deadline | None = None) -> list[Entry]:
        """Give the users whose login name or alias this is; more than one means that the name names nobody."""
        preset = self.preset
        wanted = (
            preset.id_attribute,
            preset.login_attribute,
            *preset.alias_attributes,
            preset.display_name_attribute,
            preset.mail_attribute,
            *preset.status_attributes,
            *preset.policy_attributes,
        )
        searched = login_filter(preset, login)
        found = self.ask(
            lambda connection: connection.search(self._user_base, searched, wanted, limit=LOOKED_UP),
            deadline or self.soon(),
        )
        return [entry for entry in found if is_within(entry.dn, self._user_base)]

    def service_account_id(self, deadline: Deadline | None = None) -> str:
        """Give the immutable id of the service account; empty if it is no entry below the base."""
        return self._known.get(_SERVICE, lambda: self.ask(self._service_id, deadline or self.soon()))

    def is_service_account(self, found: Found, deadline: Deadline) -> bool:
        """Whether an entry is the service account: guesses of its password would lock everybody out.

        Asks the same server only, since this may be the one question that an open breaker lets through.
        """
        if same_dn(found.entry.dn, self.provider.bind_user):
            return True
        service_id = self._known.get(_SERVICE, lambda: self._pool.ask(found.address, self._service_id, deadline))
        return bool(service_id) and external_id_of(self.preset, found.entry) == service_id

    def domain(self, deadline: Deadline | None = None) -> str:
        r"""Give the name before the backslash in ``DOMAIN\user``; empty if there is none."""
        if self.provider.domain is not None or not self.preset.is_active_directory:
            return self.provider.domain or ""
        return self._known.get(_DOMAIN, lambda: self.ask(domain_of, deadline or self.soon()))

    def lockout(self, entry: Entry, deadline: Deadline | None = None) -> AttemptLimit | None:
        """Give the limit that keeps this entry unlocked, or None if the directory locks nobody.

        ``entry`` must have the attributes of ``preset.policy_attributes`` that it has.
        """
        return limit_of(self.lockout_settings(entry, deadline) or UNREADABLE)

    def lockout_settings(self, entry: Entry, deadline: Deadline | None = None) -> Lockout | None:
        """Give the settings that an entry is under, or None if they cannot be read."""
        told = configured(self.provider)
        if told is not None:
            return told
        place = policy_place(self.preset, entry)

        def read(connection: LdapConnection) -> Lockout:
            return read_lockout(connection, self.provider, self.preset, place) or _UNREADABLE

        found = self._lockouts.get(place, lambda: self.ask(read, deadline or self.soon()))
        return None if found == _UNREADABLE else found

    def limit(self, external_id: str, hint: str, deadline: Deadline) -> AttemptLimit | None:
        """Give the limit that keeps a user unlocked, found by the immutable id; None if nobody is ever locked."""
        told = configured(self.provider)
        if told is not None:
            return limit_of(told)
        found = self.find(external_id, hint, deadline, attributes=self.preset.policy_attributes)
        entry = Entry("", {}) if isinstance(found, Missing) else found.entry
        return self.lockout(entry, deadline)

    def soon(self) -> Deadline:
        """Give the deadline of something that starts now."""
        return Deadline.after(self.provider.timeout_s, self._monotonic)

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._pool.close()

    # Inside -----------------------------------------------------------------------------------------

    @property
    def _user_base(self) -> str:
        return self.provider.user_base_dn or self.provider.base_dn

    def _find(
        self, connection: LdapConnection, external_id: str, hint: str, attributes: tuple[str, ...]
    ) -> Entry | Missing:
        wanted = f"(&{self.preset.user_filter}{id_filter(self.preset, external_id)})"
        found = self._at(connection, hint, wanted, attributes) if is_within(hint, self._user_base) else []
        if not found:
            found = connection.search(self._user_base, wanted, attributes, limit=2)
        if not found:
            return Missing.NO_ENTRY
        if len(found) > 1:
            return Missing.AMBIGUOUS
        if not is_within(found[0].dn, self._user_base):
            return Missing.OUTSIDE_BASE
        if external_id_of(self.preset, found[0]) != external_id:
            raise AnswerUntrue("the server gives another entry than it was asked for", connection.label)
        return found[0]

    @staticmethod
    def _at(connection: LdapConnection, hint: str, wanted: str, attributes: tuple[str, ...]) -> list[Entry]:
        """Look where the entry was last; a place that is gone, or is no place on this server, has nothing."""
        try:
            return connection.search(hint, wanted, attributes, scope=Scope.BASE, limit=2)
        except SearchRefused as error:
            if error.code in _ELSEWHERE:
                return []
            raise

    def _service_id(self, connection: LdapConnection) -> str:
        return service_id_of(connection, self.provider, self.preset)
