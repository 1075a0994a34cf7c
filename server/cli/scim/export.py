"""From the provisioning log to a sequence of requests that ``scim replay-check`` plays."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from server.cli.output import Failure, emit_record, note, warn
from storage.database.errors import InvalidName
from storage.database.names import canonical_name
from storage.database.scim_log import ScimRequestRow

CREATED, NOT_FOUND, CONFLICT = 201, 404, 409
REFUSED = 400
BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
METHODS = BODY_METHODS | {"GET", "DELETE"}
NOT_PLAYABLE = frozenset({304, 401, 403, 408, 412, 413, 429})  # hang on headers, the credential, size or speed
SERVER_FAILED = 500
MAX_STEP_NAME = 100
UNIQUE = {"Users": frozenset({"username", "externalid"}), "Groups": frozenset({"displayname", "externalid"})}
Unique = tuple[str, str, str]
"""A kind of resource, an attribute of which no two have the same value, and a value."""
_ID = re.compile(r"(?:(?<=%[0-9A-Fa-f]{2})|(?<![0-9A-Za-z]))[0-9a-f]{32}(?![0-9A-Za-z])")
_MOUNT = re.compile(r"/scim/v2(/[a-z][a-z0-9-]{0,31}(?=/))?(?P<path>/.*)", re.ASCII | re.DOTALL)
_MASKED = re.compile(r'"(path|filter)":"\*\*\*"', re.IGNORECASE)  # it named a secret, and is not what was sent
_EXTERNAL_ID = re.compile(r'"externalId"\s*:\s*"([0-9a-f]{32})"')


@dataclass(slots=True)
class _Recorder:
    """Makes steps of requests; ids of resources that a step makes become names, as they will be others then."""

    foreign: frozenset[str]
    known: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    said: set[Unique] = field(default_factory=set)
    left_out: int = 0

    def steps(self, rows: Sequence[ScimRequestRow]) -> Iterator[dict[str, object]]:
        for number, row in enumerate(rows, 1):
            step = self._step(number, row)
            if step is None:
                self.left_out += 1
            else:
                yield step

    def _step(self, number: int, row: ScimRequestRow) -> dict[str, object] | None:
        found = _MOUNT.fullmatch(row.path)
        is_playable = row.status < SERVER_FAILED and row.status not in NOT_PLAYABLE
        if found is None or row.method not in METHODS or not is_playable or "${" in row.path + row.request:
            return None
        if _MASKED.search(row.request) or self._hangs_on_before(row, found["path"]):
            return None
        path, body = self._named(found["path"]), self._named(row.request)
        if path is None or body is None:
            return None
        step: dict[str, object] = {
            "name": f"{number}: {row.method} {path}"[:MAX_STEP_NAME],
            "method": row.method,
            "path": path,
        }
        if row.method in BODY_METHODS and body:
            try:
                step["body"] = json.loads(body)
            except ValueError:  # it was too long, and only its size was kept
                return None
        step["expect"] = {"status": row.status}
        if row.status == CREATED and (made := _id_of(row.response)):
            self.known[made] = f"r{number}"
            self.deleted.discard(made)
            step["save"] = {self.known[made]: "id"}
        if row.status < REFUSED:
            self._remember(row, found["path"])
        return step

    def _hangs_on_before(self, row: ScimRequestRow, path: str) -> bool:
        """Whether the answer tells of what no earlier step makes: a store without that would answer otherwise."""
        if row.status == CONFLICT:  # a name or an id that somebody had
            return not self.said & _uniques(path, row.request)
        if row.status == NOT_FOUND:  # somebody who was deleted otherwise
            ids = set(_ID.findall(path + row.request)) & self.known.keys()
            return bool(ids) and not ids & self.deleted
        made = _id_of(row.response) if row.status == CREATED else ""
        return made in self.known and made not in self.deleted  # back, and there is no step of the end

    def _remember(self, row: ScimRequestRow, path: str) -> None:
        """Keep what names and ids are taken from now on, and who is gone; a past name stays taken."""
        if row.method == "DELETE":
            self.deleted |= set(_ID.findall(path))
        elif row.method in BODY_METHODS:
            self.said |= _uniques(path, row.request) | _uniques(path, row.response)

    def _named(self, text: str) -> str | None:
        """Put names in place of ids; None if there is an id that nobody will know."""
        ids = set(_ID.findall(text)) - self.foreign
        if not ids <= self.known.keys():
            return None
        return _ID.sub(lambda match: f"${{{self.known[match[0]]}}}" if match[0] in ids else match[0], text)


@dataclass(frozen=True, slots=True)
class Export:
    """A recorded sequence as JSON, and how many requests it leaves out."""

    sequence: dict[str, object]
    steps: int
    left_out: int


def exported(provider: str, rows: Sequence[ScimRequestRow]) -> Export:
    """Give requests as a recorded sequence.

    Left out is what cannot be played elsewhere: requests about what was there before, also where the answer alone tells
    of it (409, 404), and what was too long to be kept. Every step expects the status that was answered.
    """
    foreign = frozenset(_EXTERNAL_ID.findall("".join(row.request for row in rows)))
    recorder = _Recorder(foreign)
    steps = list(recorder.steps(rows))
    sequence: dict[str, object] = {
        "client": f"the client of {provider}",
        "source": ["the provisioning log"],
        "headers": {"Content-Type": "application/scim+json"},
        "steps": steps,
        "end": {"users": {}, "groups": {}},
    }
    return Export(sequence, len(steps), recorder.left_out)


def write_sequence(file: Path, provider: str, rows: Sequence[ScimRequestRow], *, as_json: bool) -> None:
    """Write requests to a new file that only its owner can read. Raises Failure."""
    export = exported(provider, rows)
    if not export.steps:
        raise Failure(
            "There is no request that could be played elsewhere.",
            f"{export.left_out} were looked at, and each is about somebody who was here before, or was not kept whole"
            if export.left_out
            else "the log has no such request",
            "take more of them: --limit, or a longer --since",
        )
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Failure(f"{file} exists already.", then="choose another file; nothing is overwritten") from None
    except OSError as error:
        raise Failure(f"Cannot write {file}.", str(error.strerror)) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(export.sequence, stream, indent=2, ensure_ascii=False)
        stream.write("\n")
    emit_record({"file": str(file), "steps": export.steps, "left_out": export.left_out}, as_json=as_json)
    if export.left_out:
        note(f"{export.left_out} requests were left out: they are about what was here before, or were not kept whole.")
    warn(f"{file} holds names and addresses of people; secrets were masked before they were kept.")
    note(f"Play it with: quaymaster scim replay-check {file}")


def _uniques(path: str, text: str) -> set[Unique]:
    """Give what only one resource of its kind can have, of what a body says."""
    kind = path.split("/")[1].partition("?")[0]
    wanted = UNIQUE.get(kind, frozenset())
    try:
        body = json.loads(text)
    except ValueError:
        return set()
    return {(kind, name, _folded(name, value)) for name, value in _said_in(body) if name in wanted}


def _said_in(body: object) -> Iterator[tuple[str, str]]:
    """Give the texts that a resource or a PATCH says, by the attribute's name in small letters."""
    if isinstance(body, list):
        for part in body:
            yield from _said_in(part)
    if not isinstance(body, dict):
        return
    named = {str(name).lower(): value for name, value in body.items()}
    path, value = named.get("path"), named.get("value")
    if isinstance(path, str) and isinstance(value, str):
        yield path.lower().rpartition(":")[2], value
    for name, inner in named.items():
        if isinstance(inner, str):
            yield name.rpartition(":")[2], inner
        elif name in {"operations", "value"}:
            yield from _said_in(inner)


def _folded(name: str, value: str) -> str:
    """Give a value as it is compared: names without case, external ids as they are."""
    if name == "externalid":
        return value
    try:
        return canonical_name(value)
    except InvalidName:
        return value


def _id_of(response: str) -> str:
    try:
        made = json.loads(response)
    except ValueError:
        return ""
    found = made.get("id") if isinstance(made, dict) else None
    return found if isinstance(found, str) and _ID.fullmatch(found) else ""
