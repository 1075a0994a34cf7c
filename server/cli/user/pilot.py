"""``quaymaster user pilot``: who tries an identity provider before the others."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_rows, note, printable
from server.cli.user.migrate.plan import Candidate, Plan, State
from server.cli.user.migrate.views import PILOT_COLUMNS, To
from server.cli.views import View
from storage.database.changes import LinkIdentity
from storage.database.migration_changes import MarkPilot, UnmarkPilot


def pilot(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Login names.")],
    *,
    to: To,
    remove: Annotated[bool, typer.Option("--remove", help="Take the mark away; a link stays.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mark users who try the identity provider first; their directory password goes on working.

    Where it is known who they are there, they are linked, so that signing in there can be tried. All pilots move with:
    quaymaster user migrate --pilots.
    """
    with open_site(config) as site:
        site.sso(to)
        users = tuple(dict.fromkeys(site.user(name) for name in names))
        candidates = Plan(site, to, {}, time.time()).candidates(users)
        if not remove and (
            not_for_it := [one for one in candidates if one.state in {State.MIGRATED, State.NOT_MOVABLE}]
        ):
            first = not_for_it[0]
            raise Failure(f"{first.user.name} has nothing to try.", first.reason, "nobody was marked")
        rows = [_unmarked(site, to, one) if remove else _marked(site, to, one) for one in candidates]
        emit_rows(rows, PILOT_COLUMNS, as_json=as_json, empty="Nobody was named.")
        for row in [] if as_json else rows:
            for key in ("reason", "next"):
                if row[key]:
                    note(f"{row['user']}: {printable(row[key])}")


def _marked(site: Site, to: str, one: Candidate) -> View:
    link = "none"
    if one.state is State.CONFLICT:
        link = "conflict"
    elif one.external_id:
        link = "staged" if site.apply(LinkIdentity(one.user.id, to, one.external_id)).changed else "present"
    site.apply(MarkPilot(one.user.id, to))
    reason = one.reason if link in {"none", "conflict"} else ""
    return _row(to, one, link) | {"pilot": True, "reason": reason, "next": one.then}


def _unmarked(site: Site, to: str, one: Candidate) -> View:
    site.apply(UnmarkPilot(one.user.id))
    held = site.store.users.identity(one.user.id, to)
    is_loose = held is not None and one.state is not State.MIGRATED
    then = f"the link stays; end it with: quaymaster user unlink {one.user.name} --provider {to}" if is_loose else ""
    return _row(to, one, "none" if held is None else "present") | {"pilot": False, "reason": "", "next": then}


def _row(to: str, one: Candidate, link: str) -> View:
    return {"user": one.user.name, "provider": to, "external_id": one.external_id or None, "link": link}
