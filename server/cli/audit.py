"""``quaymaster audit``: what happened, who did it, and why it ended as it did."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import cell, emit_json_line, emit_rows, note, say
from server.cli.views import View, audit_view
from storage.database.errors import InvalidName
from storage.database.names import canonical_name

app = typer.Typer(no_args_is_help=True, help="The audit trail.")

COLUMNS = ("at", "kind", "subject", "outcome", "reason", "front_end", "peer", "actor")
POLL_S = 0.5
BATCH = 500


@app.callback()
def _group() -> None:
    """Keep ``tail`` a sub-command although it is the only one."""


@app.command()
def tail(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Only events about this name.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only events of this kind.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10000, help="Newest events to start with.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the newest events, oldest first. JSON is one array; with --follow, one object on each line."""
    with open_site(config) as site:
        subject = _subject(user)
        rows = [audit_view(event) for event in site.store.audit.tail(limit=limit, subject=subject, kind=kind)]
        if not follow:
            emit_rows(rows, COLUMNS, as_json=as_json, empty="The audit trail has no such event.")
            return
        try:
            _follow(site, rows, subject=subject, kind=kind, as_json=as_json)
        except KeyboardInterrupt:
            note("")


def _follow(site: Site, rows: list[View], *, subject: str | None, kind: str | None, as_json: bool) -> None:
    last = 0
    while True:
        for row in rows:
            if as_json:
                emit_json_line(row)
            else:
                say("  ".join(cell(row[column]) for column in COLUMNS))
            last = int(str(row["id"]))
        time.sleep(POLL_S)
        events = site.store.audit.tail(after_id=last, limit=BATCH, subject=subject, kind=kind)
        rows = [audit_view(event) for event in events]


def _subject(name: str | None) -> str | None:
    """Give the name as the trail has it: canonical, or as it was typed where it never was a name."""
    if name is None:
        return None
    try:
        return canonical_name(name)
    except InvalidName:
        return name
