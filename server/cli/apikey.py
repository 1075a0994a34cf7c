"""``quaymaster apikey``: API keys, used in the place of a password."""

from __future__ import annotations

from typing import Annotated

import typer

from auth_backends.api_keys import issue as issue_key
from server.cli import values
from server.cli.context import ConfigOption, JsonOption, open_site
from server.cli.output import Failure, emit_json, emit_record, emit_rows, note, say
from server.cli.views import api_key_view
from storage.database.changes import AddApiKey, RevokeApiKey
from storage.files.errors import InvalidPath
from storage.files.path import VirtualPath

app = typer.Typer(no_args_is_help=True, help="API keys, used in the place of a password.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Login name.")]

COLUMNS = (
    "id",
    "user",
    "title",
    "protocols",
    "paths",
    "networks",
    "read_only",
    "expires_at",
    "last_used_at",
    "revoked_at",
)


@app.command()
def issue(
    name: Name,
    *,
    title: Annotated[str, typer.Option("--title", help="What the key is for.")] = "",
    protocols: Annotated[
        list[str] | None, typer.Option("--protocols", metavar="LIST", help=values.PROTOCOLS_HELP)
    ] = None,
    paths: Annotated[
        list[str] | None, typer.Option("--paths", metavar="LIST", help="Places it may reach: /in,/out. Default: all.")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Sessions of this key change nothing.")] = False,
    networks: Annotated[list[str] | None, typer.Option("--networks", metavar="LIST", help=values.NETWORKS_HELP)] = None,
    expires: Annotated[str | None, typer.Option("--expires", metavar="WHEN", help=values.EXPIRES_HELP)] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key and show it, once: only a digest of it is kept."""
    with open_site(config) as site:
        user = site.user(name)
        issued = issue_key()
        site.apply(
            AddApiKey(
                user_id=user.id,
                id=issued.id,
                digest=issued.digest,
                title=title,
                protocols=values.protocols(protocols),
                path_prefixes=_paths(paths),
                read_only=read_only,
                networks=values.networks(networks),
                expires_at=values.expiry(expires),
            )
        )
        if as_json:
            emit_json({"id": issued.id, "key": issued.token.reveal(), "user": user.name})
            return
        say(issued.token.reveal())
        note(f"This is the only time the key {issued.id} is shown. Use it as the password of {user.name}.")


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Login name; all users by default.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List API keys, also those that are revoked or expired; never the keys themselves."""
    with open_site(config) as site:
        users = [site.user(name)] if name else site.store.users.list()
        rows = [api_key_view(key, user.name) for user in users for key in site.store.credentials.api_keys_of(user.id)]
        emit_rows(rows, COLUMNS, as_json=as_json, empty="There are no API keys.")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As shown by: quaymaster apikey list")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an API key for good; sessions that came in with it are cut within a second."""
    with open_site(config) as site:
        site.apply(RevokeApiKey(key_id))
        key = site.store.credentials.api_key(key_id)
        user = site.store.users.by_id(key.user_id) if key else None
        if key is None or user is None:
            raise Failure(f"There is no API key {key_id!r}.", then="list the keys with: quaymaster apikey list")
        emit_record(api_key_view(key, user.name), as_json=as_json)


def _paths(texts: list[str] | None) -> tuple[str, ...]:
    try:
        return tuple(str(VirtualPath.parse(text)) for text in values.texts(texts))
    except InvalidPath as error:
        raise Failure("--paths holds something that is no path.", str(error)) from None
