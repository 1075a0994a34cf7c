"""``${name}`` in recorded requests: where it stands, and what takes its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

# What a request's target may hold (RFC 3986 section 2); "%" too, as recordings may be encoded already. "#" is not
# here: a fragment is never sent, so that one is meant.
LEGAL = "/?:@-._~!$&'()*+,;=%"


def placeholders(value: object) -> frozenset[str]:
    """Name every placeholder in a JSON value's strings; keys have none."""
    match value:
        case str():
            return frozenset(PLACEHOLDER.findall(value))
        case list() | tuple():
            return frozenset().union(*(placeholders(entry) for entry in value))
        case Mapping():
            return frozenset().union(*(placeholders(entry) for entry in value.values()))
        case _:
            return frozenset()


def filled(value: object, saved: Mapping[str, str]) -> object:
    """Give the JSON value with every placeholder replaced. Raises KeyError for a name that was not saved."""
    match value:
        case str():
            return PLACEHOLDER.sub(lambda found: saved[found[1]], value)
        case list() | tuple():
            return [filled(entry, saved) for entry in value]
        case Mapping():
            return {key: filled(entry, saved) for key, entry in value.items()}
        case _:
            return value


def wire_path(path: str, saved: Mapping[str, str], query: str = "") -> str:
    """Give the path as it goes over the wire: placeholders replaced, ``query`` added, illegal characters encoded.

    What is percent-encoded already stays; a saved value is encoded whole. Raises KeyError for a name that was not
    saved.
    """
    pieces: list[str] = []
    behind = 0
    for found in PLACEHOLDER.finditer(path):
        pieces.append(quote(path[behind : found.start()], safe=LEGAL))
        pieces.append(quote(saved[found[1]], safe=""))
        behind = found.end()
    pieces.append(quote(path[behind:], safe=LEGAL))
    target = "".join(pieces)
    if not query:
        return target
    return f"{target}{'&' if '?' in target else '?'}{quote(query, safe=LEGAL)}"
