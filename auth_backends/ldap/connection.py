"""One connection to one server: what may be asked on it, and nothing that could leak or hang."""

from __future__ import annotations

import math
import stringprep
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auth_backends.api import Secret
from auth_backends.ldap import ber, codec
from auth_backends.ldap.codec import Kind, Message, Scope
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.entry import Entry
from auth_backends.ldap.errors import (
    AnswerMissing,
    AnswerUnusable,
    BindNotSent,
    DirectoryUnreachable,
    OutcomeUnknown,
    SearchRefused,
    TlsFailed,
)
from auth_backends.ldap.password_policy import OID, PolicyAnswer, policy_answer
from auth_backends.ldap.results import Result, named
from auth_backends.ldap.transport import Transport
from auth_backends.passwords import usable

__all__ = ["BindAnswer", "Entry", "LdapConnection", "Scope", "sendable"]

MAX_DN = 4096
MAX_TEXT = 120
MAX_SMALL = 1 << 20  # bytes of one message when a password is checked
MAX_LARGE = 1 << 26  # ... when everything is read: a group of 500,000 is one message
MAX_PAGE = 1 << 28  # bytes of a page
MAX_ENTRIES = 5000  # of a search that is not paged
PAGE_SIZE = 500
MAX_EMPTY_PAGES = 1000
ANY = "(objectClass=*)"
_POLICY: codec.Controls = {OID: None}


@dataclass(frozen=True, slots=True)
class BindAnswer:
    """What a bind was answered; ``message`` is the server's text, shortened, for decisions and never for logs."""

    code: int
    message: str
    policy: PolicyAnswer | None = None


class LdapConnection:
    """Used by one thread at a time. Whatever fails is a DirectoryUnreachable, after which it is only closed.

    ``deadline`` is when the operations that follow must be over; set it anew before each use. With ``each_s``, each
    operation, or page, has so many seconds instead. ``most`` limits the bytes of one message. ``host`` and ``port`` are
    the server's as configured.
    """

    def __init__(self, transport: Transport, address: tuple[str, int], deadline: Deadline) -> None:
        self._transport = transport
        self._sent = 0
        self.host, self.port = address
        self.label = f"{self.host}:{self.port}"
        self.deadline = deadline
        self.each_s: float | None = None
        self.most = MAX_SMALL

    @property
    def certificate(self) -> bytes:
        """The server's certificate in DER."""
        return self._transport.certificate

    def start_tls(self) -> None:
        """Ask the server to speak TLS next (RFC 4511 section 4.14). Raises TlsFailed if it does not want to."""
        answer = self._asked(codec.extended(codec.START_TLS), Kind.EXTENDED)
        if answer.code != Result.SUCCESS:
            raise TlsFailed(f"the server refuses StartTLS: {named(answer.code)}", self.label)

    def bind(self, dn: str, secret: Secret, *, want_policy: bool = True) -> BindAnswer:
        """Prove a password; from then on this connection is that identity.

        Raises BindNotSent for what could mean "nobody" to a server, and OutcomeUnknown if the password went out and
        no answer came.
        """
        if not self._transport.is_encrypted:
            raise TlsFailed("the connection is not encrypted", self.label)
        if not sendable(dn, secret):
            raise BindNotSent("an empty, blank or overlong name or password is never sent", self.label)
        operation = codec.bind(dn, codec.prepared(secret.reveal()))
        try:
            answer = self._asked(operation, Kind.BIND, _POLICY if want_policy else None)
            policy = policy_answer(answer.controls, succeeded=answer.code == Result.SUCCESS)
        except ber.BerError as error:
            raise OutcomeUnknown(f"the answer cannot be read: {error}", self.label) from None
        except (AnswerMissing, AnswerUnusable) as error:
            raise OutcomeUnknown(error.detail, self.label) from None
        return BindAnswer(answer.code, _cleaned(answer.text), policy)

    def search(
        self, base: str, wanted: str, attributes: Sequence[str], *, scope: Scope = Scope.SUBTREE, limit: int = 0
    ) -> list[Entry]:
        """Give the entries that match, the first ``limit`` of them if it is not 0; thousands of them are an error.

        References to other servers are ignored. Raises SearchRefused, with the result code, for a base that is not
        there, too.
        """
        operation = self._search(base, wanted, attributes, scope, limit)
        # Samba 4.17 gives all, whatever limit it is told (test_ldap_samba).
        entries, done, _ = self._searched(operation, None, MAX_ENTRIES)
        if done.code == Result.SIZE_LIMIT_EXCEEDED and 0 < limit == len(entries):
            return entries
        if done.code != Result.SUCCESS:
            raise self._refused(done)
        return entries[:limit] if limit else entries

    def some(self, base: str, wanted: str, attributes: Sequence[str], at_most: int) -> list[Entry]:
        """Give the first page of the entries that match."""
        return next(self.pages(base, wanted, attributes, page_size=at_most))

    def search_base(self, dn: str, attributes: Sequence[str]) -> Entry | None:
        """Give the entry of this name, or None if there is none."""
        try:
            found = self.search(dn, ANY, attributes, scope=Scope.BASE, limit=1)
        except SearchRefused as error:
            if error.code == Result.NO_SUCH_OBJECT:
                return None
            raise
        return found[0] if found else None

    def root(self, attributes: Sequence[str]) -> Entry:
        """Give what the server says of itself (RFC 4512 section 5.1)."""
        return self.search_base("", attributes) or Entry("", {})

    def pages(
        self,
        base: str,
        wanted: str,
        attributes: Sequence[str],
        *,
        page_size: int = PAGE_SIZE,
        scope: Scope = Scope.SUBTREE,
    ) -> Iterator[list[Entry]]:
        """Give all entries that match, page by page (RFC 2696).

        Ends only when the server says that there is no more. A page that does not come, is too large, comes again,
        or has no word on whether more follow is an error: a part of the answer never looks like all of it.
        """
        cookie, before, empty = b"", [""], 0
        while True:
            operation = self._search(base, wanted, attributes, scope, 0)
            entries, done, cookie = self._searched(operation, codec.paged_control(page_size, cookie), page_size)
            if done.code != Result.SUCCESS:
                raise self._refused(done)
            names = [entry.dn for entry in entries]
            empty = 0 if entries else empty + 1
            if (entries and names == before) or empty > MAX_EMPTY_PAGES:
                raise AnswerUnusable("the same page comes again and again", self.label)
            before = names
            yield entries
            if not cookie:
                return

    def who_am_i(self) -> str:
        """Give the identity that the server takes us for, as ``dn:...`` or ``u:...`` (RFC 4532); empty for nobody."""
        answer = self._asked(codec.extended(codec.WHO_AM_I), Kind.EXTENDED)
        if answer.code != Result.SUCCESS:
            raise SearchRefused(f"it does not say who we are: {named(answer.code)}", self.label, answer.code)
        return (answer.value or b"").decode(errors="replace")

    def is_idle(self) -> bool:
        """Whether nothing came that was not asked for: neither a word nor the end of the connection."""
        return self._transport.is_quiet()

    def close(self) -> None:
        """End the connection, without waiting for anything."""
        self._transport.close(codec.message(self._sent + 1, codec.UNBIND))

    # Inside -----------------------------------------------------------------------------------------

    def _search(self, base: str, wanted: str, attributes: Sequence[str], scope: Scope, limit: int) -> bytes:
        limit_s = math.ceil(self.deadline.left() if self.each_s is None else self.each_s)
        try:
            return codec.search(base, wanted, tuple(attributes), scope=scope, limit=limit, time_limit_s=max(1, limit_s))
        except codec.FilterMalformed as error:
            raise DirectoryUnreachable(str(error), self.label) from None

    def _searched(
        self, operation: bytes, control: codec.Controls | None, most: int
    ) -> tuple[list[Entry], Message, bytes]:
        """Send a search and take in its entries, its end, and where the next page begins."""
        self._send(operation, control, critical=True)
        entries: list[Entry] = []
        size = 0
        while True:
            answer, length = self._received()
            size += length
            match answer.kind:
                case Kind.ENTRY if answer.entry is not None and len(entries) < most and size <= MAX_PAGE:
                    entries.append(answer.entry)
                case Kind.REFERENCE | Kind.INTERMEDIATE if size <= MAX_PAGE:
                    pass
                case Kind.DONE:
                    return entries, answer, b"" if control is None else self._cookie(answer)
                case Kind.ENTRY | Kind.REFERENCE | Kind.INTERMEDIATE:
                    raise AnswerUnusable(f"more than {len(entries)} entries where so many were asked for", self.label)
                case _:
                    raise AnswerUnusable("an answer to another question", self.label)

    def _cookie(self, done: Message) -> bytes:
        value = done.controls.get(codec.PAGED_RESULTS)
        if done.code != Result.SUCCESS:
            return b""
        if value is None:
            raise AnswerUnusable("the server does not say whether more entries follow", self.label)
        try:
            return codec.page_cookie(value)
        except ber.BerError as error:
            raise AnswerUnusable(f"the answer cannot be read: {error}", self.label) from None

    def _asked(self, operation: bytes, expected: Kind, controls: codec.Controls | None = None) -> Message:
        self._send(operation, controls)
        while True:
            answer, _ = self._received()
            if answer.kind is expected:
                return answer
            if answer.kind is not Kind.INTERMEDIATE:
                raise AnswerUnusable("an answer to another question", self.label)

    def _send(self, operation: bytes, controls: codec.Controls | None, *, critical: bool = False) -> None:
        if self.each_s is not None:
            self.deadline = Deadline.after(self.each_s, self.deadline.monotonic)
        self._sent += 1
        self._transport.send(codec.message(self._sent, operation, controls, critical=critical), self.deadline)

    def _received(self) -> tuple[Message, int]:
        data = self._transport.receive(self.deadline, self.most)
        try:
            answer = codec.answer(data)
        except ber.BerError as error:
            raise AnswerUnusable(f"the answer cannot be read: {error}", self.label) from None
        if answer.message_id == 0:  # RFC 4511 section 4.4.1, Notice of Disconnection
            raise AnswerMissing(f"the server ends the connection: {named(answer.code)}", self.label)
        if answer.message_id != self._sent:
            raise AnswerUnusable("an answer to another question", self.label)
        return answer, len(data)

    def _refused(self, done: Message) -> SearchRefused:
        return SearchRefused(f"the search was refused: {named(done.code)}", self.label, done.code)


def sendable(dn: str, secret: Secret) -> bool:
    """Whether a name and a password may be sent at all.

    Servers take an empty name or password for an anonymous bind and answer success (RFC 4513 section 5.1); some first
    strip blanks, or drop what SASLprep drops (RFC 4013 section 2.1).
    """
    if not usable(secret) or "\0" in dn or not 0 < len(dn.strip()) <= MAX_DN:
        return False
    return not all(letter.isspace() or stringprep.in_table_b1(letter) for letter in secret.reveal())


def _cleaned(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_TEXT])
