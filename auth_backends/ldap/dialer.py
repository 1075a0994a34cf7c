"""Opens connections to the servers of one provider: encrypted and verified, or not at all."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from auth_backends.api import Secret
from auth_backends.ldap.connection import LdapConnection
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import ServiceRefused
from auth_backends.ldap.hosts import Address
from auth_backends.ldap.resolver import Resolver
from auth_backends.ldap.results import Result, named
from auth_backends.ldap.tls import tls_context
from auth_backends.ldap.transport import Transport
from config.ldap import LdapProvider, Security

REFUSED_S = 30.0
CONTEXT_S = 3600.0
_FINAL = frozenset({Result.INVALID_CREDENTIALS, Result.CONSTRAINT_VIOLATION, Result.INAPPROPRIATE_AUTHENTICATION})
"""What every server would say of the service account; to ask again soon could lock it."""


@dataclass(frozen=True, slots=True)
class _Refused:
    at: float
    code: int
    label: str


class Dialer:
    """Thread-safe. ``monotonic`` is a clock."""

    def __init__(
        self, provider: LdapProvider, resolver: Resolver, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._provider = provider
        self._resolver = resolver
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._context: tuple[ssl.SSLContext, object, float] | None = None
        self._refused: _Refused | None = None

    def open(self, address: Address, deadline: Deadline) -> LdapConnection:
        """Give a fresh connection that is bound as nobody. Raises DirectoryUnreachable."""
        context = self.context()
        host, port = address
        addresses = self._resolver.addresses(host, port, deadline)
        transport = Transport.connect(addresses, f"{host}:{port}", deadline)
        connection = LdapConnection(transport, address, deadline)
        try:
            if self._provider.security is Security.STARTTLS:
                connection.start_tls()
            transport.encrypt(context, self._provider.tls_name or host, deadline)
        except BaseException:
            transport.close()
            raise
        return connection

    def open_as_service(self, address: Address, deadline: Deadline) -> LdapConnection:
        """Give a fresh connection that is bound as the service account. Raises DirectoryUnreachable.

        A refused password is not tried again for half a minute: every sign-in of a user would else be one more
        failure of the service account, which directories lock, too.
        """
        with self._lock:
            refused = self._refused
        if refused is not None and self._monotonic() - refused.at < REFUSED_S:
            raise _refusal(refused.code, refused.label)
        connection = self.open(address, deadline)
        try:
            answer = connection.bind(self._provider.bind_user, Secret(self._provider.bind_password), want_policy=False)
        except BaseException:
            connection.close()
            raise
        if answer.code == Result.SUCCESS:
            return connection
        connection.close()
        refusal = _refusal(answer.code, connection.label)
        if refusal.is_final:
            with self._lock:
                self._refused = _Refused(self._monotonic(), answer.code, connection.label)
        raise refusal

    def context(self) -> ssl.SSLContext:
        """Give the one TLS context of this provider: to load the authorities takes longer than a sign-in.

        It is made anew when the file of the authorities was replaced, and every hour for the system's own.
        """
        now, file = self._monotonic(), _state_of(self._provider.ca_file)
        with self._lock:
            kept = self._context
            if kept is None or kept[1] != file or now - kept[2] > CONTEXT_S:
                kept = self._context = (tls_context(self._provider), file, now)
            return kept[0]


def _state_of(file: Path | None) -> object:
    try:
        found = None if file is None else file.stat()
    except OSError:
        return None  # making the context says why
    return None if found is None else (found.st_mtime_ns, found.st_ino, found.st_size)


def _refusal(code: int, label: str) -> ServiceRefused:
    detail = f"the service account is refused: {named(code)}"
    return ServiceRefused(detail, label, code, is_final=code in _FINAL)
