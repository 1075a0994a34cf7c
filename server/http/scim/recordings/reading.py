"""From the text of a recorded sequence to its value.

The file is one JSON object::

    {"client": "...", "source": ["the vendor's page", ...],
     "headers": {"User-Agent": "..."},                         # optional, with every request
     "query": "flag",                                          # optional, behind every request's path
     "answers": {"content_type": "...", "no_nulls": true},     # optional, of every answer
     "steps": [{"name": "...", "method": "POST", "path": "/Users",
                "documented": false, "note": "...",            # optional
                "headers": {...}, "body": {...},               # optional
                "expect": {"status": 201,                      # or [200, 204]
                           "body": {...}, "absent": ["password"], "count": {"members": 2}, "headers": {...}},
                "save": {"chen": "id"}}],
     "end": {"users": {"chen.wei@contoso.example": {"active": true}, "gone@contoso.example": null},
             "groups": {"Radiology": ["chen.wei@contoso.example"], "Gone": null}}}

``${chen}`` in a path, a header, a body, an expectation or the end is what an earlier step saved. Paths into an answer
are parts joined by ``/``, as extensions' names have dots and colons in them. Unknown keys are refused, so that a
slip of the pen does not become an expectation that nobody checks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set as AbstractSet
from typing import NoReturn

from server.http.scim.recordings.matching import MATCHERS
from server.http.scim.recordings.placeholders import placeholders
from server.http.scim.recordings.values import Answers, EndState, Expectation, Sequence, SequenceInvalid, Step

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LIKE_A_MATCHER = re.compile(r"<[a-z-]*>")
STATUSES = range(200, 600)

FILE_KEYS = frozenset({"client", "source", "headers", "query", "answers", "steps", "end"})
STEP_KEYS = frozenset({"name", "method", "path", "documented", "note", "headers", "body", "expect", "save"})
EXPECT_KEYS = frozenset({"status", "body", "absent", "count", "headers"})


def parsed(name: str, text: str) -> Sequence:
    """Give the sequence that a file's text holds. Raises SequenceInvalid."""
    return _Reader(name).sequence(text)


class _Reader:
    """Reads one file; knows where it is, for the error."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._step: str | None = None

    def sequence(self, text: str) -> Sequence:
        try:
            document = json.loads(text, object_pairs_hook=self._unique)
        except (ValueError, RecursionError) as error:
            self._refuse(f"not JSON: {error}")
        top = self._table(document, "the file", FILE_KEYS)
        steps = self._steps(top.get("steps"))
        return Sequence(
            name=self._name,
            client=self._text(top.get("client"), "client"),
            source=self._texts(top.get("source"), "source"),
            steps=steps,
            end=self._end(top.get("end"), frozenset(name for step in steps for name in step.save)),
            headers=self._text_table(top.get("headers", {}), "headers"),
            query=self._text(top["query"], "query") if "query" in top else "",
            answers=self._answers(top.get("answers", {})),
        )

    def _steps(self, value: object) -> tuple[Step, ...]:
        if not isinstance(value, list) or not value:
            self._refuse("steps must be a list with at least one step")
        steps: list[Step] = []
        known: set[str] = set()
        for place, entry in enumerate(value, 1):
            self._step = f"number {place}"
            step = self._read_step(entry)
            if step.name in {earlier.name for earlier in steps}:
                self._refuse("an earlier step has the same name")
            self._known(step, known)
            known |= step.save.keys()
            steps.append(step)
        self._step = None
        return tuple(steps)

    def _read_step(self, value: object) -> Step:
        name = self._step = self._text(self._table(value, "a step").get("name"), "name")
        table = self._table(value, "a step", STEP_KEYS)
        method = self._text(table.get("method"), "method")
        if method not in METHODS:
            self._refuse(f"method is {method}, not one of {', '.join(sorted(METHODS))}")
        path = self._text(table.get("path"), "path")
        if not path.startswith("/"):
            self._refuse("path must begin with /")
        if "body" in table and method not in METHODS_WITH_BODY:
            self._refuse(f"{method} has no body")
        documented = table.get("documented", True)
        if not isinstance(documented, bool):
            self._refuse("documented must be true or false")
        return Step(
            name=name,
            method=method,
            path=path,
            expect=self._expectation(table.get("expect")),
            body=table.get("body"),
            headers=self._text_table(table.get("headers", {}), "headers"),
            save=self._saves(table.get("save", {})),
            documented=documented,
            note=self._text(table["note"], "note") if "note" in table else "",
        )

    def _expectation(self, value: object) -> Expectation:
        table = self._table(value, "expect", EXPECT_KEYS)
        if "body" in table and table["body"] is None:
            self._refuse("expect.body must not be null")
        self._matchers(table.get("body"))
        return Expectation(
            statuses=self._statuses(table.get("status")),
            body=table.get("body"),
            absent=self._texts(table["absent"], "expect.absent") if "absent" in table else (),
            count=self._counts(table.get("count", {})),
            headers=self._text_table(table.get("headers", {}), "expect.headers"),
        )

    def _statuses(self, value: object) -> tuple[int, ...]:
        entries = value if isinstance(value, list) else [value]
        statuses = tuple(entry for entry in entries if isinstance(entry, int) and entry in STATUSES)
        if not statuses or len(statuses) < len(entries):
            self._refuse("expect.status must be a status, or a list of them")
        return statuses

    def _counts(self, value: object) -> dict[str, int]:
        counts: dict[str, int] = {}
        for path, number in self._table(value, "expect.count").items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                self._refuse(f"expect.count.{path} must be a number of entries")
            counts[path] = number
        return counts

    def _matchers(self, value: object) -> None:
        match value:
            case str() if LIKE_A_MATCHER.fullmatch(value) and value not in MATCHERS:
                self._refuse(f"expect.body has {value}, which is no matcher: {', '.join(sorted(MATCHERS))}")
            case list():
                for entry in value:
                    self._matchers(entry)
            case dict():
                for entry in value.values():
                    self._matchers(entry)
            case _:
                pass

    def _saves(self, value: object) -> dict[str, str]:
        saves = self._text_table(value, "save")
        for name in saves:
            if not NAME.fullmatch(name):
                self._refuse(f"save has {name!r}, which cannot be a placeholder's name")
        return saves

    def _known(self, step: Step, known: AbstractSet[str]) -> None:
        for name in sorted(placeholders([step.path, step.body, step.headers, step.expect.body]) - known):
            self._refuse(f"${{{name}}} is saved by no earlier step")

    def _end(self, value: object, known: AbstractSet[str]) -> EndState:
        table = self._table(value, "end", frozenset({"users", "groups"}))
        for name in sorted(placeholders(table) - known):
            self._refuse(f"end has ${{{name}}}, which no step saves")
        users = self._table(table.get("users"), "end.users")
        groups = self._table(table.get("groups"), "end.groups")
        return EndState(
            users={name: None if one is None else self._table(one, f"end.users {name}") for name, one in users.items()},
            groups={
                name: None if one is None else self._texts(one, f"end.groups {name}", least=0)
                for name, one in groups.items()
            },
        )

    def _answers(self, value: object) -> Answers:
        table = self._table(value, "answers", frozenset({"content_type", "no_nulls"}))
        no_nulls = table.get("no_nulls", False)
        if not isinstance(no_nulls, bool):
            self._refuse("answers.no_nulls must be true or false")
        wanted = table.get("content_type")
        return Answers(None if wanted is None else self._text(wanted, "answers.content_type"), no_nulls)

    def _table(self, value: object, what: str, allowed: AbstractSet[str] | None = None) -> dict[str, object]:
        if not isinstance(value, dict):
            self._refuse(f"{what} must be an object")
        unknown = sorted(value.keys() - allowed) if allowed is not None else []
        if unknown:
            self._refuse(f"{what} has the unknown {', '.join(unknown)}")
        return value

    def _text_table(self, value: object, what: str) -> dict[str, str]:
        return {key: self._text(entry, f"{what}.{key}") for key, entry in self._table(value, what).items()}

    def _texts(self, value: object, what: str, *, least: int = 1) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) < least:
            self._refuse(f"{what} must be a list of texts")
        return tuple(self._text(entry, what) for entry in value)

    def _text(self, value: object, what: str) -> str:
        if not isinstance(value, str) or not value:
            self._refuse(f"{what} must be a text")
        return value

    def _unique(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        table = dict(pairs)
        if len(table) != len(pairs):
            keys = [key for key, _ in pairs]
            self._refuse(f"{next(key for key in keys if keys.count(key) > 1)} is there twice in one object")
        return table

    def _refuse(self, reason: str) -> NoReturn:
        raise SequenceInvalid(self._name, self._step, reason)
