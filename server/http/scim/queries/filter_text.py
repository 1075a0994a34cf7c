"""A filter's text, held against the limits and cut into its shape and its values before any parser works on it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum, auto

from server.http.scim.errors import ScimError
from storage.database.names import storable

MAX_FILTER = 2000
"""The longest filter, in characters."""
MAX_TERMS = 50
"""The most comparisons in one filter."""
MAX_NESTING = 20
"""How deep parentheses and brackets may stand in each other."""

OPERATORS = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"})

_TOKEN = re.compile(r'[ \t\f\r\n]*(?:("(?:[^"\\]|\\.)*")|([()\[\]])|([^ \t\f\r\n"()\[\]]+))', re.DOTALL)
_BLANKS = " \t\f\r\n"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in a filter: the text of a string, or a bare word such as ``true``, ``null``, ``12`` or ``jyoung``."""

    text: str
    quoted: bool

    @property
    def is_null(self) -> bool:
        """Whether this is the word ``null``."""
        return not self.quoted and self.text.lower() == "null"


@dataclass(frozen=True, slots=True)
class FilterText:
    """A filter in two parts: ``shape`` has the values' numbers in their places, as in ``userName eq 0``.

    All filters that differ in their values only have one shape, so that the slow parser sees it once; and no
    client's value ever reaches that parser.
    """

    shape: str
    literals: tuple[Literal, ...]


class _Next(Enum):
    """What may come next."""

    TERM = auto()
    OPERATOR = auto()
    VALUE = auto()
    CONNECTIVE = auto()


def invalid_filter(detail: str) -> ScimError:
    """Give the refusal of a filter, to be raised."""
    return ScimError(400, detail, "invalidFilter")


def cut(text: str) -> FilterText:
    """Part a filter into its shape and its values. The time taken grows with MAX_FILTER at most.

    A bare word in a value's place is a value: Microsoft documents the request ``externalId eq jyoung``.
    Raises ScimError (invalidFilter) beyond the limits, for control characters, and where no filter could go on.
    What comes back need not be a filter yet: only the parser can tell.
    """
    if len(text) > MAX_FILTER:
        raise invalid_filter(f"A filter has at most {MAX_FILTER} characters.")
    if _CONTROL.search(text) or not storable(text):
        raise invalid_filter("A filter has no control characters.")
    cutter = _Cutter()
    position, end = 0, len(text.rstrip(_BLANKS))
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None or not cutter.take(*found.groups()):
            raise invalid_filter(f"The filter is not understood after {position} characters.")
        position = found.end()
    if cutter.awaits is not _Next.CONNECTIVE:
        raise invalid_filter("The filter ends too early.")
    return FilterText(" ".join(cutter.words), tuple(cutter.literals))


class _Cutter:
    """Takes a filter's tokens in their order."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.literals: list[Literal] = []
        self.awaits = _Next.TERM
        self._depth = 0
        self._terms = 0

    def take(self, string: str | None, bracket: str | None, word: str | None) -> bool:
        """Take one token; tell whether it may stand here."""
        if string is not None:
            return self._value(Literal(_decoded(string), quoted=True))
        if bracket is not None:
            return self._bracket(bracket)
        word = word or ""
        match self.awaits:
            case _Next.TERM:
                self.awaits = _Next.TERM if word.lower() == "not" else _Next.OPERATOR
            case _Next.OPERATOR:
                return self._operator(word)
            case _Next.VALUE:
                # 'jyoung' in single quotes is a mistake that must not quietly match nobody.
                return not word.startswith("'") and self._value(Literal(word, quoted=False))
            case _Next.CONNECTIVE:
                self.awaits = _Next.OPERATOR if word.startswith(".") else _Next.TERM  # emails[…].value
        self.words.append(word)
        return True

    def _operator(self, word: str) -> bool:
        if (lower := word.lower()) != "pr" and lower not in OPERATORS:
            return False
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise invalid_filter(f"A filter has at most {MAX_TERMS} comparisons.")
        self.awaits = _Next.CONNECTIVE if lower == "pr" else _Next.VALUE
        self.words.append(lower)
        return True

    def _value(self, literal: Literal) -> bool:
        if self.awaits is not _Next.VALUE:
            return False
        self.words.append(str(len(self.literals)))
        self.literals.append(literal)
        self.awaits = _Next.CONNECTIVE
        return True

    def _bracket(self, bracket: str) -> bool:
        if bracket in "([":
            if self.awaits is not (_Next.TERM if bracket == "(" else _Next.OPERATOR):
                return False
            self._depth += 1
            if self._depth > MAX_NESTING:
                raise invalid_filter(f"A filter is nested at most {MAX_NESTING} deep.")
            self.awaits = _Next.TERM
        else:
            if self.awaits is not _Next.CONNECTIVE:
                return False
            self._depth -= 1
        self.words.append(bracket)
        return True


def _decoded(string: str) -> str:
    """Give the text of a JSON string."""
    if "\\" not in string:
        text = string[1:-1]
    else:
        try:
            text = str(json.loads(string))
        except ValueError:
            raise invalid_filter("A value in the filter is not a JSON string.") from None
    if not storable(text):
        raise invalid_filter("A value in the filter has characters that no attribute can have.")
    return text
