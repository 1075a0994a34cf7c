"""Checks of whom a SCIM client has brought: whether they can be found again, and whose groups give roles."""

from __future__ import annotations

from dataclasses import dataclass

from server.cli.checks.check import Check, ok, warn
from server.http.scim.nicknames import looks_like_nickname
from storage.database.store import Store


@dataclass(slots=True)
class _Seen:
    users: int = 0
    without_id: int = 0
    nicknames: int = 0
    example: str = ""


def check_people(store: Store, provider: str) -> list[Check]:
    """Every person has an external id, and it is one that never changes. Reads every user of the client."""
    seen = _Seen()
    for person in store.scim_people.everybody(provider):
        seen.users += 1
        external_id, user_name = str(person.document.get("externalId", "")), str(person.document.get("userName", ""))
        if not external_id:
            seen.without_id += 1
        elif looks_like_nickname(person.document):
            seen.nicknames += 1
            seen.example = seen.example or f"{external_id!r} of {user_name!r}"
    return [_ids(seen), _without(seen)]


def check_roles(store: Store, provider: str) -> Check:
    """Every group that gives a role is one that the client has brought."""
    mapped = store.providers.roles(provider)
    unknown = [mapping for mapping in mapped if not _is_known(store, provider, mapping.external_id)]
    if unknown:
        names = ", ".join(f"{mapping.group_name} ({mapping.external_id})" for mapping in unknown)
        return warn(
            "roles",
            f"the client has brought no such group, so nobody has its role: {names}",
            f"assign the group at the identity provider, or: quaymaster provider unmap-role {provider} --group-id ID",
        )
    return ok("roles", f"{len(mapped)} of the client's groups give one" if mapped else "none of its groups gives one")


def _is_known(store: Store, provider: str, external_id: str) -> bool:
    if store.scim_groups.by_external_id(provider, external_id):
        return True
    own = store.scim_groups.by_id(provider, external_id)
    return own is not None and not own.external_id


def _ids(seen: _Seen) -> Check:
    if not seen.nicknames:
        return ok("external ids", f"{seen.users} users, none with an id that looks like a login name")
    return warn(
        "external ids",
        f"{seen.nicknames} of {seen.users} look like login names (mailNickname), which change: {seen.example}",
        "in Entra ID map externalId to objectId before the first sync; a later change leaves the users unlinked, "
        "until each is provisioned again",
    )


def _without(seen: _Seen) -> Check:
    if not seen.without_id:
        return ok("users without an id", "none")
    return warn(
        "users without an id",
        f"{seen.without_id} of {seen.users} have no externalId, so nobody can tell who they are when they sign in "
        "by SSO or come again",
        "map externalId to the immutable id at the identity provider (Entra ID: objectId), and provision them again",
    )
