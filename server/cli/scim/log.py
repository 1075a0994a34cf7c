"""``quaymaster scim log``: what the clients asked for, what they were told, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

import typer

from server.cli import values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, cell, emit_json_line, emit_rows, note, say
from server.cli.scim.export import write_sequence
from server.cli.scim.views import LOG_COLUMNS, AnyName, request_view
from server.cli.views import View
from storage.database.errors import InvalidName
from storage.database.names import canonical_login
from storage.database.scim_log import ScimRequestRow

FAILED = 400
SHOWN, EXPORTED = 20, 1000
SCANNED = 5000  # the newest requests that are read for one person: refused ones have no subject
POLL_S = 0.5
BATCH = 500
GET = "GET"


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to look for: by the names, as they are written here and there, and by the resource's id, if there is one."""

    names: frozenset[str]
    resource_id: str

    @property
    def folded(self) -> frozenset[str]:
        """Give the names in small letters."""
        return frozenset(name.casefold() for name in self.names)

    def is_in(self, row: ScimRequestRow) -> bool:
        """Whether a request is about the person, by its subject, its path or its body."""
        path, body = unquote(row.path).casefold(), row.request.casefold()
        if row.subject.casefold() in self.folded or (self.resource_id and self.resource_id in path):
            return True
        return any(f'"{name}"' in path or f'"{name}"' in body for name in self.folded)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests are wanted; times are Unix seconds."""

    provider: str | None
    failed: bool
    writes: bool
    since: float
    person: Person | None

    def newest(self, site: Site, limit: int) -> list[ScimRequestRow]:
        """Give the newest of them, the oldest first."""
        if self.person is None:
            return self._tail(site, limit=limit)
        found = {row.id: row for row in self._tail(site, limit=max(SCANNED, limit)) if self.person.is_in(row)}
        for name in self.person.names:  # older ones, as far as the subject was written so
            found |= {row.id: row for row in self._tail(site, limit=limit, subject=name)}
        return sorted(found.values(), key=lambda row: row.id)[-limit:]

    def after(self, site: Site, last: int) -> list[ScimRequestRow]:
        """Give the next of them, and, where none of the next ones is wanted, none."""
        return self._tail(site, limit=BATCH, after_id=last)

    def _tail(self, site: Site, *, limit: int, after_id: int = 0, subject: str | None = None) -> list[ScimRequestRow]:
        return site.store.scim_log.tail(
            self.provider,
            after_id=after_id,
            limit=limit,
            least_status=FAILED if self.failed else 0,
            subject=subject,
            since=self.since,
            writes_only=self.writes,
        )


def log(
    name: AnyName = None,
    *,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, max=100_000, help=f"So many of the newest. Default: {SHOWN}."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that were refused, or failed.")] = False,
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="Only those about this login name, or userName there.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="SPAN", help="Only those of this time until now: 30m, 12h, 7d.")
    ] = None,
    writes: Annotated[bool, typer.Option("--writes", help="Leave out what only reads.")] = False,
    bodies: Annotated[bool, typer.Option("--bodies", help="Also show what was sent and answered.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="FILE",
            help="Write the requests of one provider as a sequence that replay-check plays; it holds personal data.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the newest requests, oldest first; clients that were not let in are not among them.

    They are kept for 90 days. Masked is what is called like a secret, and what has the form of our keys and tokens; a
    secret under another name is not known as one. They are written in the background: after a crash the last moment
    may be missing here, and never in: quaymaster audit tail.

    JSON is one array; with --follow, one object on each line.
    """
    with open_site(config) as site:
        if export is not None and (name is None or follow):
            raise Failure(
                "--export takes the requests of one provider that are there already.",
                then="name the provider, and leave --follow away",
            )
        wanted = Wanted(name, failed, writes, _since(since), None if user is None else _person(site, user))
        rows = wanted.newest(site, limit or (SHOWN if export is None else EXPORTED))
        if name is not None and not rows:
            site.identity_provider(name)
        if export is not None:
            write_sequence(export, str(name), rows, as_json=as_json)
        elif follow:
            _follow(site, wanted, rows, bodies=bodies, as_json=as_json)
        elif bodies and not as_json:
            _tell(rows)
        else:
            views = [request_view(row, bodies=bodies) for row in rows]
            emit_rows(views, LOG_COLUMNS, as_json=as_json, empty="There is no such request.")


def _follow(site: Site, wanted: Wanted, rows: list[ScimRequestRow], *, bodies: bool, as_json: bool) -> None:
    last = 0
    try:
        while True:
            for row in rows:
                if row.id > last and (wanted.person is None or wanted.person.is_in(row)):
                    _emit(row, bodies=bodies, as_json=as_json)
            last = max([last, *(row.id for row in rows)])
            time.sleep(POLL_S)
            rows = wanted.after(site, last)
    except KeyboardInterrupt:
        note("")


def _emit(row: ScimRequestRow, *, bodies: bool, as_json: bool) -> None:
    if as_json:
        emit_json_line(request_view(row, bodies=bodies))
    elif bodies:
        _tell([row])
    else:
        say(_line(request_view(row, bodies=False)))


def _tell(rows: Iterable[ScimRequestRow]) -> None:
    for row in rows:
        say(_line(request_view(row, bodies=False)))
        for mark, body in ((">", row.request), ("<", row.response)):
            if body:
                say(f"    {mark} {cell(body)}")


def _line(view: View) -> str:
    return "  ".join(cell(view[column]) for column in LOG_COLUMNS)


def _since(span: str | None) -> float:
    return 0.0 if span is None else time.time() - values.interval(span, "--since")


def _person(site: Site, name: str) -> Person:
    """Find out what a person is called here and there; somebody who never came is known by what was typed."""
    try:
        user = site.store.users.by_login(canonical_login(name))
    except InvalidName:
        user = None
    said = None if user is None else site.store.scim_people.any_by_id(user.id)
    names = {name}
    if user is not None:
        names.add(user.name)
    if said is not None:
        names.add(str(said.document.get("userName", name)))
    return Person(frozenset(names), "" if said is None else said.user_id)
