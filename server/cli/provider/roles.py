"""``quaymaster provider map-role`` and ``unmap-role``: groups of a provider whose members are admins here."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from server.cli import directories, values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_record, note, printable
from server.cli.provider import groups as provider_groups
from server.cli.views import View
from server.providers import Listed, ListedSso
from storage.database.changes import Applied, MapRole, UnmapRole
from storage.database.records import Role

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the provider.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
GroupId = Annotated[
    str | None,
    typer.Option("--group-id", metavar="ID", help="The group's immutable id; at an identity provider its externalId."),
]


class Mapped(StrEnum):
    """The roles that a group can give."""

    ADMIN = "admin"
    READ_ONLY_ADMIN = "read-only-admin"
    GROUP_ADMIN = "group-admin"


def map_role(
    name: Name,
    *,
    role: Annotated[Mapped, typer.Option("--role", help="What members of the group are here.")],
    group_id: GroupId = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="GROUP", help="The group's name there, if only one has it.")
    ] = None,
    yes: Yes = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a role to the members of one group of a provider; nested members of a directory's group count.

    The group is looked up and kept by its immutable id, so that another group can never take its place by its name.
    A directory's counts with the next run of the sync, that of an identity provider at once. A role that an admin
    gave by hand is left as it is.
    """
    with open_site(config) as site:
        if (group_id is None) == (group is None):
            raise Failure("Which group is meant?", then="give either --group-id or --group")
        found = _group(site, name, group_id, group)
        place = f", at {printable(found.dn)}" if found.dn else ""
        note(f"Group {printable(found.name)}, {found.members} members{place}, id {printable(found.external_id)}")
        values.confirm(f"Shall the members of {found.name} in {name} have the role {role} here?", yes=yes)
        applied = site.apply(MapRole(name, found.external_id, Role(role.value), found.name))
        record: View = {
            "provider": name,
            "group": found.name,
            "external_id": found.external_id,
            "dn": found.dn or None,
            "members": found.members,
            "role": role.value,
        }
        emit_record(record, as_json=as_json)
        _tell_when(site, name, applied)


def unmap_role(
    name: Name,
    *,
    group_id: Annotated[str, typer.Option("--group-id", metavar="ID", help="The group's immutable id.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take such a role back: with the next run of the sync, or at once if the group is an identity provider's."""
    with open_site(config) as site:
        site.provider(name)
        mapped = site.store.providers.roles(name)
        found = next((mapping for mapping in mapped if mapping.external_id == group_id.strip()), None)
        if found is None:
            known = ", ".join(f"{mapping.external_id} ({mapping.group_name})" for mapping in mapped)
            raise Failure(
                f"No group of {name} with the id {group_id!r} gives a role.",
                f"these do: {known}" if known else "none does",
                f"see: quaymaster provider show {name}",
            )
        applied = site.apply(UnmapRole(name, found.external_id))
        record: View = {
            "provider": name,
            "group": found.group_name,
            "external_id": found.external_id,
            "role": None,
            "role_before": found.role.value,
        }
        emit_record(record, as_json=as_json)
        _tell_when(site, name, applied)


def _group(site: Site, name: str, group_id: str | None, group: str | None) -> directories.Group:
    match site.provider(name):
        case Listed():
            provider = site.directory(name)
            wanted = None if group_id is None else directories.canonical_id(provider, group_id)
            return directories.group(name, provider, external_id=wanted, called=group)
        case ListedSso():
            if group_id is not None:
                return provider_groups.by_id(site.store, name, group_id.strip())
            return provider_groups.by_name(site.store, name, group or "")


def _tell_when(site: Site, name: str, applied: Applied) -> None:
    match site.provider(name):
        case Listed():
            note(f"It counts with the next run: quaymaster sync run {name}")
        case ListedSso():
            count = len(applied.users)
            note(f"It counts already: {'1 user has' if count == 1 else f'{count} users have'} another role now.")
