"""``quaymaster user migrations`` and ``migrate-undo``: the journal of moves, and the way back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from server.cli import values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_json, emit_rows, note, printable, say, warn
from server.cli.user.migrate.run import Outcome, undo_all
from server.cli.user.migrate.views import JOURNAL_COLUMNS, Yes, journal_view
from server.cli.views import View
from storage.database.migrations_log import Migration
from storage.database.records import Status


def migrations(
    *,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who moved to an identity provider, newest first, and until when that can be undone."""
    with open_site(config) as site:
        now = time.time()
        rows = [journal_view(move, now) for move in site.store.migrations.journal(limit=limit)]
        emit_rows(rows, JOURNAL_COLUMNS, as_json=as_json, empty="Nobody has moved to an identity provider yet.")


def migrate_undo(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Numbers of migrations.")] = None,
    *,
    last_batch: Annotated[
        bool, typer.Option("--last-batch", help="The newest batch: who is left of it and was not given back yet.")
    ] = False,
    yes: Yes = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give users back to the directory they came from: its passwords count again, and everything is as it was.

    What an admin changed meanwhile stays, and whoever was put out meanwhile stays out. Not after 30 days, and not for
    a user who was moved on since.
    """
    with open_site(config) as site:
        if bool(numbers) is last_batch:
            raise Failure("Which one?", then="give the number of a migration, or --last-batch; see: user migrations")
        moves = site.store.migrations.last_batch() if last_batch else [_move(site, number) for number in numbers or ()]
        if not moves:
            raise Failure("There is nothing to undo.", then="see: quaymaster user migrations")
        if not as_json:
            for move in moves:
                note(f"  {move.id:>6}  {printable(move.user_name)}  {move.to_provider} -> {move.from_provider or '-'}")
        count = "this user" if len(moves) == 1 else f"these {len(moves)} users"
        values.confirm(f"Give {count} back, so that passwords of the directory count again?", yes=yes)
        _tell(site, moves, undo_all(site, moves), as_json=as_json)


def _tell(site: Site, moves: Sequence[Migration], outcome: Outcome, *, as_json: bool) -> None:
    undone = [move for move in moves if str(move.id) in outcome.done]
    failed: list[View] = [
        {"migration": move.id, "user": move.user_name, "error": outcome.failed[str(move.id)]}
        for move in moves
        if str(move.id) in outcome.failed
    ]
    if as_json:
        done: list[View] = [{"migration": move.id, "user": move.user_name} for move in undone]
        emit_json({"undone": done, "failed": failed, "stopped": outcome.stopped})
    else:
        say(f"{len(undone)} given back, {len(failed)} failed")
        for row in failed:
            warn(f"{row['user']}: {row['error']}")
        for name in sorted({move.from_provider for move in undone if move.from_provider}):
            note(f"What changed in {name} meanwhile comes with the next full run: quaymaster sync run {name} --full")
        for move in undone:
            user = site.store.users.by_id(move.user_id)
            if user is not None and user.status is Status.DEPROVISIONED:
                note(f"{user.name} stays out, as before. Back: quaymaster user enable {user.name}")
    if failed or outcome.stopped:
        raise Failure("Not everybody was given back.", outcome.stopped, "see: quaymaster user migrations")


def _move(site: Site, number: int) -> Migration:
    found = site.store.migrations.by_id(number)
    if found is None:
        raise Failure(f"There is no migration {number}.", then="see: quaymaster user migrations")
    return found
