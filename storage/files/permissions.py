"""Rights: what a user may do at a path. Pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from storage.files.path import VirtualPath


class Right(StrEnum):
    """One thing that may be allowed or denied at a path and below."""

    LIST = "list"
    READ = "read"
    CREATE = "create"
    OVERWRITE = "overwrite"
    APPEND = "append"
    RENAME = "rename"
    DELETE = "delete"
    MAKE_DIRECTORY = "make-directory"
    SET_TIMES = "set-times"


ALL_RIGHTS = frozenset(Right)
_WORDS = frozenset(right.value for right in Right)
NO_RIGHTS: frozenset[Right] = frozenset()
READ_ONLY = frozenset({Right.LIST, Right.READ})

PRESETS: Mapping[str, frozenset[Right]] = MappingProxyType(
    {
        "full": ALL_RIGHTS,
        "read-write": ALL_RIGHTS - {Right.DELETE},
        "read-only": READ_ONLY,
        "upload-only": frozenset({Right.CREATE, Right.MAKE_DIRECTORY}),  # a drop box; see Workspace
        "none": NO_RIGHTS,
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Rights at ``path`` and below, until a rule at a deeper path decides anew."""

    path: VirtualPath
    allow: frozenset[Right]
    deny: frozenset[Right] = NO_RIGHTS


def parse_rights(words: Iterable[str]) -> frozenset[Right]:
    """Read names of rights and presets; ``ValueError`` names the first unknown word.

    ``make_directory`` and ``make-directory`` are the same word.
    """
    rights: set[Right] = set()
    for word in words:
        plain = word.strip().lower().replace("_", "-")
        if plain in PRESETS:
            rights |= PRESETS[plain]
        elif plain in _WORDS:
            rights.add(Right(plain))
        else:
            known = ", ".join([*PRESETS, *Right])
            message = f"unknown right {word!r}; known are {known}"
            raise ValueError(message)
    return frozenset(rights)


def decide(rules: Iterable[Rule]) -> dict[tuple[str, ...], frozenset[Right]]:
    """Sum up rules per path: what is allowed there adds up, and what is denied there wins."""
    allow: dict[tuple[str, ...], frozenset[Right]] = {}
    deny: dict[tuple[str, ...], frozenset[Right]] = {}
    for rule in rules:
        names = rule.path.names
        allow[names] = allow.get(names, NO_RIGHTS) | rule.allow
        deny[names] = deny.get(names, NO_RIGHTS) | rule.deny
    return {names: allowed - deny[names] for names, allowed in allow.items()}


def rights_at(decided: Mapping[tuple[str, ...], frozenset[Right]], path: VirtualPath) -> frozenset[Right]:
    """Give the rights of the deepest path at or above ``path`` that has a rule; none without one."""
    names = path.names
    for depth in range(len(names), -1, -1):
        rights = decided.get(names[:depth])
        if rights is not None:
            return rights
    return NO_RIGHTS
