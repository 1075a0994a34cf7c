"""``quaymaster provider map-role`` and ``unmap-role``: groups of a directory whose members are admins here."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from server.cli import directories, values
from server.cli.context import ConfigOption, JsonOption, open_site
from server.cli.output import Failure, emit_record, note, printable
from storage.database.changes import MapRole, UnmapRole
from storage.database.records import Role

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the provider.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
GroupId = Annotated[str | None, typer.Option("--group-id", metavar="ID", help="The group's immutable id.")]


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
    """Give a role to the members of one group of the directory; nested members count.

    The group is looked up and kept by its immutable id, so that another group can never take its place by its name.
    It counts with the next run of the sync. A role that an admin gave by hand is left as it is.
    """
    with open_site(config) as site:
        if (group_id is None) == (group is None):
            raise Failure("Which group is meant?", then="give either --group-id or --group")
        provider = site.directory(name)
        wanted = None if group_id is None else directories.canonical_id(provider, group_id)
        found = directories.group(name, provider, external_id=wanted, called=group)
        note(
            f"Group {printable(found.name)}, {found.members} members, at {printable(found.dn)}, id {found.external_id}"
        )
        values.confirm(f"Shall the members of {found.name} in {name} have the role {role} here?", yes=yes)
        site.apply(MapRole(name, found.external_id, Role(role.value), found.name))
        record = {
            "provider": name,
            "group": found.name,
            "external_id": found.external_id,
            "dn": found.dn,
            "members": found.members,
            "role": role.value,
        }
        emit_record(record, as_json=as_json)
        note(f"It counts with the next run: quaymaster sync run {name}")


def unmap_role(
    name: Name,
    *,
    group_id: Annotated[str, typer.Option("--group-id", metavar="ID", help="The group's immutable id.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take such a role back; who had it by the group loses it with the next run of the sync."""
    with open_site(config) as site:
        site.listed(name)
        mapped = site.store.providers.roles(name)
        found = next((mapping for mapping in mapped if mapping.external_id == group_id.strip()), None)
        if found is None:
            known = ", ".join(f"{mapping.external_id} ({mapping.group_name})" for mapping in mapped)
            raise Failure(
                f"No group of {name} with the id {group_id!r} gives a role.",
                f"these do: {known}" if known else "none does",
                f"see: quaymaster provider show {name}",
            )
        site.apply(UnmapRole(name, found.external_id))
        record = {
            "provider": name,
            "group": found.group_name,
            "external_id": found.external_id,
            "role": None,
            "role_before": found.role.value,
        }
        emit_record(record, as_json=as_json)
        note(f"It counts with the next run: quaymaster sync run {name}")
