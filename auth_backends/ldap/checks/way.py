"""The way to one server: its name, its port, its certificate, and the service account's sign-in."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from auth_backends.api import Accepted, Reason, Rejected, Secret
from auth_backends.ldap.checks.certificate import Shown, now, shown
from auth_backends.ldap.checks.stage import Stage, failed, passed, warned
from auth_backends.ldap.connection import LdapConnection
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import CertificateRefused, DirectoryUnreachable, NameUnresolved, NotConnected, TlsFailed
from auth_backends.ldap.hosts import Address
from auth_backends.ldap.resolver import Resolver
from auth_backends.ldap.results import Result, named
from auth_backends.ldap.tls import EXPIRED, NAME_MISMATCH, NOT_YET_VALID, tls_context
from auth_backends.ldap.transport import SocketAddress, Transport
from auth_backends.ldap.verdicts import verdict_of
from config.ldap import LdapProvider, Security

SOON_DAYS = 14
DNS, TCP, START_TLS, CHAIN, NAME, VALIDITY, BIND = (
    "DNS",
    "TCP",
    "StartTLS",
    "certificate authority",
    "certificate name",
    "certificate validity",
    "service account",
)

_LOOK = "Look at the directory's own log for the reason."
_REFUSALS = {
    Reason.WRONG_PASSWORD: "Correct bind_user or bind_password.",
    Reason.DIRECTORY_NO_ENTRY: "There is no such account: correct bind_user.",
    Reason.DIRECTORY_LOCKED: "The account is locked: correct bind_password, then unlock the account.",
    Reason.DIRECTORY_DISABLED: "The account is disabled: enable it.",
    Reason.DIRECTORY_EXPIRED: "The account has expired: extend it.",
    Reason.DIRECTORY_PASSWORD_EXPIRED: "The password has expired: set a new one that does not.",
    Reason.DIRECTORY_PASSWORD_MUST_CHANGE: "The password must be changed first: set one that need not be.",
    Reason.DIRECTORY_LOGON_HOURS: "The account may not sign in at this hour: allow it at any.",
    Reason.DIRECTORY_WORKSTATION: "The account may sign in from some machines only: allow it from here.",
    Reason.NO_PASSWORD_SET: "The account has no password: set one.",
}


@dataclass(slots=True)
class Way:
    """One server's steps, until one fails. Afterwards, ``connection`` is bound, or None."""

    provider: LdapProvider
    address: Address
    refused_before: str = ""
    """The server that has refused the service account already, so that its password is not sent again."""
    refused_at: str = ""
    connection: LdapConnection | None = None
    _addresses: list[SocketAddress] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Name the server."""
        return f"{self.address[0]}:{self.address[1]}"

    def stages(self) -> Iterator[Stage]:
        """Go as far as it goes. Nothing secret is sent before the certificate was accepted."""
        yield (stage := self._dns())
        if stage.ok:
            yield (stage := self._tcp())
        if not stage.ok:
            return
        opened = self._encrypted()
        if not isinstance(opened, LdapConnection):
            yield from opened
            return
        try:
            yield from self._accepted(opened)
            stage = self._bind(opened)
            self.connection = opened if stage.ok and not self.refused_before else None
            yield stage
        finally:
            if self.connection is None:
                opened.close()

    def close(self) -> None:
        """End the connection."""
        if self.connection is not None:
            self.connection.close()

    # Steps ------------------------------------------------------------------------------------------

    def _dns(self) -> Stage:
        host, port = self.address
        try:
            self._addresses = list(Resolver().addresses(host, port, self._soon()))
        except NameUnresolved as error:
            return failed(
                DNS, error.detail, "Check the spelling in hosts, and which DNS server this machine asks.", self.label
            )
        return passed(DNS, f"{host} is {', '.join(ip for _, ip, _ in self._addresses)}", self.label)

    def _tcp(self) -> Stage:
        try:
            Transport.connect(self._addresses, self.label, self._soon()).close()
        except NotConnected as error:
            usual = "636 for LDAPS" if self.provider.security is Security.LDAPS else "389 for StartTLS"
            advice = f"Check the port ({usual}), that the directory runs there, and the firewalls between."
            return failed(TCP, error.detail, advice, self.label)
        return passed(TCP, "the port answers", self.label)

    def _encrypted(self) -> LdapConnection | list[Stage]:
        """Open a connection with a certificate that is accepted, or say what is wrong with it."""
        try:
            context = tls_context(self.provider)
            connection = self._plain()
        except DirectoryUnreachable as error:
            return [self._no_tls(error)]
        try:
            connection.encrypt(context, self._name, self._soon())
        except CertificateRefused as error:
            connection.close()
            return self._refused(error)
        except TlsFailed as error:
            connection.close()
            return [self._no_tls(error)]
        return LdapConnection(connection, self.address, self._soon())

    def _plain(self) -> Transport:
        """Connect, as far as TLS may begin. Raises DirectoryUnreachable."""
        transport = Transport.connect(self._addresses, self.label, self._soon())
        if self.provider.security is Security.STARTTLS:
            try:
                LdapConnection(transport, self.address, self._soon()).start_tls()
            except BaseException:
                transport.close()
                raise
        return transport

    def _no_tls(self, error: DirectoryUnreachable) -> Stage:
        if self.provider.security is Security.STARTTLS:
            advice = 'Give the server a certificate, or use security = "ldaps" if it has a port for that.'
            return failed(START_TLS, error.detail, advice, self.label)
        advice = (
            'The port must speak TLS from the first byte; security = "starttls" is for port 389. Check ca_file, too.'
        )
        return failed(CHAIN, error.detail, advice, self.label)

    def _accepted(self, connection: LdapConnection) -> Iterator[Stage]:
        certificate = shown(connection.certificate)
        if certificate is None:
            yield passed(CHAIN, "the certificate is accepted", self.label)
            return
        yield passed(CHAIN, f"the certificate is by {certificate.issuer}, which is trusted", self.label)
        yield passed(NAME, f"the certificate is for {self._name}", self.label)
        days, until = certificate.days_left(now()), f"{certificate.not_after:%Y-%m-%d}"
        if days < SOON_DAYS:
            yield warned(VALIDITY, f"{days} days left, until {until}", "Renew it in time.", self.label)
        else:
            yield passed(VALIDITY, f"{days} days left, until {until}", self.label)

    def _refused(self, error: CertificateRefused) -> list[Stage]:
        """Tell apart who signed it, whom it is for, and how long it is good; the name is looked at first by OpenSSL."""
        certificate = self._peeked()
        if error.code in NAME_MISMATCH:
            named_here = "" if certificate is None else f"; it is for {certificate.listed()}"
            advice = "Put one of its names in hosts or in tls_name, or have one issued for this name."
            return [
                passed(CHAIN, "the certificate leads to a trusted authority", self.label),
                failed(NAME, f"{error.detail}{named_here}", advice, self.label),
            ]
        if error.code in {EXPIRED, NOT_YET_VALID}:
            until = "" if certificate is None else f"; the server's own is good until {certificate.not_after:%Y-%m-%d}"
            advice = "Renew it, and check the clock of this machine."
            return [failed(VALIDITY, f"{error.detail}{until}", advice, self.label)]
        by = "" if certificate is None else f"; it is by {certificate.issuer}"
        source = self.provider.ca_file or "the system's authorities (no ca_file is given)"
        advice = f"Put the certificate of that authority, in PEM, in ca_file. Now it is {source}."
        return [failed(CHAIN, f"{error.detail}{by}", advice, self.label)]

    def _peeked(self) -> Shown | None:
        """Look at a certificate that was refused, over a connection on which nothing else is said."""
        unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        with suppress(DirectoryUnreachable):
            transport = self._plain()
            try:
                transport.encrypt(unchecked, self._name, self._soon())
                return shown(transport.certificate)
            finally:
                transport.close()
        return None

    def _bind(self, connection: LdapConnection) -> Stage:
        if self.refused_before:
            advice = "Correct what was refused there; to try a wrong password at each server could lock the account."
            return warned(BIND, f"not tried: it was refused at {self.refused_before}", advice, self.label)
        connection.deadline = self._soon()
        try:
            answer = connection.bind(self.provider.bind_user, Secret(self.provider.bind_password))
        except DirectoryUnreachable as error:
            advice = "The server took the connection and does not answer on it: look at its log and its load."
            return failed(BIND, error.detail, advice, self.label)
        verdict = verdict_of(answer, self.provider.vendor)
        if answer.code == Result.SUCCESS and isinstance(verdict, Accepted):
            return passed(BIND, f"{self.provider.bind_user} signed in", self.label)
        self.refused_at = self.label
        advice = _REFUSALS.get(verdict.reason, _LOOK) if isinstance(verdict, Rejected) else _LOOK
        return failed(BIND, f"{self.provider.bind_user} is refused: {named(answer.code)}", advice, self.label)

    @property
    def _name(self) -> str:
        return self.provider.tls_name or self.address[0]

    def _soon(self) -> Deadline:
        return Deadline.after(self.provider.timeout_s)
