"""Which part of a list is asked for: RFC 7644 section 3.4.2.4."""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.http.scim.errors import ScimError

DEFAULT_COUNT = 100
MAX_COUNT = 500
MAX_OFFSET = 10**9
"""No list is so long; beyond it every offset means the same, and a database can count to it."""

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: how many come before it, and how many it has at most."""

    offset: int
    limit: int

    @property
    def start_index(self) -> int:
        """The place of the first one, counted from 1."""
        return self.offset + 1


def page_of(start_index: object, count: object) -> Page:
    """Read ``startIndex`` and ``count`` of a query's text or of a search's JSON; None is what is not given.

    A start before the first is the first, a negative count is none at all, and a greater count than MAX_COUNT is
    MAX_COUNT. Raises ScimError (invalidValue) for what is no whole number.
    """
    start = 1 if start_index is None else _integer(start_index, "startIndex")
    limit = DEFAULT_COUNT if count is None else _integer(count, "count")
    return Page(offset=min(max(start, 1) - 1, MAX_OFFSET), limit=min(max(limit, 0), MAX_COUNT))


def _integer(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not _INTEGER.fullmatch(text):
        raise ScimError(400, f"{name} is a whole number.", "invalidValue")
    if len(text) > _MAX_DIGITS:  # Python refuses to read thousands of digits, and they all mean "too many"
        return -1 if text[0] == "-" else MAX_OFFSET + 1
    return int(text)
