"""Whether an answer holds what was expected of it, and if not, in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

LONGEST_QUOTE = 160

_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")


class _Missing(Enum):
    MISSING = "missing"


MISSING: Final = _Missing.MISSING
"""There is nothing at that path."""

MATCHERS: Mapping[str, Callable[[object], bool]] = MappingProxyType(
    {
        "<any>": lambda value: value is not None,
        "<string>": lambda value: isinstance(value, str) and value != "",
        "<integer>": lambda value: isinstance(value, int) and not isinstance(value, bool),
        "<timestamp>": lambda value: isinstance(value, str) and _TIMESTAMP.fullmatch(value) is not None,
    }
)
"""What an expected string of this spelling stands for."""


def differences(expected: object, actual: object, where: str = "body") -> Iterator[str]:
    """Say each way in which ``actual`` does not contain ``expected``.

    An object must have at least the expected keys; each expected entry of a list must be contained in some entry,
    whatever the order, and an expected empty list is exactly that; a number is not a boolean, nor a string a number.
    """
    match expected:
        case Mapping():
            yield from _object_differences(expected, actual, where)
        case list() | tuple():
            yield from _list_differences(expected, actual, where)
        case str() if expected in MATCHERS:
            if not MATCHERS[expected](actual):
                yield f"{where} is {quoted(actual)}, not {expected}"
        case _:
            if type(expected) is not type(actual) or expected != actual:
                yield f"{where} is {quoted(actual)}, not {quoted(expected)}"


def at(document: object, path: str) -> object:
    """Give what is at a path like ``Resources/0/emails``, names in any case, or MISSING."""
    here = document
    for part in path.split("/"):
        match here:
            case Mapping():
                here = next((value for key, value in here.items() if str(key).lower() == part.lower()), MISSING)
            case list() if part.isdecimal() and int(part) < len(here):
                here = here[int(part)]
            case _:
                return MISSING
    return here


def nulls(document: object, where: str = "body") -> Iterator[str]:
    """Say where in a document there is a null."""
    match document:
        case None:
            yield f"{where} is null"
        case Mapping():
            for key, value in document.items():
                yield from nulls(value, f"{where}/{key}")
        case list():
            for place, value in enumerate(document):
                yield from nulls(value, f"{where}/{place}")
        case _:
            pass


def quoted(value: object) -> str:
    """Write a value as JSON, cut where it gets long."""
    if value is MISSING:
        return "missing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def _object_differences(expected: Mapping[str, object], actual: object, where: str) -> Iterator[str]:
    if not isinstance(actual, Mapping):
        yield f"{where} is {quoted(actual)}, not an object"
        return
    for key, value in expected.items():
        yield from differences(value, actual.get(key, MISSING), f"{where}/{key}")


def _list_differences(expected: list[object] | tuple[object, ...], actual: object, where: str) -> Iterator[str]:
    if not isinstance(actual, list):
        yield f"{where} is {quoted(actual)}, not a list"
        return
    if not expected and actual:
        yield f"{where} is {quoted(actual)}, not empty"
    for entry in expected:
        if not any(next(differences(entry, candidate), None) is None for candidate in actual):
            yield f"{where} has no entry like {quoted(entry)} in {quoted(actual)}"
