"""``quaymaster session``: who is connected now, and cutting them off."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from server.cli.context import ConfigOption, JsonOption, open_site
from server.cli.output import Failure, emit_record, emit_rows
from server.cli.views import session_view
from server.session_cuts import cut_session

app = typer.Typer(no_args_is_help=True, help="Who is connected now.")

COLUMNS = ("id", "user", "front_end", "peer", "factor", "opened_at", "seen_at", "worker")


@app.command("list")
def list_(
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Only sessions of this user.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the live sessions of all workers."""
    with open_site(config) as site:
        user_id = site.user(user).id if user else None
        live = site.store.sessions.live()
        rows = [session_view(row) for row in live if user_id is None or row.user_id == user_id]
        emit_rows(rows, COLUMNS, as_json=as_json, empty="Nobody is connected.")


@app.command()
def cut(
    session_id: Annotated[str | None, typer.Argument(metavar="ID", help="As shown by: quaymaster session list")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="All sessions of this user.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End sessions within a second; uploads in flight are aborted.

    The user may sign in again. To prevent that, use user disable, key revoke or apikey revoke.
    """
    with open_site(config) as site:
        if (session_id is None) == (user is None):
            raise Failure("Which session?", then="give either the ID of a session or --user NAME")
        user_id = site.user(user).id if user else None
        chosen = [row for row in site.store.sessions.live() if row.id == session_id or row.user_id == user_id]
        if session_id and not chosen:
            raise Failure(f"There is no live session {session_id!r}.", then="list them with: quaymaster session list")
        for row in chosen:
            cut_session(site.store, row, actor=site.actor, reason="cut_by_admin", now=time.time())
        emit_record({"cut": [row.id for row in chosen]}, as_json=as_json)
