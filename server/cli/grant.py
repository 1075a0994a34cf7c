"""``quaymaster grant``: rights of users and groups at places of their trees."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_record, emit_rows
from server.cli.values import rights
from server.cli.views import View, grant_view
from storage.database.changes import DeleteGrant, PutGrant
from storage.database.records import Grant
from storage.files.errors import InvalidPath
from storage.files.path import VirtualPath
from storage.files.permissions import PRESETS, Right

app = typer.Typer(no_args_is_help=True, help="Rights of users and groups at places of their trees.")

UserOption = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Whom the grant is for.")]
GroupOption = Annotated[str | None, typer.Option("--group", metavar="NAME", help="The group the grant is for.")]
RightsList = list[str] | None


@app.command()
def add(
    *,
    path: Annotated[str, typer.Option("--path", metavar="PATH", help="Place in the user's tree, as /projects.")],
    user: UserOption = None,
    group: GroupOption = None,
    folder: Annotated[str | None, typer.Option("--folder", help="Shared folder to mount there.")] = None,
    preset: Annotated[str | None, typer.Option("--preset", help=f"One of: {', '.join(PRESETS)}.")] = None,
    allow: Annotated[RightsList, typer.Option("--allow", help=f"Rights to add: {', '.join(Right)}.")] = None,
    deny: Annotated[RightsList, typer.Option("--deny", help="Rights to take away; a denial wins.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give rights at a place; a grant for the same holder, place and folder is replaced."""
    with open_site(config) as site:
        allowed, denied = rights(preset, allow, deny)
        user_id, group_id = _holder(site, user, group)
        change = PutGrant(
            path=_place(path),
            allow=allowed,
            deny=denied,
            user_id=user_id,
            group_id=group_id,
            folder_id=site.folder(folder).id if folder else None,
        )
        applied = site.apply(change)
        (grant,) = (row for row in site.store.folders.grants() if row.id == applied.subject_id)
        emit_record(_view(site, grant), as_json=as_json)


@app.command("list")
def list_(
    user: UserOption = None,
    group: GroupOption = None,
    effective: Annotated[bool, typer.Option("--effective", help="With --user: also what the groups give.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the grants: all, or those of a user or a group."""
    with open_site(config) as site:
        if effective and user:
            grants = site.store.folders.grants_for(site.user(user).id)
        else:
            user_id = site.user(user).id if user else None
            group_id = site.group(group).id if group else None
            grants = site.store.folders.grants(user_id=user_id, group_id=group_id)
        rows = [_view(site, grant) for grant in grants]
        columns = ("id", "user", "group", "path", "folder", "allow", "deny")
        emit_rows(rows, columns, as_json=as_json, empty="There are no grants.")


@app.command()
def delete(
    grant_id: Annotated[str, typer.Argument(metavar="ID", help="As shown by: quaymaster grant list")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take rights back; live sessions are narrowed at once."""
    with open_site(config) as site:
        applied = site.apply(DeleteGrant(grant_id))
        emit_record({"deleted": grant_id, "users_affected": len(applied.users)}, as_json=as_json)


def _holder(site: Site, user: str | None, group: str | None) -> tuple[str | None, str | None]:
    if (user is None) == (group is None):
        raise Failure("A grant is for one user or one group.", then="give either --user or --group")
    return (site.user(user).id, None) if user else (None, site.group(group or "").id)


def _place(path: str) -> str:
    try:
        return str(VirtualPath.parse(path))
    except InvalidPath as error:
        raise Failure(f"{path!r} is no path.", str(error)) from None


def _view(site: Site, grant: Grant) -> View:
    user = site.store.users.by_id(grant.user_id) if grant.user_id else None
    group = site.store.groups.by_id(grant.group_id) if grant.group_id else None
    folder = site.store.folders.by_id(grant.folder_id) if grant.folder_id else None
    return grant_view(
        grant,
        user=user.name if user else None,
        group=group.name if group else None,
        folder=folder.name if folder else None,
    )
