"""The WebDAV ``If`` header (RFC 4918 section 10.4): parsed, and evaluated without I/O of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

MAX_CONDITIONS = 256

_PIECE = re.compile(r"\s*(?:<(?P<url>[^<>]*)>|\((?P<list>(?:[^()\[\]<>]|<[^<>]*>|\[[^\]]*\])*)\))")
_CONDITION = re.compile(r"\s*(?P<negation>not\b)?\s*(?:<(?P<token>[^<>]*)>|\[(?P<etag>[^\]]*)\])", re.IGNORECASE)


class MalformedIf(Exception):
    """The header does not follow the grammar: 400."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One state token or entity tag that must, or with ``negated`` must not, hold."""

    value: str
    is_etag: bool
    negated: bool


@dataclass(frozen=True, slots=True)
class ConditionList:
    """Conditions that must all hold for one resource; ``resource`` None means the request's own target."""

    resource: str | None
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class IfHeader:
    """All lists of the header; the request may go on if one of them holds."""

    lists: tuple[ConditionList, ...]

    @property
    def tokens(self) -> frozenset[str]:
        """Every state token that the client submitted (RFC 4918 section 7.5)."""
        return frozenset(condition.value for one in self.lists for condition in one.conditions if not condition.is_etag)

    def holds(
        self,
        tokens_of: Callable[[str | None], Collection[str]],
        etag_of: Callable[[str | None], str | None],
    ) -> bool:
        """Whether one list holds, given the lock tokens in force on a resource and its entity tag (unquoted)."""

        def met(resource: str | None, condition: Condition) -> bool:
            if condition.is_etag:
                etag = etag_of(resource)
                found = etag is not None and condition.value == f'"{etag}"'
            else:
                found = condition.value in tokens_of(resource)
            return found is not condition.negated

        return any(all(met(one.resource, condition) for condition in one.conditions) for one in self.lists)


NO_IF = IfHeader(())


def parse(header: str | None) -> IfHeader:
    """Read the header; NO_IF if there is none. Raises MalformedIf."""
    text = (header or "").strip()
    if not text:
        return NO_IF
    lists: list[ConditionList] = []
    resource: str | None = None
    for piece in _consecutive(_PIECE, text):
        if piece["url"] is not None:
            resource = piece["url"].strip()
        else:
            lists.append(ConditionList(resource, _conditions(piece["list"])))
    if not lists or text[-1] != ")":
        raise MalformedIf("the If header holds no list, or ends without one")
    if sum(len(one.conditions) for one in lists) > MAX_CONDITIONS:
        raise MalformedIf("too many conditions")
    return IfHeader(tuple(lists))


def _conditions(text: str) -> tuple[Condition, ...]:
    found = tuple(
        Condition(
            value=(match["token"] if match["etag"] is None else match["etag"]).strip(),
            is_etag=match["etag"] is not None,
            negated=match["negation"] is not None,
        )
        for match in _consecutive(_CONDITION, text.rstrip())
    )
    if not found:
        raise MalformedIf("an empty list")
    return found


def _consecutive(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Give matches that follow each other without a gap to the end of the text, or raise MalformedIf."""
    position = 0
    while position < len(text):
        match = pattern.match(text, position)
        if match is None:
            raise MalformedIf("unexpected text in the If header")
        yield match
        position = match.end()
