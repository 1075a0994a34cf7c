"""Opens connections to the servers of one provider: encrypted and verified, or not at all."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

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
_TRANSIENT = frozenset(
    {Result.OPERATIONS_ERROR, Result.TIME_LIMIT_EXCEEDED, Result.BUSY, Result.UNAVAILABLE, Result.OTHER}
)


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
        self._context: ssl.SSLContext | None = None
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
        """Give the one TLS context of this provider: to load the authorities takes longer than a sign-in."""
        with self._lock:
            if self._context is None:
                self._context = tls_context(self._provider)
            return self._context


def _refusal(code: int, label: str) -> ServiceRefused:
    detail = f"the service account is refused: {named(code)}"
    return ServiceRefused(detail, label, code, is_final=code not in _TRANSIENT)
