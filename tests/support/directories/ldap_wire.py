"""As much of LDAP on the wire (RFC 4511, BER) as a server that misbehaves must speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

BIND, UNBIND, SEARCH, ABANDON, EXTENDED = 0x60, 0x42, 0x63, 0x50, 0x77
STARTTLS = "1.3.6.1.4.1.1466.20037"
NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"
PAGED_RESULTS = "1.2.840.113556.1.4.319"

Attributes = Mapping[str, Sequence[bytes]]
Controls = Mapping[str, bytes | None]


class Incomplete(Exception):
    """The message has not arrived as a whole."""


@dataclass(frozen=True, slots=True)
class Request:
    """One message of either side: its operation's tag, that one's bytes, and its controls' values by OID."""

    message_id: int
    operation: int
    body: bytes
    controls: Mapping[str, bytes]

    @property
    def bind_dn(self) -> str:
        """The name in a bind."""
        return parts(self.body)[1][1].decode(errors="replace")

    @property
    def bind_password(self) -> bytes:
        """The password in a simple bind."""
        return parts(self.body)[2][1]

    @property
    def extended_name(self) -> str:
        """The OID of an extended operation."""
        return parts(self.body)[0][1].decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Search:
    """What a search asks for."""

    base: str
    scope: int
    filter: tuple[int, bytes]
    attributes: tuple[str, ...]

    @classmethod
    def of(cls, request: Request) -> Search:
        """Read a search request."""
        base, scope, _, _, _, _, wanted, attributes = parts(request.body)
        names = tuple(value.decode(errors="replace") for _, value in parts(attributes[1]))
        return cls(base[1].decode(errors="replace"), scope[1][0], wanted, names)


def encoded(tag: int, *content: bytes) -> bytes:
    """Give one BER element with a definite length."""
    whole = b"".join(content)
    return bytes([tag]) + length(len(whole)) + whole


def length(octets: int) -> bytes:
    """Give a length as BER has it, in the shortest form."""
    if octets < 0x80:
        return bytes([octets])
    digits = octets.to_bytes((octets.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(digits)]) + digits


def integer(number: int, tag: int = 0x02) -> bytes:
    """Give a non-negative INTEGER (or, by its tag, an ENUMERATED)."""
    return encoded(tag, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def text(value: str | bytes, tag: int = 0x04) -> bytes:
    """Give an OCTET STRING."""
    return encoded(tag, value.encode() if isinstance(value, str) else value)


def element(data: bytes | bytearray, start: int = 0) -> tuple[int, bytes, int]:
    """Read one element: its tag, its content and where it ends; Incomplete when its end is not there yet."""
    try:
        tag, size, body = data[start], data[start + 1], start + 2
    except IndexError:
        raise Incomplete from None
    if size & 0x80:
        digits = size & 0x7F
        if len(data) < body + digits:
            raise Incomplete
        size = int.from_bytes(data[body : body + digits], "big")
        body += digits
    if len(data) < body + size:
        raise Incomplete
    return tag, bytes(data[body : body + size]), body + size


def parts(content: bytes) -> list[tuple[int, bytes]]:
    """Read the elements of a constructed one: tags and contents."""
    found, position = [], 0
    while position < len(content):
        tag, value, position = element(content, position)
        found.append((tag, value))
    return found


def request(data: bytearray) -> Request:
    """Take the first message off ``data``; Incomplete when it is not there as a whole."""
    _, message, end = element(data)
    (_, message_id), (operation, body), *rest = parts(message)
    controls = {}
    for _, control in parts(rest[0][1]) if rest else []:
        oid, *others = parts(control)
        controls[oid[1].decode()] = others[-1][1] if others and others[-1][0] == 0x04 else b""
    del data[:end]
    return Request(int.from_bytes(message_id, "big"), operation, body, controls)


def message(message_id: int, operation: bytes, controls: Controls | None = None) -> bytes:
    """Give a whole LDAPMessage; a control may have no value."""
    tail = b""
    if controls:
        values = {oid: b"" if value is None else text(value) for oid, value in controls.items()}
        tail = encoded(0xA0, *(encoded(0x30, text(oid), value) for oid, value in values.items()))
    return encoded(0x30, integer(message_id), operation, tail)


def result(tag: int, code: int, diagnostic: str = "", referrals: Iterable[str] = (), *more: bytes) -> bytes:
    """Give an LDAPResult under the tag of its operation: 0x61 bind, 0x65 search, 0x78 extended."""
    urls = [text(url) for url in referrals]
    referral = encoded(0xA3, *urls) if urls else b""
    return encoded(tag, integer(code, 0x0A), text(""), text(diagnostic), referral, *more)


def bind_result(code: int, diagnostic: str = "", referrals: Iterable[str] = ()) -> bytes:
    """Give a bind response."""
    return result(0x61, code, diagnostic, referrals)


def search_done(code: int = 0, diagnostic: str = "", referrals: Iterable[str] = ()) -> bytes:
    """Give the end of a search."""
    return result(0x65, code, diagnostic, referrals)


def extended_result(code: int, name: str, diagnostic: str = "") -> bytes:
    """Give an extended response."""
    return result(0x78, code, diagnostic, (), text(name, 0x8A))


def search_entry(dn: str, attributes: Attributes) -> bytes:
    """Give one entry of a search."""
    listed = (encoded(0x30, text(name), encoded(0x31, *map(text, values))) for name, values in attributes.items())
    return encoded(0x64, text(dn), encoded(0x30, *listed))


def search_reference(*urls: str) -> bytes:
    """Give a continuation reference of a search."""
    return encoded(0x73, *map(text, urls))


def paged_value(cookie: bytes) -> bytes:
    """Give the value of a paged results control (RFC 2696): an empty cookie ends the pages."""
    return encoded(0x30, integer(0), text(cookie))
