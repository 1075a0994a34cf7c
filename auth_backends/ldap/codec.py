"""LDAP messages (RFC 4511): requests are encoded by ldap3, answers are read by ``ber``.

Of ldap3 2.9.1 only this is used. Its connections follow referrals with the service password in clear text, check no
certificate, wait for ever, bind anonymously for an empty name, and set no TCP_NODELAY; its pools hang on a closed port.
What is not called needs no setting that forbids it.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # ldap3 2.9.1 imports names that pyasn1 0.6 has renamed
    from ldap3 import BASE, DEREF_NEVER, LEVEL, SIMPLE, SUBTREE
    from ldap3.core.exceptions import LDAPException
    from ldap3.operation.bind import bind_operation
    from ldap3.operation.extended import extended_operation
    from ldap3.operation.search import search_operation
    from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
    from ldap3.utils.asn1 import encode

from auth_backends.ldap import ber
from auth_backends.ldap.entry import Entry

START_TLS = "1.3.6.1.4.1.1466.20037"
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"  # RFC 4532
PAGED_RESULTS = "1.2.840.113556.1.4.319"  # RFC 2696
UNBIND = b"\x42\x00"
_CONTROLS = 0xA0
_EXTENDED_VALUE = 0x8B

Controls = Mapping[str, bytes | None]


class FilterMalformed(ValueError):
    """The search filter, or what it is to be looked for in, cannot be read."""


class Scope(StrEnum):
    """How deep a search goes (RFC 4511 section 4.5.1.2)."""

    BASE = BASE
    LEVEL = LEVEL
    SUBTREE = SUBTREE


class Kind(IntEnum):
    """What a server says; the numbers are BER tags."""

    BIND = 0x61
    ENTRY = 0x64
    DONE = 0x65
    REFERENCE = 0x73
    EXTENDED = 0x78
    INTERMEDIATE = 0x79


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a server. ``code`` and ``text`` are those of results, ``value`` that of an extended one."""

    message_id: int
    kind: Kind
    code: int = -1
    text: str = ""
    entry: Entry | None = None
    value: bytes | None = None
    controls: Controls = field(default_factory=dict)


# Requests ----------------------------------------------------------------------------------------


def prepared(password: str) -> bytes:
    """Bring composed and decomposed letters to one form, as for our own passwords: keyboards differ."""
    return unicodedata.normalize("NFC", password).encode()


def bind(dn: str, password: bytes) -> bytes:
    """Encode a simple bind. Bytes go out as they are: of a text, ldap3 would make another by SASLprep."""
    return _operation("bindRequest", bind_operation(3, SIMPLE, dn, password))


@lru_cache(maxsize=1024)
def search(
    base: str, wanted: str, attributes: tuple[str, ...], *, scope: Scope, limit: int, time_limit_s: int
) -> bytes:
    """Encode a search. Raises FilterMalformed."""
    try:
        request = search_operation(
            base,
            wanted,
            scope.value,
            DEREF_NEVER,
            attributes,
            limit,
            time_limit_s,
            types_only=False,
            auto_escape=False,
            auto_encode=False,
        )
    except (LDAPException, ValueError, IndexError) as error:
        raise FilterMalformed(f"the filter {wanted!r} cannot be read ({type(error).__name__})") from None
    return _operation("searchRequest", request)


@lru_cache(maxsize=8)
def extended(name: str) -> bytes:
    """Encode an extended operation without a value."""
    return _operation("extendedReq", extended_operation(name))


def paged_control(size: int, cookie: bytes) -> Controls:
    """Give the control that asks for the next page."""
    value = ber.encoded(ber.SEQUENCE, ber.encoded_integer(size), ber.encoded(ber.OCTET_STRING, cookie))
    return {PAGED_RESULTS: value}


def message(message_id: int, operation: bytes, controls: Controls | None = None, *, critical: bool = False) -> bytes:
    """Put an operation into a message of its own."""
    tail = b""
    if controls:
        criticality = ber.encoded(ber.BOOLEAN, b"\xff") if critical else b""
        tail = ber.encoded(
            _CONTROLS,
            *(
                ber.encoded(ber.SEQUENCE, ber.encoded(ber.OCTET_STRING, oid.encode()), criticality, _value(value))
                for oid, value in controls.items()
            ),
        )
    return ber.encoded(ber.SEQUENCE, ber.encoded_integer(message_id), operation, tail)


def _value(value: bytes | None) -> bytes:
    return b"" if value is None else ber.encoded(ber.OCTET_STRING, value)


def _operation(name: str, request: Any) -> bytes:
    """Have ldap3 encode a message and take the operation out of it, so that it can be kept and sent again."""
    whole = LDAPMessage()
    whole["messageID"] = MessageID(1)
    whole["protocolOp"] = ProtocolOp().setComponentByName(name, request)
    data: bytes = encode(whole)
    (_, begin, end) = next(ber.elements(data, 0, len(data)))
    (_, _, operation_begin), _ = list(ber.elements(data, begin, end))
    return data[operation_begin:end]


# Answers -----------------------------------------------------------------------------------------


def answer(data: bytes) -> Message:
    """Read one whole message. Raises BerError."""
    whole = list(ber.elements(data, 0, len(data)))
    if len(whole) != 1 or whole[0][0] != ber.SEQUENCE:
        raise ber.BerError("bytes that are no LDAP message")
    _, begin, end = whole[0]
    parts = list(ber.elements(data, begin, end))
    if len(parts) < 2 or parts[1][0] not in {*Kind}:  # noqa: PLR2004 - a number and an operation
        raise ber.BerError("a message that a client does not get")
    message_id, operation = ber.integer(data, parts[0]), parts[1]
    controls = _controls(data, parts[2:])
    kind = Kind(operation[0])
    match kind:
        case Kind.ENTRY:
            return Message(message_id, kind, entry=_entry(data, operation), controls=controls)
        case Kind.REFERENCE | Kind.INTERMEDIATE:
            return Message(message_id, kind, controls=controls)
        case _:
            return _result(message_id, kind, data, operation, controls)


def page_cookie(value: bytes) -> bytes:
    """Read where the next page begins; empty after the last one. Raises BerError."""
    for tag, begin, end in ber.elements(value, 0, len(value)):
        parts = list(ber.elements(value, begin, end))
        if tag == ber.SEQUENCE and len(parts) == 2 and parts[1][0] == ber.OCTET_STRING:  # noqa: PLR2004 - size and cookie
            return ber.octets(value, parts[1])
    raise ber.BerError("a paging control that cannot be read")


def _result(message_id: int, kind: Kind, data: bytes, operation: ber.Element, controls: Controls) -> Message:
    parts = list(ber.elements(data, operation[1], operation[2]))
    if len(parts) < 3 or parts[0][0] != ber.ENUMERATED:  # noqa: PLR2004 - code, matched DN, diagnostic message
        raise ber.BerError("a result that cannot be read")
    value = next((ber.octets(data, part) for part in parts[3:] if part[0] == _EXTENDED_VALUE), None)
    text = ber.octets(data, parts[2]).decode(errors="replace")
    return Message(message_id, kind, ber.integer(data, parts[0]), text, value=value, controls=controls)


def _entry(data: bytes, operation: ber.Element) -> Entry:
    parts = list(ber.elements(data, operation[1], operation[2]))
    if [part[0] for part in parts] != [ber.OCTET_STRING, ber.SEQUENCE]:
        raise ber.BerError("an entry that cannot be read")
    attributes: dict[str, list[bytes]] = {}
    for tag, begin, end in ber.elements(data, parts[1][1], parts[1][2]):
        pair = list(ber.elements(data, begin, end))
        if tag != ber.SEQUENCE or len(pair) != 2:  # noqa: PLR2004 - name and values
            raise ber.BerError("an attribute that cannot be read")
        name = ber.octets(data, pair[0]).decode(errors="replace").casefold()
        values = (data[first:last] for _, first, last in ber.elements(data, pair[1][1], pair[1][2]))
        attributes.setdefault(name, []).extend(values)
    dn = ber.octets(data, parts[0]).decode(errors="replace")
    return Entry(dn, {name: tuple(values) for name, values in attributes.items()})


def _controls(data: bytes, parts: list[ber.Element]) -> Controls:
    found: dict[str, bytes | None] = {}
    for tag, begin, end in parts:
        if tag != _CONTROLS:
            continue
        for _, first, last in ber.elements(data, begin, end):
            inner = list(ber.elements(data, first, last))
            if not inner:
                raise ber.BerError("a control without a name")
            value = next((ber.octets(data, part) for part in inner[1:] if part[0] == ber.OCTET_STRING), None)
            found[ber.octets(data, inner[0]).decode(errors="replace")] = value
    return found
