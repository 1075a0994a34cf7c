"""``quaymaster user link``, ``unlink`` and ``adopt``: who a user is in a directory, and who owns the user."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli import values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.linking import link_user, link_view, tell_unverified, wanted_link
from server.cli.output import Failure, emit_record, warn
from server.cli.user_fields import ExternalId
from server.cli.views import View
from storage.database.changes import AdoptUser, UnlinkIdentity
from storage.database.records import Method, Owner, User

Name = Annotated[str, typer.Argument(metavar="NAME", help="Login name of the user.")]
ProviderName = Annotated[str, typer.Option("--provider", metavar="P", help="Name of the directory.")]


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
    """Hand a user of your own to a directory, which resolves a conflict of the sync.

    From then on the directory checks the password and owns name, e-mail, groups and status; a password kept here is
    deleted. Keys, API keys, home, grants, and groups given by hand stay.
    """
    with open_site(config) as site:
        user = site.user(name)
        wanted = wanted_link(site, provider, user.name, external_id, user)
        where = wanted.hint or wanted.external_id
        tell_unverified(wanted)
        values.confirm(f"Shall {provider} own the user {user.name} from now on, as {where}?", yes=yes)
        site.apply(AdoptUser(user.id, provider, Owner.LDAP, Method.LDAP, wanted.external_id, wanted.hint))
        site.store.syncs.settle_conflicts(provider, [], [wanted.external_id])
        _emit(site, site.user(name), as_json=as_json)


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
