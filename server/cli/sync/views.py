"""Runs of the sync, what they did and what waits for an admin, as commands show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from auth_backends.ldap.sync.api import Report
from server.cli.output import cell, moment
from server.cli.views import View
from storage.database.sync_log import SyncConflict, SyncItem, SyncRun

RUN_COLUMNS = ("id", "provider", "mode", "outcome", "started_at", "seconds", "counts", "actor", "detail")
CONFLICT_COLUMNS = ("provider", "name", "reason", "external_id", "hint", "since")


def run_view(run: SyncRun) -> View:
    """Show a run; ``seconds`` is how long it took, or None while it runs."""
    return {
        "id": run.id,
        "provider": run.provider,
        "mode": run.mode.value,
        "outcome": run.outcome.value,
        "actor": run.actor,
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
        "seconds": None if run.finished_at is None else round(run.finished_at - run.started_at, 1),
        "counts": dict(run.counts),
        "detail": run.detail,
    }


def report_view(report: Report, *, dry_run: bool) -> View:
    """Show what a run did, or would do."""
    return {
        "provider": report.provider,
        "run": report.run_id,
        "dry_run": dry_run,
        "mode": report.mode.value,
        "outcome": report.outcome.value,
        "counts": dict(report.counts),
        "detail": report.detail,
        "items": [item_view(item) for item in report.items],
    }


def item_view(item: SyncItem) -> View:
    """Show what was done, or would be, with one person or group."""
    return {
        "action": str(item.action),
        "subject": item.subject,
        "external_id": item.external_id,
        "reason": item.reason,
        "detail": dict(item.detail),
    }


def conflict_view(conflict: SyncConflict) -> View:
    """Show what waits for an admin's decision; ``hint`` is where the entry is in the directory."""
    return {
        "provider": conflict.provider,
        "name": conflict.name,
        "reason": conflict.reason,
        "external_id": conflict.external_id,
        "hint": conflict.hint,
        "since": moment(conflict.since),
    }


def item_line(item: SyncItem) -> str:
    """Show an item to a person: what, who, and the differences or the reason."""
    told = "; ".join([*_differences(item.detail), *([item.reason] if item.reason else [])])
    return f"{item.action:<13} {cell(item.subject)}{f'  {cell(told)}' if told else ''}"


def _differences(detail: Mapping[str, object]) -> Iterator[str]:
    for field, value in detail.items():
        words = field.replace("_", " ")
        match value:
            case {"old": old, "new": new}:
                yield f"{words}: {_fact(field, old)} -> {_fact(field, new)}"
            case list() | tuple() if field.endswith("_added"):
                yield f"{words.removesuffix(' added')}: {_signed('+', value)}"
            case list() | tuple() if field.endswith("_removed"):
                yield f"{words.removesuffix(' removed')}: {_signed('-', value)}"
            case None | "" | [] | ():
                pass
            case _:
                yield f"{words}: {_fact(field, value)}"


def _fact(field: str, value: object) -> str:
    if field.endswith("_at") and isinstance(value, int | float):
        return cell(moment(value))
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else cell(value)


def _signed(sign: str, values: Iterable[object]) -> str:
    return " ".join(f"{sign}{value}" for value in values)
