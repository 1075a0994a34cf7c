"""Whose word counts of a user's access and role: that is not always the admin's, and what helps then."""

from __future__ import annotations

from server.cli.context import Site
from server.cli.output import Failure, moment, warn
from storage.database.errors import Conflict
from storage.database.moving import role_after
from storage.database.records import Owner, Role, Status, User
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
    handed = f"or hand the user over, and decide yourself: quaymaster user set-method {user.name} --method METHOD"
    said = store.scim_people.any_by_id(user.id)
    if said is not None and said.deleted_at is not None:
        return Failure(
            f"{user.provider} deleted {user.name} at {moment(said.deleted_at)}.",
            KEYS,
            f"create or assign the person there again; if the client then makes a second user or fails: quaymaster "
            f"scim restore {user.name}; {handed}",
        )
    when = "" if said is None else f", as of {moment(said.modified_at)}"
    return Failure(
        f"{user.provider} says that {user.name} is not active{when}.",
        KEYS,
        "enable and assign the person there; that comes with the next cycle, or at once by provisioning on demand. "
        f"See what comes: quaymaster scim log {user.provider} --user {user.name}; {handed}",
    )


def tell_kept_role(site: Site, before: User, after: User) -> None:
    """Warn of a role that a provider's group gave to a user whom nobody but an admin manages from now on."""
    was_managed = before.managed_by in {Owner.SCIM, Owner.LDAP} and after.managed_by is Owner.MANUAL
    if not was_managed or after.role is Role.USER:
        return
    if role_after(before, site.store.users.identities_of(before.id)).role is before.role:
        return
    warn(
        f"{after.name} keeps the role {after.role}, which a group of {before.provider} gave; leaving that group ends "
        f"it no more. Take it, if it shall not stay: quaymaster user set {after.name} --no-admin"
    )
