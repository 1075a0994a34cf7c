"""``quaymaster sync``: bring users and groups of the directories up to date, and see what was done."""

from __future__ import annotations

from typing import Annotated

import typer

from auth_backends.ldap.sync.api import Report, Wish
from server.cli import directories
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_json, emit_record, emit_rows, moment, note, printable, say
from server.cli.sync.progress import interruptible, telling
from server.cli.sync.views import (
    CONFLICT_COLUMNS,
    RUN_COLUMNS,
    conflict_view,
    item_line,
    item_view,
    report_view,
    run_view,
)
from server.cli.views import View
from server.providers import Listed
from storage.database.sync_log import Mode, Outcome, SyncRun

app = typer.Typer(no_args_is_help=True, help="Bring users and groups of the directories up to date.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the provider.")]
AnyName = Annotated[str | None, typer.Argument(metavar="NAME", help="Name of one provider; default: all.")]

HELD_CODE = 3
RUNS, ITEMS = 20, 1000
STATUS_COLUMNS = ("provider", "outcome", "last_run", "last_run_at", "counts", "next_due", "full_due", "conflicts")


@app.command()
def run(
    name: Name,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Read the whole directory, not only what changed since the last run.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")] = False,
    approve: Annotated[
        int | None,
        typer.Option(
            "--approve", metavar="RUN", help="Number of a held run: end the access of those whom it showed, after all."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the sync of one provider now.

    Exit code 0: done. 1: failed, interrupted, or running already. 3: held; it would end the access of too many users,
    changed nothing, and waits for --approve.
    """
    with open_site(config) as site:
        provider = site.directory(name)
        if approve is not None:
            full = full or _held_run(site, name, approve).mode is Mode.FULL
        with interruptible() as stopping, telling(name) as listen:
            report = directories.run_sync(
                site.store,
                name,
                provider,
                Wish(full=full, dry_run=dry_run, approve=approve),
                actor=site.actor,
                listen=listen,
                stopping=stopping,
            )
        _emit(report, dry_run=dry_run, as_json=as_json)
        if not as_json and (waiting := len(site.store.syncs.conflicts(name))):
            note(f"Waiting for your decision: {waiting}; see: quaymaster sync conflicts {name}")


@app.command()
def status(name: AnyName = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show for each provider how the last run ended, when the next one is due, and what waits for an admin."""
    with open_site(config) as site:
        chosen = site.directories() if name is None else [site.listed(name)]
        rows = [_status(site, listed) for listed in chosen]
        emit_rows(rows, STATUS_COLUMNS, as_json=as_json, empty="There are no providers.")
        for row in [] if as_json else rows:
            for key in ("problem", "held"):
                if row[key]:
                    note(f"{row['provider']}: {printable(row[key])}")


@app.command()
def log(
    name: AnyName = None,
    *,
    run_id: Annotated[
        int | None, typer.Option("--run", metavar="ID", help="One run, with what it did for each person and group.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help=f"At most so many: {RUNS} runs, or {ITEMS} lines of a run."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest runs, newest first; with --run, show one with what it did."""
    with open_site(config) as site:
        if run_id is not None:
            _emit_run(site, _run(site, name, run_id), limit or ITEMS, as_json=as_json)
            return
        runs = site.store.syncs.runs(name, limit=limit or RUNS)
        if name is not None and not runs:
            site.listed(name)
        emit_rows([run_view(run) for run in runs], RUN_COLUMNS, as_json=as_json, empty="The sync has not run yet.")


@app.command()
def conflicts(name: AnyName = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List people and groups of the directories that wait for your decision; nobody is ever merged with anybody."""
    with open_site(config) as site:
        found = site.store.syncs.conflicts(name)
        if name is not None and not found:
            site.listed(name)
        rows = [conflict_view(conflict) for conflict in found]
        emit_rows(rows, CONFLICT_COLUMNS, as_json=as_json, empty="Nothing waits for a decision.")
        if rows and not as_json:
            note("The same person? Hand the user here over: quaymaster user adopt NAME --provider P --external-id ID")
            note("Somebody else, or a group? Rename one of the two: here (quaymaster user rename) or in the directory.")


def _emit(report: Report, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        emit_json(report_view(report, dry_run=dry_run))
    if report.outcome not in {Outcome.DONE, Outcome.HELD}:
        interrupted = report.outcome is Outcome.INTERRUPTED
        raise Failure(
            report.detail,
            "what was done until then stays, and the next run does the rest" if report.run_id is not None else "",
            "run it again" if interrupted else f"find out why with: quaymaster provider test {report.provider}",
        )
    if not as_json:
        for item in report.items if dry_run or report.outcome is Outcome.HELD else ():
            say(item_line(item))
        number = "dry run" if report.run_id is None else f"run {report.run_id}"
        say(f"{report.provider}: {number}, {report.mode}, {report.outcome}: {printable(report.detail)}")
    if report.outcome is Outcome.HELD:
        raise typer.Exit(HELD_CODE)


def _status(site: Site, listed: Listed) -> View:
    syncs = site.store.syncs
    state, runs = syncs.state(listed.name), syncs.runs(listed.name, limit=RUNS)
    last = runs[0] if runs else None
    held = _waiting(runs)
    full_due = None
    if state.full_at and listed.provider is not None:
        full_due = moment(state.full_at + listed.provider.full_sync_interval_s)
    return {
        "provider": listed.name,
        "origin": listed.origin.value,
        "problem": listed.problem,
        "outcome": None if last is None else last.outcome.value,
        "last_run": None if last is None else last.id,
        "last_run_at": None if last is None else moment(last.started_at),
        "detail": "" if last is None else last.detail,
        "counts": {} if last is None else dict(last.counts),
        "next_due": moment(state.next_at) if state.next_at else None,
        "full_due": full_due,
        "conflicts": len(syncs.conflicts(listed.name)),
        "held_run": None if held is None else held.id,
        "held": "" if held is None else f"run {held.id} is held. {held.detail}",
    }


def _waiting(runs: list[SyncRun]) -> SyncRun | None:
    """Give the newest held run, unless a later one was done."""
    for found in runs:
        if found.outcome is Outcome.HELD:
            return found
        if found.outcome is Outcome.DONE:
            return None
    return None


def _held_run(site: Site, name: str, run_id: int) -> SyncRun:
    held = _run(site, name, run_id)
    if held.outcome is not Outcome.HELD:
        raise Failure(
            f"Run {run_id} is not held, so there is nothing to approve.",
            f"it ended as: {held.outcome}",
            f"see: quaymaster sync status {name}",
        )
    return held


def _run(site: Site, name: str | None, run_id: int) -> SyncRun:
    found = site.store.syncs.run(run_id)
    if found is None or (name is not None and found.provider != name):
        of = f" of {name}" if name else ""
        raise Failure(f"There is no run {run_id}{of}.", then="list the runs with: quaymaster sync log")
    return found


def _emit_run(site: Site, found: SyncRun, limit: int, *, as_json: bool) -> None:
    items = site.store.syncs.items(found.id, limit=limit)
    if as_json:
        emit_json({**run_view(found), "items": [item_view(item) for item in items]})
        return
    emit_record(run_view(found), as_json=False)
    for item in items:
        say(item_line(item))
    if len(items) == limit:
        note(f"There may be more; see them with: quaymaster sync log --run {found.id} --limit {limit * 10}")
