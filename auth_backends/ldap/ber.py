"""The Basic Encoding Rules as LDAP restricts them: definite lengths and one-byte tags (RFC 4511 section 5.1).

ldap3 2.9.1's own fast decoder holds no inner length against the outer one, and raises KeyError for a referral in the
answer to a bind; what a server says is read here.
"""

from __future__ import annotations

from collections.abc import Iterator

INTEGER, OCTET_STRING, ENUMERATED, SEQUENCE, SET, BOOLEAN = 0x02, 0x04, 0x0A, 0x30, 0x31, 0x01
MAX_LENGTH_DIGITS = 4
_LONG_TAG = 0x1F
_LONG_LENGTH = 0x80


class BerError(ValueError):
    """These bytes are no LDAP message."""


Element = tuple[int, int, int]
"""A tag, and where its content begins and ends."""


def elements(data: bytes, begin: int, end: int) -> Iterator[Element]:
    """Give the elements between two places, one after the other. Raises BerError."""
    while begin < end:
        if begin + 2 > end:
            raise BerError("half an element")
        tag, size = data[begin], data[begin + 1]
        begin += 2
        if tag & _LONG_TAG == _LONG_TAG:
            raise BerError("a tag that LDAP does not have")
        if size >= _LONG_LENGTH:
            digits = size & ~_LONG_LENGTH
            if not 0 < digits <= MAX_LENGTH_DIGITS or begin + digits > end:
                raise BerError("a length that LDAP does not have")
            size = int.from_bytes(data[begin : begin + digits], "big")
            begin += digits
        if begin + size > end:
            raise BerError("an element that is longer than what it is in")
        yield tag, begin, begin + size
        begin += size


def message_size(data: bytes | bytearray) -> int | None:
    """Say how long the message at the start is as a whole, or None if too little of it is there. Raises BerError."""
    if not data:
        return None
    if data[0] != SEQUENCE:
        raise BerError("bytes that are no LDAP")
    if len(data) < 2:  # noqa: PLR2004 - a tag and a length
        return None
    size = data[1]
    if size < _LONG_LENGTH:
        return 2 + size
    digits = size & ~_LONG_LENGTH
    if not 0 < digits <= MAX_LENGTH_DIGITS:
        raise BerError("a length that LDAP does not have")
    if len(data) < 2 + digits:
        return None
    return 2 + digits + int.from_bytes(data[2 : 2 + digits], "big")


def integer(data: bytes, element: Element) -> int:
    """Read an INTEGER or ENUMERATED. Raises BerError."""
    tag, begin, end = element
    if tag not in {INTEGER, ENUMERATED} or not begin < end <= begin + 8:
        raise BerError("no number where one belongs")
    return int.from_bytes(data[begin:end], "big", signed=True)


def octets(data: bytes, element: Element) -> bytes:
    """Give the content of an element."""
    return data[element[1] : element[2]]


def encoded(tag: int, *content: bytes) -> bytes:
    """Write one element."""
    whole = b"".join(content)
    size = len(whole)
    if size < _LONG_LENGTH:
        return bytes((tag, size)) + whole
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_LENGTH | len(digits))) + digits + whole


def encoded_integer(number: int, tag: int = INTEGER) -> bytes:
    """Write a number that is not negative."""
    return encoded(tag, number.to_bytes(number.bit_length() // 8 + 1, "big"))
