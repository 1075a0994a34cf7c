"""One provider as the authority for its users' passwords."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from auth_backends.api import AttemptLimit, Reason, Rejected, Secret, Unavailable, Verdict
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.directory import Directory, Missing
from auth_backends.ldap.errors import DirectoryUnreachable
from auth_backends.ldap.hosts import Address
from auth_backends.ldap.lockout import UNREADABLE, configured, limit_of
from auth_backends.ldap.remembered import Remembered
from auth_backends.ldap.unanswered import Unanswered
from auth_backends.ldap.verdicts import verdict_of
from auth_backends.ldap.waiting_room import Overdue, Ticket, WaitingRoom
from config.ldap import LdapProvider
from storage.database.records import Identity

log = structlog.get_logger(__name__)

LIMIT_S = 0.25  # of the provider's time, for asking when the directory locks an account
LIMIT_KNOWN_S = 600.0

MISSING = {
    Missing.NO_ENTRY: Reason.DIRECTORY_NO_ENTRY,
    Missing.AMBIGUOUS: Reason.DIRECTORY_AMBIGUOUS,
    Missing.OUTSIDE_BASE: Reason.DIRECTORY_OUTSIDE_BASE,
}


class _NobodyWaits(DirectoryUnreachable):
    """The caller has left; the password was not sent."""


class LdapAuthority:
    """Judges passwords of one provider's users. Thread-safe; ``monotonic`` is a clock."""

    def __init__(self, name: str, provider: LdapProvider, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.provider = provider
        self._name = name
        self._directory = Directory(provider, monotonic=monotonic)
        self._room = WaitingRoom(name, provider.connections, monotonic)
        self._limits: Remembered[AttemptLimit | None] = Remembered(LIMIT_KNOWN_S, monotonic)
        self._unanswered = Unanswered(monotonic)
        self._monotonic = monotonic

    def judge(self, link: Identity, secret: Secret) -> Verdict:
        """Say whether this is the password of the person that the link names. Takes the provider's time at most."""
        within_s = self.provider.timeout_s - LIMIT_S  # the limit was asked for before
        deadline = Deadline.after(within_s, self._monotonic)
        limit = self._known_limit(link)
        if limit is not None and self._unanswered.count(link.external_id) >= limit.max_failures:
            return Unavailable("earlier passwords of this user were sent and not answered")
        sent: list[str] = []
        try:
            return self._room.ask(lambda ticket: self._proved(link, secret, deadline, ticket, sent), within_s)
        except (DirectoryUnreachable, Overdue) as error:
            if sent:
                self._unanswered.add(link.external_id)
            log.warning("ldap.unavailable", provider=self._name, error=type(error).__name__, detail=str(error))
            return Unavailable(f"{self._name}: {error}", perhaps_counted=bool(sent))

    def limit(self, link: Identity | None) -> AttemptLimit | None:
        """Give the limit that keeps the user unlocked, or None if the directory locks nobody.

        If it cannot be read in a moment, it is the last one known, or a low one.
        """
        told = configured(self.provider)
        if told is not None or link is None:
            return limit_of(told or UNREADABLE)
        known = self._limits.fresh(link.external_id)
        if known is not None:
            return known[0]
        deadline = self._directory.soon()

        def read(_: Ticket) -> AttemptLimit | None:
            found = self._directory.limit(link.external_id, link.hint, deadline)
            self._limits.put(link.external_id, found)
            return found

        try:
            return self._room.ask(read, LIMIT_S, is_verdict=False)
        except (DirectoryUnreachable, Overdue):
            return self._known_limit(link)

    def close(self) -> None:
        """End it: passwords that are being judged still are."""
        self._room.close()
        self._directory.close()

    # Inside -----------------------------------------------------------------------------------------

    def _known_limit(self, link: Identity) -> AttemptLimit | None:
        known = self._limits.known(link.external_id)
        return limit_of(configured(self.provider) or UNREADABLE) if known is None else known[1]

    def _proved(self, link: Identity, secret: Secret, deadline: Deadline, ticket: Ticket, sent: list[str]) -> Verdict:
        """Find the entry, then bind as it on a fresh connection to the server that gave it."""

        def at(address: Address, share: Deadline) -> Verdict:
            found = self._directory.find_at(address, link.external_id, link.hint, share)
            if isinstance(found, Missing):
                return Rejected(MISSING[found])
            if self._directory.is_service_account(found, share):
                return Rejected(Reason.SERVICE_ACCOUNT)
            connection = self._directory.open(address, share)
            try:
                if not ticket.is_wanted:
                    raise _NobodyWaits("the caller has left")
                connection.deadline = deadline
                sent.append(link.external_id)
                answer = connection.bind(found.entry.dn, secret)
            finally:
                connection.close()
            return verdict_of(answer, self.provider.vendor)

        return self._directory.hosts.ask(at, deadline)
