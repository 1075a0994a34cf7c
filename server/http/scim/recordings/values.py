"""Recorded request sequences as values: what a client sends, what it must get, and what holds in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


def nothing() -> Mapping[str, str]:
    """Give an empty table that nobody can fill."""
    return MappingProxyType({})


class SequenceInvalid(Exception):
    """A sequence cannot be used: which one, at which step (None: outside the steps), and why."""

    def __init__(self, sequence: str, step: str | None, reason: str) -> None:
        where = sequence if step is None else f"{sequence}, step {step!r}"
        super().__init__(f"{where}: {reason}")
        self.sequence = sequence
        self.step = step
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PlayedRequest:
    """One request: ``path`` begins behind the service's base URL, is ready for the wire and has the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: object | None


@dataclass(frozen=True, slots=True)
class PlayedAnswer:
    """The answer to one request; ``body`` is the parsed JSON, or None where there was no body."""

    status: int
    headers: Mapping[str, str]
    body: object | None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that was not as recorded, and at which step; readable as text."""

    step: str
    what: str

    def __str__(self) -> str:
        return f"{self.step}: {self.what}"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the answer to one step must keep to.

    ``body`` is a part of what must come back, with matchers; None asks for nothing. ``absent`` are paths at which
    nothing may be, ``count`` says how many entries the list at a path has (0: none, or no such list). Of a 204, which
    has no body, only the status is looked at.
    """

    statuses: tuple[int, ...]
    body: object | None = None
    absent: tuple[str, ...] = ()
    count: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    headers: Mapping[str, str] = field(default_factory=nothing)


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a client, with placeholders, and what must come back.

    ``save`` maps a placeholder's name to the path in the answer where its value is. ``documented`` says whether the
    vendor documents this request; ``note`` says where it comes from otherwise, or what is peculiar in it.
    """

    name: str
    method: str
    path: str
    expect: Expectation
    body: object | None = None
    headers: Mapping[str, str] = field(default_factory=nothing)
    save: Mapping[str, str] = field(default_factory=nothing)
    documented: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What every answer of a sequence must keep to; the defaults ask for nothing."""

    content_type: str | None = None
    no_nulls: bool = False


@dataclass(frozen=True, slots=True)
class EndState:
    """What must hold after the last step; None where the user or the group must be gone.

    A user, by ``userName``, has at least what is written; a group, by ``displayName``, has exactly these users.
    """

    users: Mapping[str, Mapping[str, object] | None]
    groups: Mapping[str, tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class Sequence:
    """The story of one kind of client, from its connection test to the last leaver.

    ``query`` is what the administrator put behind the tenant URL; it goes with every request.
    """

    name: str
    client: str
    source: tuple[str, ...]
    steps: tuple[Step, ...]
    end: EndState
    headers: Mapping[str, str] = field(default_factory=nothing)
    query: str = ""
    answers: Answers = Answers()
