"""What a SCIM client says of one user: facts that the client owns, as commands show them."""

from __future__ import annotations

from server.cli.output import moment, printable
from server.cli.views import View
from storage.database.records import Owner, Status, User
from storage.database.scim import ScimUser
from storage.database.scim_waiting import HeldEnd
from storage.database.store import Store


def person_view(store: Store, user: User) -> View | None:
    """Show what a client said of a user; None if no client ever spoke of the user."""
    said = store.scim_people.any_by_id(user.id)
    if said is None:
        return None
    end = _held(store, said)
    return {
        "provider": said.provider,
        "user_name": said.document.get("userName"),
        "external_id": said.document.get("externalId"),
        "active": said.document.get("active"),
        "version": said.version,
        "created_at": moment(said.created_at),
        "modified_at": moment(said.modified_at),
        "deleted_at": moment(said.deleted_at),
        "held_end": None if end is None else {"action": end.action, "since": moment(end.since)},
    }


def person_steps(store: Store, user: User) -> list[str]:
    """Tell in sentences what a client says of a user's access; none for a user of another source."""
    said = store.scim_people.any_by_id(user.id)
    if user.managed_by is not Owner.SCIM:
        return []
    if said is None:
        return [f"scim: {user.provider} owns the user, and its client has not spoken of this person yet"]
    steps = []
    if said.deleted_at is not None:
        steps.append(
            f"scim: {said.provider} deleted the person at {moment(said.deleted_at)}; its client does not find the user "
            f"any more until it creates the person again, or: quaymaster scim restore {user.name}"
        )
    else:
        word = "active" if said.document.get("active") else "not active"
        changed = "last changed at" if said.version > 1 else "created at"
        steps.append(
            f"scim: {said.provider} says that {printable(said.document.get('userName', user.name))} is {word}; "
            f"{changed} {moment(said.modified_at)}"
        )
    if (end := _held(store, said)) is not None:
        steps.append(
            f"scim: {said.provider} has asked to {end.action} the user since {moment(end.since)}, and that waits for "
            f"an admin: quaymaster scim held {said.provider}"
        )
    if user.status is Status.DISABLED:
        steps.append("scim: an admin has disabled the user here, and that outlasts what the provider says")
    return steps


def _held(store: Store, said: ScimUser) -> HeldEnd | None:
    return next((end for end in store.scim_waiting.held(said.provider) if end.user_id == said.user_id), None)
