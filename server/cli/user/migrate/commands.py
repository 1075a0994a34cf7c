"""``quaymaster user migrate``: from a directory to single sign-on, after showing who is ready and what keeps others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from server.cli import values
from server.cli.context import ConfigOption, JsonOption, open_site
from server.cli.output import Failure, emit_json, emit_rows, note, printable, say, warn
from server.cli.user.migrate.plan import Candidate, Plan, State
from server.cli.user.migrate.run import Outcome, move_all
from server.cli.user.migrate.undo import migrate_undo, migrations
from server.cli.user.migrate.views import PLAN_COLUMNS, To, Yes, candidate_view, counts_line, counts_of
from server.cli.user.migrate.who import Wanted, wanted_users
from server.cli.user.pilot import pilot
from server.cli.views import View
from storage.database.records import Method


class Groups(StrEnum):
    """What becomes of memberships that the directory gave."""

    KEEP = "keep"
    DROP = "drop"


Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Login names.")]


def migrate(
    names: Names = None,
    *,
    to: To,
    group: Annotated[str | None, typer.Option("--group", metavar="GROUP", help="All members of this group.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="All users of the method ldap.")] = False,
    pilots: Annotated[bool, typer.Option("--pilots", help="All who are marked as pilots of PROVIDER.")] = False,
    of_provider: Annotated[
        str | None, typer.Option("--from", metavar="DIRECTORY", help="Only users of this directory.")
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option("--ids", metavar="FILE", help="CSV of login name, immutable id there. Alone: those users."),
    ] = None,
    external_id: Annotated[
        str | None, typer.Option("--external-id", metavar="ID", help="The immutable id there; with one NAME only.")
    ] = None,
    groups: Annotated[
        Groups, typer.Option("--groups", help="Memberships that the directory gave become your own, or end.")
    ] = Groups.KEEP,
    include_blocked: Annotated[
        bool,
        typer.Option("--include-blocked", help="Move also who used a password lately and has no key: locked out."),
    ] = False,
    stop_after: Annotated[
        int, typer.Option("--stop-after", metavar="N", min=1, help="End the run after so many errors.")
    ] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show who would move, and change nothing.")] = False,
    yes: Yes = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move users from a directory to an identity provider, after showing who is ready and what keeps the others.

    Keys, API keys, home, grants and the login name stay. From then on a password is refused on every protocol, sessions
    that were opened with one end, and sessions with keys go on. Each user is one transaction, and can be given back for
    30 days: see migrate-undo. Exit code 1: somebody whom you named (also in FILE), or who was ready, did not move.
    """
    with open_site(config) as site:
        method = Method(site.sso(to).method.value)
        wanted = wanted_users(
            site,
            names=names or (),
            group=group,
            everybody=everybody,
            pilots_of=to if pilots else None,
            of_provider=None if of_provider is None else site.listed(of_provider).name,
            ids_file=ids,
            external_id=external_id,
        )
        plan = Plan(site, to, wanted.ids, time.time(), include_blocked=include_blocked)
        candidates = plan.candidates(wanted.users)
        ready = [one for one in candidates if one.state is State.READY]
        if dry_run or not ready or not as_json:
            _show(to, candidates, dry_run=dry_run, as_json=as_json)
        if dry_run or all(one.state is State.MIGRATED for one in candidates):
            return
        if not ready:
            raise Failure("Nobody is ready to move.", counts_line(counts_of(candidates)), "see them with --dry-run")
        count = "this user" if len(ready) == 1 else f"these {len(ready)} users"
        values.confirm(f"Let {count} sign in at {to}, and refuse their passwords here?", yes=yes)
        keep = groups is Groups.KEEP
        outcome = move_all(site, ready, to, method, keep_groups=keep, stop_after=stop_after)
        _tell(to, wanted, candidates, outcome, as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the commands to ``quaymaster user``."""
    app.command("migrate")(migrate)
    app.command("pilot")(pilot)
    app.command("migrations")(migrations)
    app.command("migrate-undo")(migrate_undo)


def _show(to: str, candidates: Sequence[Candidate], *, dry_run: bool, as_json: bool) -> None:
    counts = counts_of(candidates)
    if as_json:
        rows = [candidate_view(one) for one in candidates]
        emit_json({"provider": to, "dry_run": dry_run, "counts": counts, "users": rows})
        return
    emit_rows([candidate_view(one) for one in candidates], PLAN_COLUMNS, as_json=False, empty="Nobody was chosen.")
    say(f"{to}: {counts_line(counts)}")
    for one in candidates:
        if one.then:
            note(f"{one.user.name}: {printable(one.then)}")
    if counts[State.NO_LINK.value]:
        note(f"No link? Let {to} provision these people, then run this again; or give their ids with --ids FILE.")
    if counts[State.PASSWORD_IN_USE.value]:
        note("A password in use? Give a key first (quaymaster key add, apikey issue), or say --include-blocked.")


def _tell(to: str, wanted: Wanted, candidates: Sequence[Candidate], outcome: Outcome, *, as_json: bool) -> None:
    moved = [one for one in candidates if one.user.id in outcome.done]
    if as_json:
        rows = [candidate_view(one, outcome) for one in candidates]
        counts = counts_of(candidates) | {"moved": len(moved), "failed": len(outcome.failed)}
        said: View = {"provider": to, "dry_run": False, "batch": outcome.batch, "stopped": outcome.stopped}
        emit_json(said | {"counts": counts, "users": rows})
    else:
        say(f"{to}: {len(moved)} moved, {len(outcome.failed)} failed; batch {outcome.batch}")
        for one in candidates:
            if one.user.id in outcome.failed:
                warn(f"{one.user.name}: {outcome.failed[one.user.id]}")
        if moved:
            note(
                "Back, within 30 days: quaymaster user migrate-undo --last-batch; see also: quaymaster user migrations"
            )
    settled = {State.READY, State.MIGRATED}
    left_out = [one.user.name for one in candidates if one.user.id in wanted.named and one.state not in settled]
    if outcome.stopped or outcome.failed or left_out:
        missing = [*left_out, *(one.user.name for one in candidates if one.user.id in outcome.failed)]
        raise Failure(
            f"Not everybody moved: {outcome.stopped or ', '.join(missing)}.",
            "who moved has moved, and is in the journal" if moved else "nobody moved",
            "see who is left, and why, with --dry-run; then run it again",
        )
