"""Why a user cannot be enabled or disabled, and what helps: whose word counts is not always the admin's."""

from __future__ import annotations

from server.cli.output import Failure, moment
from storage.database.errors import Conflict
from storage.database.records import Owner, Status, User
from storage.database.store import Store

KEYS = "keys and API keys must not outlive a leaver, so who ended the person has the say"


def refused_status(store: Store, user: User, status: Status, error: Conflict) -> Failure:
    """Word a refusal of the store."""
    if status is not Status.ACTIVE or user.managed_by not in {Owner.SCIM, Owner.LDAP}:
        return Failure(str(error), then="nothing was changed")
    if user.managed_by is Owner.LDAP:
        return Failure(
            str(error), KEYS, f"enable the person in the directory, then: quaymaster sync run {user.provider}"
        )
    said = store.scim_people.any_by_id(user.id)
    if said is not None and said.deleted_at is not None:
        return Failure(
            f"{user.provider} deleted {user.name} at {moment(said.deleted_at)}.",
            KEYS,
            f"create or assign the person there again; if the client then makes a second user or fails: quaymaster "
            f"scim restore {user.name}",
        )
    when = "" if said is None else f", as of {moment(said.modified_at)}"
    return Failure(
        f"{user.provider} says that {user.name} is not active{when}.",
        KEYS,
        "enable and assign the person there; that comes with the next cycle, or at once by provisioning on demand. "
        f"See what comes: quaymaster scim log {user.provider} --user {user.name}",
    )
