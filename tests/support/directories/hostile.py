"""A directory server that misbehaves on purpose, for what real ones do not do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.support.directories import ldap_wire as wire
from tests.support.directories.ldap_table import Entries, found
from tests.support.directories.sinks import Blackhole, Listener, Trap

__all__ = ["Blackhole", "HostileLdap", "Misbehaviour", "Operation", "Trap"]

_ABORTIVE = struct.pack("ii", 1, 0)
_CHUNK = 1 << 16
_GARBAGE = bytes(range(255, -1, -1)) * 16
_HUGE = 0x7FFF_FFFF
_FOREIGN_DN = "uid=mallory,ou=evil,dc=attacker,dc=test"
_FOREIGN: dict[str, list[bytes]] = {
    "objectClass": [b"inetOrgPerson"],
    "uid": [b"mallory"],
    "cn": [b"mallory"],
    "sn": [b"mallory"],
    "sAMAccountName": [b"mallory"],
    "userPrincipalName": [b"mallory@attacker.test"],
    "mail": [b"mallory@attacker.test"],
    "entryUUID": [b"6d616c6c-6f72-4790-8000-000000000000"],
    "objectGUID": [uuid.UUID("6d616c6c-6f72-4790-8000-000000000000").bytes_le],
}


class Operation(StrEnum):
    """Which answers a misbehaviour of answers spoils."""

    BIND = "bind"
    SEARCH = "search"


class Misbehaviour(StrEnum):
    """What a ``HostileLdap`` does; those under "answers" happen at the operation that ``at`` names."""

    NONE = "none"
    # Connections
    SILENT_BEFORE_TLS = "silent_before_tls"  # accepts TCP and never speaks TLS
    # Answers
    SILENT = "silent"  # reads and never answers; with no service_dn not even a StartTLS request
    DRIP = "drip"  # a byte every drip_s seconds
    RESET_MID_BIND = "reset_mid_bind"  # a TCP reset instead of an answer
    TRUNCATED_BER = "truncated_ber"  # half an answer and the end of the connection
    GARBAGE = "garbage"  # bytes that are no BER
    DISCONNECT_NOTICE = "disconnect_notice"  # a Notice of Disconnection and the end (RFC 4511 4.4.1)
    WRONG_MESSAGE_ID = "wrong_message_id"  # a success for another request
    RESULT_CODE = "result_code"  # ``code`` with ``diagnostic``
    REFERRAL_ON_BIND = "referral_on_bind"  # 10, referral, to trap_url
    BIND_SUCCESS_ALWAYS = "bind_success_always"  # every bind succeeds, with an empty password, too
    # StartTLS
    REFUSE_STARTTLS = "refuse_starttls"  # protocolError
    STRIP_STARTTLS = "strip_starttls"  # success, and plain text as before
    INJECT_AFTER_STARTTLS = "inject_after_starttls"  # success, then a bind success in plain text, then TLS
    # Searches
    REFERRAL_ON_SEARCH = "referral_on_search"  # a reference and the result 10, both to trap_url
    OVERSIZED_ENTRY = "oversized_entry"  # an entry of 2 GiB, for as long as the client reads
    ENDLESS_ENTRIES = "endless_entries"  # entries for as long as the client reads
    ENDLESS_PAGES = "endless_pages"  # the same entries with a new cookie, page after page
    PARTIAL_RESULTS = "partial_results"  # half the entries, then ``code``
    FOREIGN_ENTRY = "foreign_entry"  # ``foreign``, whatever was asked; every bind succeeds
    TWO_ENTRIES = "two_entries"  # what was found and a twin of it with another DN and id; every bind succeeds
    WRONG_ID = "wrong_id"  # what was found with another entryUUID and objectGUID; every bind succeeds


_ANSWERS = frozenset(
    {
        Misbehaviour.SILENT,
        Misbehaviour.DRIP,
        Misbehaviour.RESET_MID_BIND,
        Misbehaviour.TRUNCATED_BER,
        Misbehaviour.GARBAGE,
        Misbehaviour.DISCONNECT_NOTICE,
        Misbehaviour.WRONG_MESSAGE_ID,
        Misbehaviour.RESULT_CODE,
    }
)
_CREDULOUS = frozenset(
    {
        *_ANSWERS - {Misbehaviour.RESULT_CODE},  # the spoilt answer would have been a success
        Misbehaviour.BIND_SUCCESS_ALWAYS,
        Misbehaviour.FOREIGN_ENTRY,
        Misbehaviour.TWO_ENTRIES,
        Misbehaviour.WRONG_ID,
    }
)


class _OverError(OSError):
    """The conversation ends."""


@dataclass(slots=True)
class _Conversation:
    """One connection: its socket (by now maybe TLS), what came, what is unread, and who is bound."""

    socket: socket.socket
    number: int
    record: bytearray
    unread: bytearray
    is_healthy: bool
    bound_dn: str = ""

    def next_request(self) -> wire.Request:
        while True:
            with contextlib.suppress(wire.Incomplete):
                return wire.request(self.unread)
            self.read_more()

    def read_more(self) -> None:
        chunk = self.socket.recv(_CHUNK)
        if not chunk:
            raise _OverError
        self.record += chunk
        self.unread += chunk


class HostileLdap(Listener):
    """An LDAP server on ``ip``:``port``, of our own, that does what ``mode`` says; ``mode`` may change at any time.

    Without a misbehaviour it answers searches from ``entries``, and lets in anonymous clients, ``service_dn`` with
    any password, and those of ``passwords``; others get 49. An answer spoilt by a misbehaviour would have been a
    success. ``service_dn`` always binds undisturbed and its searches are spoilt only by misbehaviours of searches or
    with ``at=Operation.SEARCH``; without a ``service_dn`` every bind is disturbed. The first ``healthy_first``
    connections meet no misbehaviour at all.

    ``tls`` is the certificate and key for LDAPS from the first byte; ``starttls`` those for StartTLS, which is refused
    without. ``max_values`` cuts long attributes into ranges, as Active Directory does. ``received`` and
    ``connections`` tell what came; ``binds`` who tried to bind.
    """

    def __init__(
        self,
        mode: Misbehaviour = Misbehaviour.NONE,
        *,
        at: Operation = Operation.BIND,
        tls: tuple[Path, Path] | None = None,
        starttls: tuple[Path, Path] | None = None,
        service_dn: str | None = None,
        entries: Entries | None = None,
        passwords: Mapping[str, str] | None = None,
        code: int = 49,
        diagnostic: str = "",
        trap_url: str = "",
        foreign: tuple[str, wire.Attributes] = (_FOREIGN_DN, _FOREIGN),
        max_values: int | None = None,
        drip_s: float = 1.0,
        healthy_first: int = 0,
    ) -> None:
        self.mode, self.at = mode, at
        self.entries = dict(entries or {})
        self.passwords = dict(passwords or {})
        self.code, self.diagnostic = code, diagnostic
        self.trap_url, self.foreign = trap_url, foreign
        self.binds: list[str] = []
        self._service_dn = service_dn
        self._max_values, self._drip_s, self._healthy_first = max_values, drip_s, healthy_first
        self._tls, self._starttls = (_context(files) if files else None for files in (tls, starttls))
        super().__init__()

    def serve(self, connection: socket.socket, record: bytearray, number: int) -> None:
        """Answer, or not, until the client or the misbehaviour ends the connection."""
        talk = _Conversation(connection, number, record, bytearray(), is_healthy=number < self._healthy_first)
        if self._mode(talk) is Misbehaviour.SILENT_BEFORE_TLS:
            self._ignore(talk)
        if self._tls is not None:
            self._encrypt(talk, self._tls)
        while True:
            self._answer(talk, talk.next_request())

    def _mode(self, talk: _Conversation) -> Misbehaviour:
        return Misbehaviour.NONE if talk.is_healthy else self.mode

    def _answer(self, talk: _Conversation, request: wire.Request) -> None:
        match request.operation:
            case wire.BIND:
                self._bind(talk, request)
            case wire.SEARCH:
                self._search(talk, request)
            case wire.EXTENDED:
                self._extended(talk, request)
            case wire.ABANDON:
                pass
            case wire.UNBIND:
                raise _OverError
            case _:
                self._send(talk, request, wire.extended_result(2, "", "not supported"))

    def _bind(self, talk: _Conversation, request: wire.Request) -> None:
        dn, mode = request.bind_dn, self._mode(talk)
        self.binds.append(dn)
        is_service = self._service_dn is not None and dn == self._service_dn
        code = 0 if is_service or self._lets_in(mode, dn, request.bind_password) else 49
        talk.bound_dn = dn if code == 0 else ""
        operation = wire.bind_result(code)
        if is_service or self.at is not Operation.BIND:
            self._send(talk, request, operation)
        elif mode is Misbehaviour.REFERRAL_ON_BIND:
            self._send(talk, request, wire.bind_result(10, "", [self.trap_url]))
        elif mode is Misbehaviour.RESULT_CODE:
            self._send(talk, request, wire.bind_result(self.code, self.diagnostic))
        else:
            self._spoil(talk, request, operation, mode)

    def _lets_in(self, mode: Misbehaviour, dn: str, password: bytes) -> bool:
        if mode in _CREDULOUS or (not dn and not password):
            return True
        return bool(password) and self.passwords.get(dn, "").encode() == password

    def _search(self, talk: _Conversation, request: wire.Request) -> None:
        mode, number = self._mode(talk), request.message_id
        if mode is Misbehaviour.OVERSIZED_ENTRY:
            self._stream(talk, _oversized(number), b"A" * _CHUNK)
        if mode is Misbehaviour.ENDLESS_ENTRIES:
            self._stream(talk, b"", wire.message(number, wire.search_entry(*self.foreign)) * 64)
        answers = [wire.search_entry(*match) for match in self._found(mode, wire.Search.of(request)).items()]
        if mode is Misbehaviour.REFERRAL_ON_SEARCH:
            answers.append(wire.search_reference(self.trap_url))
        entries = b"".join(wire.message(number, answer) for answer in answers)
        cookie = uuid.uuid4().bytes if mode is Misbehaviour.ENDLESS_PAGES else b""
        pages = {wire.PAGED_RESULTS: wire.paged_value(cookie)} if wire.PAGED_RESULTS in request.controls else None
        if self.at is Operation.SEARCH:
            self._spoil(talk, request, self._search_done(mode), mode, before=entries, controls=pages)
        else:
            talk.socket.sendall(entries + wire.message(number, self._search_done(mode), pages))

    def _found(self, mode: Misbehaviour, asked: wire.Search) -> dict[str, wire.Attributes]:
        matches = found(self.entries, asked, self._max_values)
        match mode:
            case Misbehaviour.FOREIGN_ENTRY:
                return dict([self.foreign])
            case Misbehaviour.TWO_ENTRIES:
                return _twins(matches or dict([self.foreign]))
            case Misbehaviour.WRONG_ID:
                return {dn: _renumbered(attributes) for dn, attributes in matches.items()}
            case Misbehaviour.PARTIAL_RESULTS:
                return dict(list(matches.items())[: len(matches) // 2])
            case Misbehaviour.RESULT_CODE if self.at is Operation.SEARCH:
                return {}
            case _:
                return matches

    def _search_done(self, mode: Misbehaviour) -> bytes:
        if mode is Misbehaviour.REFERRAL_ON_SEARCH:
            return wire.search_done(10, "", [self.trap_url])
        is_error = mode is Misbehaviour.RESULT_CODE and self.at is Operation.SEARCH
        if is_error or mode is Misbehaviour.PARTIAL_RESULTS:
            return wire.search_done(self.code, self.diagnostic)
        return wire.search_done()

    def _extended(self, talk: _Conversation, request: wire.Request) -> None:
        mode = self._mode(talk)
        if mode is Misbehaviour.SILENT and self._service_dn is None:
            self._ignore(talk)
        if request.extended_name != wire.STARTTLS or mode is Misbehaviour.REFUSE_STARTTLS:
            self._send(talk, request, wire.extended_result(2, request.extended_name, "not supported"))
        elif mode is Misbehaviour.STRIP_STARTTLS:
            self._send(talk, request, wire.extended_result(0, wire.STARTTLS))
        elif self._starttls is None:
            self._send(talk, request, wire.extended_result(52, wire.STARTTLS, "no certificate"))
        else:
            answer = wire.message(request.message_id, wire.extended_result(0, wire.STARTTLS))
            if mode is Misbehaviour.INJECT_AFTER_STARTTLS:
                answer += wire.message(request.message_id + 1, wire.bind_result(0))
            talk.socket.sendall(answer)
            self._encrypt(talk, self._starttls)

    def _spoil(
        self,
        talk: _Conversation,
        request: wire.Request,
        operation: bytes,
        mode: Misbehaviour,
        *,
        before: bytes = b"",
        controls: wire.Controls | None = None,
    ) -> None:
        """Send ``before`` and the operation as ``mode`` has it."""
        good = before + wire.message(request.message_id, operation, controls)
        match mode:
            case Misbehaviour.SILENT:
                self._ignore(talk)
            case Misbehaviour.DRIP:
                for byte in good:
                    talk.socket.sendall(bytes([byte]))
                    if self.stopping.wait(self._drip_s):
                        raise _OverError
            case Misbehaviour.RESET_MID_BIND:
                talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTIVE)
                raise _OverError
            case Misbehaviour.TRUNCATED_BER:
                talk.socket.sendall(good[: len(good) // 2])
                raise _OverError
            case Misbehaviour.GARBAGE:
                talk.socket.sendall(_GARBAGE)
            case Misbehaviour.DISCONNECT_NOTICE:
                notice = wire.result(0x78, 52, "going away", (), wire.text(wire.NOTICE_OF_DISCONNECTION, 0x8A))
                talk.socket.sendall(wire.message(0, notice))
                raise _OverError
            case Misbehaviour.WRONG_MESSAGE_ID:
                talk.socket.sendall(wire.message(request.message_id + 1000, operation, controls))
            case _:
                talk.socket.sendall(good)

    def _send(self, talk: _Conversation, request: wire.Request, operation: bytes) -> None:
        talk.socket.sendall(wire.message(request.message_id, operation))

    def _stream(self, talk: _Conversation, start: bytes, chunk: bytes) -> None:
        talk.socket.sendall(start)
        while True:
            talk.socket.sendall(chunk)

    def _ignore(self, talk: _Conversation) -> None:
        while True:
            talk.read_more()

    def _encrypt(self, talk: _Conversation, context: ssl.SSLContext) -> None:
        encrypted = context.wrap_socket(talk.socket, server_side=True, do_handshake_on_connect=False)
        talk.socket = encrypted
        self.replace(talk.number, encrypted)
        encrypted.do_handshake()


def _context(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


def _oversized(message_id: int) -> bytes:
    """Give the start of an entry whose one value is as long as BER's usual limit, 2 GiB."""
    value = b"\x04" + wire.length(_HUGE)
    values = b"\x31" + wire.length(_HUGE + len(value)) + value
    attribute = wire.text("description") + values
    attribute = b"\x30" + wire.length(_HUGE + len(attribute)) + attribute
    attributes = b"\x30" + wire.length(_HUGE + len(attribute)) + attribute
    entry = wire.text(_FOREIGN_DN) + attributes
    entry = b"\x64" + wire.length(_HUGE + len(entry)) + entry
    whole = wire.integer(message_id) + entry
    return b"\x30" + wire.length(_HUGE + len(whole)) + whole


def _twins(matches: Mapping[str, wire.Attributes]) -> dict[str, wire.Attributes]:
    dn, attributes = next(iter(matches.items()))
    rdn, _, parent = dn.partition(",")
    return {dn: attributes, f"{rdn},ou=twins,{parent}": _renumbered(attributes)}


def _renumbered(attributes: wire.Attributes) -> dict[str, list[bytes]]:
    other = uuid.uuid4()
    values = {"entryuuid": str(other).encode(), "objectguid": other.bytes_le}
    return {name: [values[name.lower()]] if name.lower() in values else list(kept) for name, kept in attributes.items()}
