"""Finding out who a user is in a directory, and linking the two by the immutable id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.cli import directories
from server.cli.context import Site
from server.cli.output import Failure, moment, warn
from server.cli.views import View
from storage.database.changes import LinkIdentity, UnlinkIdentity
from storage.database.errors import StoreError
from storage.database.records import Identity, Method, User
from storage.database.sync_log import SyncConflict


@dataclass(frozen=True, slots=True)
class Link:
    """Whom a user is to be linked to. ``verified`` if the directory itself has shown this entry."""

    provider: str
    external_id: str
    hint: str = ""
    verified: bool = True


def link_view(identity: Identity) -> View:
    """Show a link of a user to a provider; ``active`` is what the provider says of the person."""
    return {
        "provider": identity.provider,
        "external_id": identity.external_id,
        "hint": identity.hint,
        "active": identity.active,
        "linked_at": moment(identity.linked_at),
    }


def directory_of(site: Site, provider: str | None) -> str | None:
    """Give the directory that an ldap user belongs to; None at a site that has none at all. Raises Failure."""
    if provider is not None:
        return site.listed(provider).name
    known = site.directories()
    if not known:
        warn("There is no provider, so nobody can check the password yet. Next: quaymaster provider add ldap")
        return None
    names = ", ".join(listed.name for listed in known)
    raise Failure(
        "--method ldap needs --provider.", f"only a directory can check the password; known are: {names}", "name it"
    )


def wanted_link(site: Site, provider: str, login: str, external_id: str | None, user: User | None = None) -> Link:
    """Find whom to link: by the login name at the directory, or by the id that was given.

    Raises Failure if the directory does not know exactly one such person, or the person is linked to another user.
    """
    settings = site.directory(provider)
    if external_id is None:
        person = directories.person(provider, settings, login)
        link = Link(provider, person.external_id, person.dn)
    else:
        wanted = directories.canonical_id(settings, external_id)
        conflict = _conflict(site, provider, wanted)
        link = Link(provider, wanted, conflict.hint if conflict else "", verified=conflict is not None)
    holder = site.store.users.by_identity(provider, link.external_id)
    if holder is not None and (user is None or holder.id != user.id):
        raise Failure(
            f"This person of {provider} is linked to the user {holder.name!r} already.",
            f"the id there is {link.external_id}",
            f"look at that user: quaymaster user show {holder.name}",
        )
    return link


def link_user(site: Site, user: User, link: Link) -> bool:
    """Link a user, who must not be linked to anybody else there; whether this is new. Raises Failure."""
    present = site.store.users.identity(user.id, link.provider)
    if present is not None and present.external_id != link.external_id:
        raise Failure(
            f"{user.name} is linked to another person of {link.provider} already.",
            f"the id there is {present.external_id}{f', at {present.hint}' if present.hint else ''}",
            f"if that is wrong, end it first: quaymaster user unlink {user.name} --provider {link.provider}",
        )
    return site.apply(LinkIdentity(user.id, link.provider, link.external_id, link.hint)).changed


def tell_unverified(link: Link) -> None:
    """Say that an id was taken as it was given."""
    if not link.verified:
        warn(f"The id {link.external_id} was not verified: {link.provider} was not asked. A wrong one lets nobody in.")


def needed_link(
    site: Site, method: Method, provider: str | None, login: str, *, external_id: str | None, user: User | None = None
) -> Link | None:
    """Give the link that a user of this method needs; None if it needs none, or the site has no directory."""
    if method is not Method.LDAP or (directory := directory_of(site, provider)) is None:
        return None
    return wanted_link(site, directory, login, external_id, user)


@contextmanager
def linked(site: Site, user: User, method: Method, provider: str | None, external_id: str | None) -> Iterator[None]:
    """Make the link that the method needs before a change; a link that is new goes again if the change fails."""
    wanted = None
    if method is Method.LDAP and (directory := directory_of(site, provider)) is not None:
        present = site.store.users.identity(user.id, directory)
        if present is None or external_id is not None:
            wanted = wanted_link(site, directory, user.name, external_id, user)
    is_new = wanted is not None and link_user(site, user, wanted)
    try:
        yield
    except StoreError:
        if wanted is not None and is_new:
            site.apply(UnlinkIdentity(user.id, wanted.provider, wanted.external_id))
        raise
    if wanted is not None:
        tell_unverified(wanted)


def _conflict(site: Site, provider: str, external_id: str) -> SyncConflict | None:
    """Give the conflict in which a run of the sync has seen this entry, if there is one."""
    found = site.store.syncs.conflicts(provider)
    return next((conflict for conflict in found if conflict.external_id == external_id), None)
