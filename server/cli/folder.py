"""``quaymaster folder``: shared folders that grants mount into users' trees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.settings import Settings
from server.cli.context import ConfigOption, JsonOption, open_site
from server.cli.output import Failure, emit_record, emit_rows
from server.cli.values import QUOTA_HELP, size
from server.cli.views import folder_view
from storage.database.changes import CreateFolder, DeleteFolder

app = typer.Typer(no_args_is_help=True, help="Shared folders, mounted into users' trees by grants.")

Name = Annotated[str, typer.Argument(metavar="FOLDER", help="Name of the folder.")]


@app.command()
def add(
    name: Name,
    root: Annotated[Path, typer.Option("--root", metavar="PATH", help="Directory on this machine; it must exist.")],
    quota: Annotated[str | None, typer.Option("--quota", metavar="SIZE", help=QUOTA_HELP)] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a directory of this machine available as a shared folder; nobody sees it before a grant."""
    with open_site(config) as site:
        place = _checked_root(root, site.settings)
        site.apply(CreateFolder(name, backend="local", options={"root": str(place)}, quota_bytes=size(quota)))
        emit_record(folder_view(site.folder(name)), as_json=as_json)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the shared folders."""
    with open_site(config) as site:
        rows = [folder_view(folder) for folder in site.store.folders.list()]
        emit_rows(
            rows, ("name", "backend", "options", "quota_bytes"), as_json=as_json, empty="There are no shared folders."
        )


@app.command()
def delete(name: Name, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take a folder and its grants out of every tree at once; the files on disk stay."""
    with open_site(config) as site:
        folder = site.folder(name)
        applied = site.apply(DeleteFolder(folder.id))
        emit_record({"deleted": folder.name, "users_affected": len(applied.users)}, as_json=as_json)


def _checked_root(root: Path, settings: Settings) -> Path:
    """Give the real path; Failure if it is no directory, or would show the server's keys and database."""
    try:
        place = root.resolve(strict=True)
    except OSError as error:
        raise Failure(f"Cannot use {root}.", str(error.strerror), "create the directory first") from None
    if not place.is_dir():
        raise Failure(f"{root} is not a directory.")
    data = settings.data.resolve()
    if data.is_relative_to(place) or (place.is_relative_to(data) and not place.is_relative_to(data / "files")):
        raise Failure(
            f"{root} cannot be shared.",
            f"it would show the data folder {data}, which holds keys and the database",
            "choose a directory outside of it",
        )
    return place
