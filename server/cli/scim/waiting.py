"""``quaymaster scim held``, ``approve``, ``dismiss``, ``conflicts`` and ``restore``: what waits for an admin."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli import values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_record, emit_rows, note, printable
from server.cli.scim.advice import advice_for
from server.cli.scim.person import person_view
from server.cli.scim.views import CONFLICT_COLUMNS, HELD_COLUMNS, AnyName, Name, conflict_view, held_view
from server.cli.views import View
from storage.database.errors import Conflict
from storage.database.scim_changes import ApproveEnds, DismissEnds, RestoreUser
from storage.database.scim_waiting import HeldEnd, ScimConflict

Users = Annotated[
    list[str] | None, typer.Option("--user", metavar="USER", help="Only this user. Repeatable; default: all who wait.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed in a script.")]


def held(name: AnyName = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List users whom a client has ended and who still let in, as too many would lose access within a day.

    Each is as ``status`` says, and would be as ``would be`` says; keys and API keys would let nobody in any more. The
    client is told to try again, and does so with its next cycles.
    """
    with open_site(config) as site:
        ends = site.store.scim_waiting.held(name)
        if name is not None and not ends:
            site.identity_provider(name)
        rows = [_held_view(site, end) for end in ends]
        emit_rows(rows, HELD_COLUMNS, as_json=as_json, empty="Nobody's end waits.")
        if ends and not as_json:
            note("Meant so? quaymaster scim approve NAME. A mistake? Correct it there, and let them stay here:")
            note("quaymaster scim dismiss NAME --user USER")


def approve(
    name: Name, *, users: Users = None, yes: Yes = False, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """End the users whose end waits, after showing them: exactly those, as shown, and nobody who comes meanwhile.

    Sessions, transfers, keys and API keys end within a second. All ends so far are taken as seen: the client may put
    out as many again before the next ones wait.
    """
    with open_site(config) as site:
        site.identity_provider(name)
        chosen = _chosen(site, name, users)
        _show(chosen)
        count = "1 user" if len(chosen) == 1 else f"these {len(chosen)} users"
        values.confirm(f"End the access of {count} of {name}?", yes=yes)
        applied = site.apply(ApproveEnds(name, tuple((end.user_id, end.action) for end in chosen)))
        ended = set(applied.users)
        record: View = {
            "provider": name,
            "approved": [end.user_name for end in chosen if end.user_id in ended],
            "not_ended": [end.user_name for end in chosen if end.user_id not in ended],
            "still_waiting": len(site.store.scim_waiting.held(name)),
        }
        emit_record(record, as_json=as_json)
        if record["not_ended"]:
            note(f"Some are not as they were shown any more, and were left alone; see: quaymaster scim held {name}")


def dismiss(
    name: Name, *, users: Users = None, yes: Yes = False, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Let users stay whose end waits: what the client asked is forgotten, until it asks again."""
    with open_site(config) as site:
        site.identity_provider(name)
        if not users:
            raise Failure("Who shall stay?", then=f"give --user, once for each; who waits: quaymaster scim held {name}")
        chosen = _chosen(site, name, users)
        _show(chosen)
        count = "this user" if len(chosen) == 1 else f"these {len(chosen)} users"
        values.confirm(f"Shall {count} of {name} keep their access?", yes=yes)
        site.apply(DismissEnds(name, tuple(end.user_id for end in chosen)))
        record: View = {
            "provider": name,
            "dismissed": [end.user_name for end in chosen],
            "still_waiting": len(site.store.scim_waiting.held(name)),
        }
        emit_record(record, as_json=as_json)
        note(f"As long as {name} has them as ended, it asks again with its next cycle: correct it there, too.")


def conflicts(name: AnyName = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List people whom a client could not make, as the name or the id is another user's; nobody is ever merged."""
    with open_site(config) as site:
        found = site.store.scim_waiting.conflicts(name)
        if name is not None and not found:
            site.identity_provider(name)
        rows = [_conflict_view(site, conflict) for conflict in found]
        emit_rows(rows, CONFLICT_COLUMNS, as_json=as_json, empty="Nobody waits for a decision.")
        for text in [] if as_json else dict.fromkeys(str(row["next"]) for row in rows):
            note(text)


def restore(
    name: Annotated[str, typer.Argument(metavar="USER", help="Login name.")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a client find a user again whom it has deleted; the user stays out until the client says otherwise."""
    with open_site(config) as site:
        user = site.user(name)
        try:
            applied = site.apply(RestoreUser(user.id))
        except Conflict as error:
            raise Failure(
                str(error),
                "only who came by SCIM can be given back to a client",
                f"look at the user: quaymaster user show {user.name}",
            ) from None
        said = person_view(site.store, user)
        emit_record(
            {"user": user.name, "status": user.status.value, "restored": applied.changed, "scim": said}, as_json=as_json
        )
        if applied.changed:
            note(
                f"{user.name} is still out. Enable or assign the person there, and the next cycle lets {user.name} in."
            )
        else:
            note(f"{user.name} was not deleted by the client, so there was nothing to restore.")


def _chosen(site: Site, name: str, users: list[str] | None) -> list[HeldEnd]:
    waiting = site.store.scim_waiting.held(name)
    if not waiting:
        raise Failure(f"Nobody's end waits at {name}.", then="see: quaymaster scim held")
    if not users:
        return waiting
    wanted = {site.user(text).id: text for text in users}
    missing = [text for user_id, text in wanted.items() if user_id not in {end.user_id for end in waiting}]
    if missing:
        raise Failure(
            f"The end of {', '.join(missing)} does not wait at {name}.",
            f"these wait: {', '.join(end.user_name for end in waiting)}",
            f"see: quaymaster scim held {name}",
        )
    return [end for end in waiting if end.user_id in wanted]


def _show(chosen: list[HeldEnd]) -> None:
    for end in chosen:
        note(f"  {end.action:<8} {printable(end.user_name)}")


def _held_view(site: Site, end: HeldEnd) -> View:
    credentials = site.store.credentials
    keys = sum(key.revoked_at is None for key in credentials.ssh_keys_of(end.user_id))
    apikeys = sum(key.revoked_at is None for key in credentials.api_keys_of(end.user_id))
    return held_view(end, site.store.users.by_id(end.user_id), keys, apikeys)


def _conflict_view(site: Site, conflict: ScimConflict) -> View:
    holder = site.store.users.by_id(conflict.holder_id) if conflict.holder_id else None
    return conflict_view(conflict, holder, advice_for(site.store, conflict, holder))
