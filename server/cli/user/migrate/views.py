"""Users who may move, those who did, and the journal, as commands show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from server.cli.output import moment
from server.cli.user.migrate.plan import Candidate, State
from server.cli.user.migrate.run import Outcome
from server.cli.views import View
from storage.database.migrations_log import Migration

To = Annotated[str, typer.Option("--to", metavar="PROVIDER", help="The identity provider where they will sign in.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed in a script.")]

PLAN_COLUMNS = ("user", "state", "external_id", "found_by", "password_used", "keys", "apikeys", "why")
JOURNAL_COLUMNS = ("id", "at", "user", "from", "to", "external_id", "batch", "actor", "state")
PILOT_COLUMNS = ("user", "provider", "pilot", "external_id", "link")


def candidate_view(one: Candidate, outcome: Outcome | None = None) -> View:
    """Show a user before a move, or with what came of it."""
    user, there = one.user, one.facts
    view: View = {
        "user": user.name,
        "id": user.id,
        "state": one.state.value,
        "from": user.provider,
        "external_id": one.external_id or None,
        "found_by": None if one.found_by is None else one.found_by.value,
        "provider_says": None
        if there is None
        else {"user_name": there.user_name, "display_name": there.display_name, "email": there.email},
        "status": user.status.value,
        "admin": one.is_admin,
        "role": user.role.value,
        "role_after": one.role_after.value,
        "password_used": {place: moment(at) for place, at in sorted(one.used.items())},
        "without_key": list(one.uncovered),
        "keys": one.keys.ssh,
        "apikeys": len(one.keys.apikeys),
        "reason": one.reason,
        "notes": list(one.notes),
        "next": one.then,
        "why": "; ".join([*([one.reason] if one.reason else []), *one.notes]),
    }
    if outcome is not None:
        view["migration"] = outcome.done.get(user.id)
        view["error"] = outcome.failed.get(user.id)
    return view


def counts_of(candidates: Sequence[Candidate]) -> dict[str, int]:
    """Count the users by state, and the admins among those who would move."""
    states = Counter(one.state for one in candidates)
    admins = sum(one.is_admin for one in candidates if one.state is State.READY)
    return {state.value: states[state] for state in State} | {"admins": admins}


def counts_line(counts: dict[str, int]) -> str:
    """Tell the counts in a line."""
    return ", ".join(f"{count} {state.replace('-', ' ')}" for state, count in counts.items() if count) or "nobody"


def journal_view(move: Migration, now: float) -> View:
    """Show a move; ``undo_until`` is None when it cannot be taken back any more."""
    is_open = move.undone_at is None and now <= move.undo_until
    state = "undone" if move.undone_at is not None else "can be undone" if is_open else "stands"
    return {
        "id": move.id,
        "at": moment(move.at),
        "user": move.user_name,
        "user_id": move.user_id,
        "from": move.from_provider or None,
        "to": move.to_provider,
        "external_id": move.external_id,
        "batch": move.batch or None,
        "actor": move.actor,
        "state": state,
        "undo_until": moment(move.undo_until) if is_open else None,
        "undone_at": moment(move.undone_at),
        "undone_by": move.undone_by,
    }
