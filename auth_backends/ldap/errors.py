"""Why a directory did not answer. All of it means: cannot tell.

DirectoryUnreachable
    NameUnresolved          the host's name has no address (DNS)
    NotConnected            no TCP connection
    TlsFailed               no trustworthy TLS
        CertificateRefused  the certificate is not by the authority, not for the name, or not valid now
    ServiceRefused          the service account cannot sign in
    BindNotSent             the name or password must not be sent
    AnswerMissing           no answer in time, or the connection ended before it
        OutcomeUnknown      ... to a password that was sent: the directory may have counted it
    AnswerUnusable          bytes that are no LDAP, too many of them, or an answer to something else
    AnswerUntrue            an entry that is not the one that was asked for
    SearchRefused           a search ended with another result than success
    HostsExhausted          no server is worth asking now
"""

from __future__ import annotations


class DirectoryUnreachable(Exception):
    """The directory cannot be asked, or its answer cannot be believed. Holds no secret.

    ``detail`` is a sentence's worth of words for an admin; ``host`` names the server, as NAME:PORT.
    """

    is_transport = False
    """Whether the server itself is to blame: what the breaker counts."""

    def __init__(self, detail: str, host: str = "") -> None:
        super().__init__(detail, host)
        self.detail = detail
        self.host = host

    def __str__(self) -> str:
        return f"{self.host}: {self.detail}" if self.host else self.detail


class NameUnresolved(DirectoryUnreachable):
    """DNS gives no address."""

    is_transport = True


class NotConnected(DirectoryUnreachable):
    """Nobody listens there, or nothing comes back."""

    is_transport = True


class TlsFailed(DirectoryUnreachable):
    """The connection cannot be encrypted, so nothing was said on it."""

    is_transport = True


class CertificateRefused(TlsFailed):
    """The server's certificate is not acceptable; ``code`` is OpenSSL's X509_V_ERR number."""

    def __init__(self, detail: str, host: str, code: int) -> None:
        super().__init__(detail, host)
        self.code = code


class ServiceRefused(DirectoryUnreachable):
    """The service account is refused; ``code`` is the result code (RFC 4511 section 4.1.9).

    ``is_final`` if every server would say so: to ask again soon could lock the account.
    """

    def __init__(self, detail: str, host: str, code: int, *, is_final: bool) -> None:
        super().__init__(detail, host)
        self.code = code
        self.is_final = is_final


class BindNotSent(DirectoryUnreachable):
    """A name or password that may mean "nobody" to a server: it was not sent."""


class AnswerMissing(DirectoryUnreachable):
    """The deadline passed, or the connection ended, before the whole answer was there."""

    is_transport = True


class OutcomeUnknown(AnswerMissing):
    """A password was sent and its answer did not come."""


class AnswerUnusable(DirectoryUnreachable):
    """The server speaks, but not what it should."""

    is_transport = True


class AnswerUntrue(DirectoryUnreachable):
    """A whole answer that contradicts the question. It is about one entry, so the breaker does not count it."""


class SearchRefused(DirectoryUnreachable):
    """A search did not succeed; ``code`` is the result code."""

    def __init__(self, detail: str, host: str, code: int) -> None:
        super().__init__(detail, host)
        self.code = code


class HostsExhausted(DirectoryUnreachable):
    """Every server failed lately and is left alone for a moment, or there was no time left to ask it."""
