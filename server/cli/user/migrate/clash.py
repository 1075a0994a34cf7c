"""What stands in the way of a move: the person, or the person's name, is another user's; and how to solve it."""

from __future__ import annotations

from dataclasses import dataclass

from server.cli.context import Site
from server.cli.output import printable
from storage.database.records import Owner, User


@dataclass(frozen=True, slots=True)
class Clash:
    """Why a user cannot move, and what to do."""

    reason: str
    then: str


def id_clash(site: Site, to: str, user: User, external_id: str, holder_id: str) -> Clash:
    """Say whose the immutable id is. A user whom the client made in passing is told by how empty it is."""
    holder = site.store.users.by_id(holder_id)
    if holder is None:
        return Clash("this person of the provider was another user's a moment ago", "run it again")
    reason = f"this person of {to} is linked to the user {holder.name}"
    again = f"quaymaster user migrate {user.name} --to {to} --external-id {printable(external_id)}"
    if holder.managed_by is not Owner.SCIM or holder.provider != to:
        return Clash(
            reason, f"if that link is wrong, end it: quaymaster user unlink {holder.name} --provider {to}, then {again}"
        )
    has = belongings(site, holder)
    reason = f"{reason}, whom its client made; it has {', '.join(has) if has else 'nothing'}"
    delete = f"quaymaster user delete {holder.name}, then at once {again}"
    if not has:
        return Clash(reason, f"delete it, and {user.name} gets the person and the name: {delete}")
    return Clash(
        reason, f"decide which of the two the person keeps; for {user.name}, move over what {holder.name} has: {delete}"
    )


def name_clash(site: Site, to: str, name: str, holder_id: str) -> Clash:
    """Say whose the client's name for the person is."""
    holder = site.store.users.by_id(holder_id)
    whose = "a user's who is gone, and stays reserved" if holder is None else f"the user {holder.name}'s"
    return Clash(
        f"{to} calls the person {printable(name)}, and this name is {whose}",
        f"give the person another name there, and let {to} provision it again",
    )


def belongings(site: Site, user: User) -> list[str]:
    """Name what a user has that would be lost with it; none if it is empty."""
    keys = len(site.store.credentials.ssh_keys_of(user.id))
    apikeys = len(site.store.credentials.api_keys_of(user.id))
    grants = sum(grant.user_id == user.id for grant in site.store.folders.grants_for(user.id))
    counts = ((keys, "key"), (apikeys, "API key"), (grants, "grant of its own"))
    has = [f"{count} {word}" if count == 1 else f"{count} {_plural(word)}" for count, word in counts if count]
    home = site.settings.homes / user.home
    try:
        if home.is_dir() and any(home.iterdir()):
            has.append(f"files in {home}")
    except OSError as error:
        has.append(f"a home that cannot be looked into ({error.strerror})")
    return has


def _plural(word: str) -> str:
    return word.replace("grant", "grants") if word.startswith("grant") else f"{word}s"
