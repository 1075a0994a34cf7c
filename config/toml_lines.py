"""Where in a TOML file a key stands; tomllib gives values only."""

from __future__ import annotations

import re
import tomllib

_HEADER = re.compile(r"\s*\[(?P<key>[^\[\]]+)\]\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(r"\s*(?P<key>[^=#\[\]]+?)\s*=")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Give the line (from 1) that sets ``path``, or the nearest table above it; None if not found.

    Keys inside inline tables are found at the inline table's own line.
    """
    best: tuple[int, int] | None = None
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = here = _names(header["key"])
        elif assignment := _ASSIGNMENT.match(line):
            here = table + _names(assignment["key"])
        else:
            continue
        if here and path[: len(here)] == here and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best else None


def _names(key: str) -> tuple[str, ...]:
    """Read a dotted, possibly quoted key by the TOML parser itself."""
    try:
        value: object = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    names: list[str] = []
    while isinstance(value, dict) and len(value) == 1:
        name, value = next(iter(value.items()))
        names.append(name)
    return tuple(names)
