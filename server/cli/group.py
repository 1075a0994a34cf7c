"""``quaymaster group``: named sets of users."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.context import ConfigOption, JsonOption, open_site
from server.cli.output import emit_record, emit_rows
from server.cli.views import group_view
from storage.database.changes import AddMember, CreateGroup, DeleteGroup, RemoveMember
from storage.database.records import Owner

app = typer.Typer(no_args_is_help=True, help="Named sets of users.")

Name = Annotated[str, typer.Argument(metavar="GROUP", help="Name of the group.")]
Member = Annotated[str, typer.Argument(metavar="USER", help="Login name of the user.")]


@app.command()
def add(name: Name, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Create an empty group."""
    with open_site(config) as site:
        site.apply(CreateGroup(name))
        emit_record(group_view(site.group(name)), as_json=as_json)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the groups."""
    with open_site(config) as site:
        rows = [
            {**group_view(group), "members": len(site.store.groups.members(group.id))}
            for group in site.store.groups.list()
        ]
        emit_rows(rows, ("name", "members", "managed_by", "created_at"), as_json=as_json, empty="There are no groups.")


@app.command()
def show(name: Name, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a group and who is in it; ``owner`` is the source that put the user there."""
    with open_site(config) as site:
        group = site.group(name)
        members = [
            {"name": user.name, "owner": owner.value, "status": user.status.value}
            for user, owner in site.store.groups.members(group.id)
        ]
        emit_record({**group_view(group), "members": members}, as_json=as_json)


@app.command()
def delete(name: Name, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Delete a group with its grants; live sessions of its members are narrowed at once."""
    with open_site(config) as site:
        group = site.group(name)
        applied = site.apply(DeleteGroup(group.id))
        emit_record({"deleted": group.name, "users_affected": len(applied.users)}, as_json=as_json)


@app.command("add-member")
def add_member(name: Name, user: Member, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Put a user into a group by hand; a directory never takes this membership away."""
    with open_site(config) as site:
        group, member = site.group(name), site.user(user)
        site.apply(AddMember(member.id, group.id, Owner.MANUAL))
        emit_record({"group": group.name, "user": member.name, "member": True}, as_json=as_json)


@app.command("remove-member")
def remove_member(name: Name, user: Member, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """End the membership given by hand; one that a directory gives stays until the directory ends it."""
    with open_site(config) as site:
        group, member = site.group(name), site.user(user)
        site.apply(RemoveMember(member.id, group.id, Owner.MANUAL))
        left = [owner for other, owner in site.store.groups.members(group.id) if other.id == member.id]
        emit_record(
            {"group": group.name, "user": member.name, "member": bool(left), "owners": [o.value for o in left]},
            as_json=as_json,
        )
