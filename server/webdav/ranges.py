"""Byte ranges: the Range header of a GET and the Content-Range header of a PUT (RFC 9110 section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

# At most 18 digits: no file is larger, and Python reads no number of more than 4300.
SIZE = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"^\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*$", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"^\s*bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes ``start`` to before ``end``."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Bytes in the span."""
        return self.end - self.start


class Unsatisfiable(Exception):
    """The range lies outside the file: 416."""


class MalformedContentRange(Exception):
    """The Content-Range header cannot be honoured: 400."""


def requested_span(header: str, size: int) -> Span | None:
    """Read a Range header; None if it is to be ignored: several ranges, another unit, or nonsense.

    Raises:
        Unsatisfiable: one well-formed range that holds no byte of the file.
    """
    match = _RANGE.match(header)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        count = min(int(match[2]), size)
        if count == 0:
            raise Unsatisfiable
        return Span(size - count, size)
    start = int(match[1])
    end = min(int(match[2]) + 1, size) if match[2] else size
    if match[2] and int(match[2]) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, end)


def resumed_span(header: str) -> Span:
    """Read the Content-Range of a PUT that goes on at the end of the present file.

    Only the last part is honoured (``bytes a-b/*``, or ``/total`` with b the last byte), because
    what is published after it must be the whole file. Raises MalformedContentRange.
    """
    match = _CONTENT_RANGE.match(header)
    if match is None:
        raise MalformedContentRange("Content-Range must be of the form: bytes FIRST-LAST/TOTAL")
    start, last = int(match[1]), int(match[2])
    if last < start or (match[3] != "*" and int(match[3]) != last + 1):
        raise MalformedContentRange("Only the last part of a file can be sent with Content-Range.")
    return Span(start, last + 1)
