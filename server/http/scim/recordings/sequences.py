"""Recorded sequences of identity providers' requests: loading them, and playing them against a service.

Playing does no I/O: whoever plays brings ``send``, which hands a request to the service and gives its answer back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from server.http.scim.recordings.matching import MISSING, at, differences, nulls, quoted
from server.http.scim.recordings.placeholders import filled, placeholders, wire_path
from server.http.scim.recordings.reading import parsed
from server.http.scim.recordings.values import (
    EndState,
    Expectation,
    Mismatch,
    PlayedAnswer,
    PlayedRequest,
    Sequence,
    SequenceInvalid,
    Step,
)

__all__ = [
    "EndState",
    "Expectation",
    "Mismatch",
    "Playback",
    "PlayedAnswer",
    "PlayedRequest",
    "Sequence",
    "SequenceInvalid",
    "Step",
    "end_mismatches",
    "from_file",
    "load",
    "names",
    "play",
    "run",
]

RECORDED = "server.http.scim.recordings.recorded"
SUFFIX = ".json"
END = "end"

NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Playback:
    """What playing a sequence showed, and what its steps saved."""

    mismatches: tuple[Mismatch, ...]
    saved: Mapping[str, str]


def names() -> tuple[str, ...]:
    """Name the sequences that come with the program, in alphabetical order."""
    entries = (entry.name for entry in files(RECORDED).iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in entries if name.endswith(SUFFIX)))


def load(name: str) -> Sequence:
    """Give the shipped sequence of this name. Raises SequenceInvalid, also where there is none."""
    if name not in names():
        raise SequenceInvalid(name, None, f"no such sequence; there are {', '.join(names())}")
    return parsed(name, files(RECORDED).joinpath(name + SUFFIX).read_text(encoding="utf-8"))


def from_file(path: Path) -> Sequence:
    """Give the sequence in a file, named by the file. Raises SequenceInvalid, also where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SequenceInvalid(path.name, None, f"cannot be read: {error}") from error
    return parsed(path.stem, text)


def play(sequence: Sequence, send: Callable[[PlayedRequest], PlayedAnswer]) -> list[Mismatch]:
    """Send every request of a sequence in order, and give what was not as recorded; empty means all was.

    A step that needs what an earlier answer did not give is not sent, and is a mismatch. What ``send`` raises goes
    through.
    """
    return list(run(sequence, send).mismatches)


def run(sequence: Sequence, send: Callable[[PlayedRequest], PlayedAnswer]) -> Playback:
    """Play like ``play``, and give what the steps saved too, as the end state may name it."""
    saved: dict[str, str] = {}
    mismatches: list[Mismatch] = []
    for step in sequence.steps:
        unknown = placeholders([step.path, step.body, step.headers, step.expect.body]) - saved.keys()
        if unknown:
            mismatches.append(Mismatch(step.name, f"not sent: no earlier answer gave {_listed(unknown)}"))
            continue
        answer = send(_request(sequence, step, saved))
        found = list(_wrong(sequence, step, answer, saved))
        for name, path in step.save.items():
            match at(answer.body, path):
                case str(value) if value and answer.status in step.expect.statuses:
                    saved[name] = value
                case _:
                    found.append(f"nothing at {path} to keep as {_listed({name})}")
        mismatches.extend(Mismatch(step.name, what) for what in found)
    return Playback(tuple(mismatches), saved)


def end_mismatches(
    end: EndState,
    saved: Mapping[str, str],
    users: Mapping[str, object],
    groups: Mapping[str, Collection[str]],
) -> list[Mismatch]:
    """Compare what is kept with the state that must hold after the last step.

    ``users`` are documents by ``userName``, ``groups`` the members' ``userName`` by ``displayName``; both may hold
    more than the sequence speaks of.
    """
    unknown = placeholders(list(end.users.values())) - saved.keys()
    if unknown:
        return [Mismatch(END, f"cannot tell: no answer gave {_listed(unknown)}")]
    found: list[str] = []
    for name, document in end.users.items():
        if document is None:
            found += [f"user {name} is there, and must be gone"] if name in users else []
        elif name not in users:
            found.append(f"user {name} is missing")
        else:
            found += differences(filled(document, saved), users[name], f"user {name}")
    for name, members in end.groups.items():
        if members is None:
            found += [f"group {name} is there, and must be gone"] if name in groups else []
        elif name not in groups:
            found.append(f"group {name} is missing")
        elif set(members) != set(groups[name]):
            found.append(f"group {name} has {quoted(sorted(groups[name]))}, not {quoted(sorted(members))}")
    return [Mismatch(END, what) for what in found]


def _request(sequence: Sequence, step: Step, saved: Mapping[str, str]) -> PlayedRequest:
    headers = {**sequence.headers, **step.headers}
    return PlayedRequest(
        method=step.method,
        path=wire_path(step.path, saved, sequence.query),
        headers={name: str(filled(value, saved)) for name, value in headers.items()},
        body=filled(step.body, saved),
    )


def _wrong(sequence: Sequence, step: Step, answer: PlayedAnswer, saved: Mapping[str, str]) -> Iterator[str]:
    if answer.status not in step.expect.statuses:
        wanted = " or ".join(str(status) for status in step.expect.statuses)
        yield f"status is {answer.status}{_reason(answer.body)}, not {wanted}"
        return
    if answer.status == NO_CONTENT:
        if answer.body is not None:
            yield f"204 came with a body: {quoted(answer.body)}"
        return
    headers = {name.lower(): value for name, value in answer.headers.items()}
    for name, value in step.expect.headers.items():
        yield from differences(value, headers.get(name.lower(), MISSING), f"header {name}")
    if answer.body is not None and sequence.answers.content_type is not None:
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != sequence.answers.content_type:
            yield f"content type is {media_type or 'missing'}, not {sequence.answers.content_type}"
    if sequence.answers.no_nulls and answer.body is not None:
        yield from nulls(answer.body)
    yield from _wrong_body(step.expect, answer.body, saved)


def _wrong_body(expect: Expectation, body: object | None, saved: Mapping[str, str]) -> Iterator[str]:
    if expect.body is not None:
        yield from differences(filled(expect.body, saved), MISSING if body is None else body)
    for path in expect.absent:
        if at(body, path) is not MISSING:
            yield f"{path} is there, and must not be: {quoted(at(body, path))}"
    for path, count in expect.count.items():
        entries = at(body, path)
        length = len(entries) if isinstance(entries, list) else 0
        if length != count:
            yield f"{path} has {length} entries, not {count}: {quoted(entries)}"


def _reason(body: object) -> str:
    """Give what an error's body says, in brackets."""
    said = [str(value) for value in (at(body, "scimType"), at(body, "detail")) if isinstance(value, str)]
    return f" ({': '.join(said)})" if said else ""


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"${{{name}}}" for name in sorted(names))
