"""Finding a group among those that the SCIM client of an identity provider has brought."""

from __future__ import annotations

from server.cli.directories import Group
from server.cli.output import Failure
from storage.database.names import shown
from storage.database.scim import ScimGroup
from storage.database.store import Store


def by_id(store: Store, provider: str, external_id: str) -> Group:
    """Find the group of this externalId, or of this id of ours where the client gave none. Raises Failure."""
    found = store.scim_groups.by_external_id(provider, external_id)
    if len(found) == 1:
        return _group(store, found[0])
    own = store.scim_groups.by_id(provider, external_id)
    if own is None:
        raise _unknown(store, provider, f"with the id {external_id!r}")
    if own.external_id:
        raise Failure(
            f"{external_id!r} is our id of the group {own.display_name!r}, and the client has one of its own.",
            "roles hang on the client's id, which stays the same if it makes the group anew",
            f"give --group-id {own.external_id}",
        )
    return _group(store, own)


def by_name(store: Store, provider: str, name: str) -> Group:
    """Find the one group of this displayName, in whatever case. Raises Failure."""
    found = store.scim_groups.by_display_name(provider, name)
    if found is None:
        raise _unknown(store, provider, f"called {name!r}")
    return _group(store, found)


def _group(store: Store, group: ScimGroup) -> Group:
    members = len(store.scim_groups.members(group.group_id))
    return Group(group.external_id or group.group_id, "", shown(group.display_name), str(members))


def _unknown(store: Store, provider: str, what: str) -> Failure:
    count = store.scim_groups.count(provider)
    brought = "1 group" if count == 1 else f"{count} groups"
    return Failure(
        f"The client of {provider} has brought no group {what}.",
        f"it has brought {brought}; a role can only be given to one that is here",
        f"assign the group to the application there, and wait for its next cycle; what came: quaymaster scim log "
        f"{provider} --writes",
    )
