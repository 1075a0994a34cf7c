"""``quaymaster provider``: the directories that users come from."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli import directories, values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_json, emit_record, emit_rows, say
from server.cli.provider_keep import changed_directory, keep, kept_row, new_directory
from server.cli.provider_options import CLEARED, Given, takes_settings
from server.cli.provider_roles import Name, map_role, unmap_role
from server.cli.provider_views import (
    COLUMNS,
    last_run,
    list_view,
    role_view,
    settings_view,
    stage_lines,
    stage_view,
    users_by_provider,
)
from server.cli.sync_views import run_view
from server.cli.views import View
from server.providers import Listed, Origin
from storage.database.changes import DeleteProvider
from storage.database.errors import Conflict

app = typer.Typer(no_args_is_help=True, help="Directories that users come from, and that check their passwords.")
add = typer.Typer(no_args_is_help=True, help="Add a provider, kept in the database; its secrets are encrypted.")
app.add_typer(add, name="add")

PasswordStdin = Annotated[
    bool,
    typer.Option(
        "--bind-password-stdin", help="Read the service account's password from the first line of standard input."
    ),
]
NoTest = Annotated[bool, typer.Option("--no-test", help="Keep the settings without testing them first.")]


@add.command("ldap")
@takes_settings
def add_ldap(
    name: Name,
    *,
    given: Given,
    password_stdin: PasswordStdin = False,
    no_test: NoTest = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an LDAP directory, after testing it; if a step of the test fails, nothing is kept.

    --host, --vendor, --base-dn and --bind-user must be given. At a terminal the service account's password is asked
    for; in a script use --bind-password-stdin. Users come with the first run of the sync.
    """
    with open_site(config) as site:
        provider = new_directory(site, name, given, from_stdin=password_stdin)
        keep(site, name, provider, test=not no_test)
        emit_record(_shown(site, site.listed(name)), as_json=as_json)


@app.command("set", epilog=CLEARED)
@takes_settings
def set_(
    name: Name,
    *,
    given: Given,
    password_stdin: PasswordStdin = False,
    no_test: NoTest = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change settings of a provider that is kept in the database, after testing them; what is not named stays.

    If a step of the test fails, the settings in use stay as they are. With --bind-password-stdin the service account's
    password is replaced.
    """
    with open_site(config) as site:
        if not given.settings and not password_stdin:
            raise Failure("Nothing to change was named.", then=f"see: quaymaster provider set {name} --help")
        provider = changed_directory(site, name, given, from_stdin=password_stdin, config=config)
        keep(site, name, provider, test=not no_test)
        emit_record(_shown(site, site.listed(name)), as_json=as_json)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the providers; one of the TOML file stands for one of the database with the same name."""
    with open_site(config) as site:
        users = users_by_provider(site)
        rows = [list_view(listed, users[listed.name], last_run(site, listed.name)) for listed in site.directories()]
        empty = "There are no providers. Add one with: quaymaster provider add ldap"
        emit_rows(rows, COLUMNS, as_json=as_json, empty=empty)


@app.command()
def show(name: Name, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a provider with its settings, users, roles and the last run of its sync; secrets are masked."""
    with open_site(config) as site:
        emit_record(_shown(site, site.listed(name)), as_json=as_json)


@app.command("test")
def check(
    name: Name,
    *,
    login: Annotated[
        str | None, typer.Option("--login", metavar="LOGIN", help="Also look up this person, with groups.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try everything that signing in and the sync need, step by step; exit code 1 if a step fails.

    Nobody's password is needed but the service account's.
    """
    with open_site(config) as site:
        stages = []
        for stage in directories.check(site.directory(name), login):
            stages.append(stage)
            for line in [] if as_json else stage_lines(stage):
                say(line)
        ok = all(stage.ok for stage in stages)
        if as_json:
            emit_json({"provider": name, "ok": ok, "stages": [stage_view(stage) for stage in stages]})
        if not ok:
            raise typer.Exit(1)


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed in a script.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget a provider that is kept in the database, with its roles; refused while users belong to it."""
    with open_site(config) as site:
        if site.store.providers.by_name(name) is None:
            kept_row(site, name, config)
        values.confirm(f"Remove the provider {name}?", yes=yes)
        try:
            site.apply(DeleteProvider(name, shadowed=name in site.settings.ldap))
        except Conflict as error:
            raise Failure(
                str(error),
                "without it nobody could check their passwords or end their access",
                "give them another way to sign in (quaymaster user set-method, user unlink) or delete them "
                f"(quaymaster user delete); all of them: quaymaster user list --provider {name}",
            ) from None
        emit_record({"removed": name}, as_json=as_json)


app.command("map-role")(map_role)
app.command("unmap-role")(unmap_role)


def _shown(site: Site, listed: Listed) -> View:
    last = last_run(site, listed.name)
    row = site.store.providers.by_name(listed.name)
    hidden = listed.origin is Origin.FILE and row is not None
    settings = {} if listed.provider is None else settings_view(listed.provider)
    return {
        "name": listed.name,
        "kind": "ldap",
        "origin": listed.origin.value,
        "problem": "the database has a provider of this name too, and the file's counts" if hidden else listed.problem,
        "users": users_by_provider(site)[listed.name],
        **settings,
        "roles": [role_view(mapping) for mapping in site.store.providers.roles(listed.name)],
        "last_run": None if last is None else run_view(last),
    }
