"""``quaymaster user link``, ``unlink`` and ``adopt``: who a user is at a provider, and who owns the user."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli import values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.linking import link_user, link_view, tell_unverified, wanted_link
from server.cli.output import Failure, emit_record, note, printable, warn
from server.cli.scim.matches import LINK, doubt, matching
from server.cli.user.fields import ExternalId
from server.cli.views import View
from server.providers import ProviderBook
from storage.database.changes import AdoptUser, UnlinkIdentity
from storage.database.records import Method, Owner, User
from storage.database.scim_waiting import ScimConflict

Name = Annotated[str, typer.Argument(metavar="NAME", help="Login name of the user.")]
ProviderName = Annotated[str, typer.Option("--provider", metavar="P", help="Name of the provider.")]


def link(
    name: Name,
    *,
    provider: ProviderName,
    external_id: ExternalId = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who the user is in a directory, found by the login name there and kept by the immutable id.

    The way to sign in and the owner of the user stay as they are: see set-method and adopt.
    """
    with open_site(config) as site:
        user = site.user(name)
        wanted = wanted_link(site, provider, user.name, external_id, user)
        link_user(site, user, wanted)
        tell_unverified(wanted)
        _emit(site, site.user(name), as_json=as_json)


def unlink(name: Name, *, provider: ProviderName, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """End the link of a user to a directory; the user, keys, home and grants stay."""
    with open_site(config) as site:
        user = site.user(name)
        found = [one for one in site.store.users.identities_of(user.id) if one.provider == provider]
        if not found:
            raise Failure(f"{user.name} is not linked to {provider!r}.", then=f"see: quaymaster user show {user.name}")
        for identity in found:
            site.apply(UnlinkIdentity(user.id, provider, identity.external_id))
        if user.method is Method.LDAP and user.provider == provider:
            warn(f"{user.name} has the method ldap, and can sign in with a password only when linked again.")
        if user.managed_by is Owner.SCIM and user.provider == provider:
            warn(
                f"The client of {provider} goes on managing {user.name}, and makes the link anew with its next change. "
                f"Whom it has ended stays out. To take the user from it: quaymaster user set-method {user.name}"
            )
        _emit(site, site.user(name), as_json=as_json)


def adopt(
    name: Name,
    *,
    provider: ProviderName,
    external_id: ExternalId = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand a user of your own to a directory or an identity provider, which resolves a conflict with it.

    From then on the provider says how the user signs in and owns name, e-mail, groups and status; a password kept here
    is deleted. Keys, API keys, home, grants, and groups given by hand stay. With an identity provider the person is the
    one of the conflict (quaymaster scim conflicts) by the user's present name, or the one of --external-id.
    """
    with open_site(config) as site:
        user = site.user(name)
        identity_provider = ProviderBook(site.store, site.settings).sso(provider)
        if identity_provider is not None:
            _adopt_by_client(site, user, provider, Method(identity_provider.method.value), external_id, yes=yes)
            _emit(site, site.user(name), as_json=as_json)
            return
        wanted = wanted_link(site, provider, user.name, external_id, user)
        where = wanted.hint or wanted.external_id
        tell_unverified(wanted)
        values.confirm(f"Shall {provider} own the user {user.name} from now on, as {where}?", yes=yes)
        site.apply(AdoptUser(user.id, provider, Owner.LDAP, Method.LDAP, wanted.external_id, wanted.hint))
        site.store.syncs.settle_conflicts(provider, [], [wanted.external_id])
        _emit(site, site.user(name), as_json=as_json)


def _adopt_by_client(
    site: Site, user: User, provider: str, method: Method, external_id: str | None, *, yes: bool
) -> None:
    conflicts = [one for one in site.store.scim_waiting.conflicts_with(provider, user.id) if one.external_id]
    wanted = external_id or _only_match(site, user, provider, conflicts)
    values.confirm(f"Shall {provider} own the user {user.name} from now on, as {printable(wanted)}?", yes=yes)
    site.apply(AdoptUser(user.id, provider, Owner.SCIM, method, wanted))
    for one in conflicts:
        if one.external_id == wanted:
            site.store.scim_waiting.settle(provider, one.external_id, one.user_name)
    note(f"When {provider} creates the person again, it gets this user.")


def _only_match(site: Site, user: User, provider: str, conflicts: list[ScimConflict]) -> str:
    """Give the id of the one person who is this user: by a name of now, or by the link. Raises Failure."""
    linked = {link.external_id for link in site.store.users.identities_of(user.id) if link.provider == provider}
    by_link = [one for one in conflicts if one.held_as == LINK and one.external_id in linked]
    known = {one.external_id for one in [*matching(site.store, user, conflicts), *by_link]}
    if len(known) == 1:
        return known.pop()
    if known or not conflicts:
        why = f"its client has spoken of {len(known)} people by this name: {_listed(known) or 'nobody'}"
    else:
        why = f"{doubt(user, conflicts)}: {_listed({one.external_id for one in conflicts})}"
    raise Failure(
        f"It is not known who {user.name} is at {provider}.",
        why,
        "give the person's --external-id (the object id there), or let the provider try to create the person first",
    )


def _listed(ids: set[str]) -> str:
    return ", ".join(printable(one) for one in sorted(ids))


def _emit(site: Site, user: User, *, as_json: bool) -> None:
    record: View = {
        "id": user.id,
        "name": user.name,
        "method": user.method.value,
        "provider": user.provider,
        "managed_by": user.managed_by.value,
        "links": [link_view(identity) for identity in site.store.users.identities_of(user.id)],
    }
    emit_record(record, as_json=as_json)
