"""What solves a conflict of a SCIM client with a user here. A name once given stays its user's: no rename here does."""

from __future__ import annotations

import shlex

from server.cli.output import printable
from server.cli.scim.matches import LINK, doubt, matching
from storage.database.moving import not_movable
from storage.database.records import Owner, User
from storage.database.scim_waiting import ScimConflict
from storage.database.store import Store


def advice_for(store: Store, conflict: ScimConflict, holder: User | None) -> str:
    """Say whose the name or id is, and what to do if it is the same person, and if it is not."""
    provider, name = conflict.provider, printable(conflict.user_name)
    again = f"Then let {provider} provision {name} again, on demand or with its next cycle."
    other = f"Somebody else? Give the person another name there. {again}"
    if holder is None:
        return f"{name} was the name of a user who is gone, and stays reserved. {other}"
    if holder.break_glass:
        return f"{holder.name} is the admin of last resort and is handed to nobody. {other}"
    if conflict.held_as == LINK:
        wrong = f"Somebody else? quaymaster user unlink {holder.name} --provider {provider}. {again}"
        return f"{holder.name} is linked to this very person. {_way(conflict, holder, by_id=False)} {wrong}"
    is_same = bool(matching(store, holder, [conflict]))
    whose = _whose(holder) if is_same else f"{doubt(holder, [conflict])}; nobody is moved by it."
    said = store.scim_people.any_by_id(holder.id)
    if said is not None and said.provider == provider and said.deleted_at is not None:
        return (
            f"{provider} has deleted {holder.name}, and speaks of {name} under another id. "
            f"{'' if is_same else f'{whose} '}The same person? quaymaster scim restore {holder.name}. {other}"
        )
    return f"{whose} The same person? {_way(conflict, holder, by_id=not is_same)} {other}"


def _whose(holder: User) -> str:
    if holder.managed_by is Owner.SCIM:
        return f"{holder.name} is managed by the client of {holder.provider}."
    return f"{holder.name} has the method {holder.method} and is managed by {holder.managed_by}."


def _way(conflict: ScimConflict, holder: User, *, by_id: bool) -> str:
    """Say how the user becomes the provider's; ``by_id`` where only an admin can tell that it is the same person."""
    provider, name, external_id = conflict.provider, holder.name, conflict.external_id
    if not_movable(holder) is None:
        of_id = f" --external-id {_quoted(external_id or holder.id)}" if by_id else ""
        return f"Move the user over: quaymaster user migrate {name} --to {provider}{of_id}."
    if holder.managed_by not in {Owner.MANUAL, Owner.SCIM}:
        return f"A user who is managed by {holder.managed_by} is handed over by that source alone."
    if not external_id:
        return f"Let {provider} send an externalId first, by which the user can be handed over: quaymaster user adopt."
    of_id = f" --external-id {_quoted(external_id)}" if by_id else ""
    adopt = f"quaymaster user adopt {name} --provider {provider}{of_id}"
    if holder.managed_by is Owner.SCIM and holder.provider != provider:
        return f"Unassign the person at {holder.provider}, or that goes on asking; then hand the user over: {adopt}."
    return f"Hand the user over: {adopt}."


def _quoted(text: str) -> str:
    """Quote in any case: the sentence goes on behind it."""
    shown = printable(text)
    return f"'{shown}'" if shlex.quote(shown) == shown else shlex.quote(shown)
