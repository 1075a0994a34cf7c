"""``quaymaster provider``: the directories and identity providers that users come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli import directories, values
from server.cli.checks.check import Check
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_json, emit_record, emit_rows, say
from server.cli.provider.answers import answers
from server.cli.provider.keep import changed_directory, keep, kept_row, new_directory
from server.cli.provider.options import CLEARED, Given, takes_settings
from server.cli.provider.roles import Name, map_role, unmap_role
from server.cli.provider.settings import LDAP_KIND, SSO_KIND
from server.cli.provider.setup import setup_view, tell_setup
from server.cli.provider.sign_in import check_sign_in
from server.cli.provider.sso import changed_identity_provider, keep_identity_provider, new_identity_provider
from server.cli.provider.sso_check import check_identity_provider
from server.cli.provider.views import columns_for, list_views, passes, shown_view, stage_lines, stage_view
from server.providers import Listed, ListedSso
from storage.database.changes import DeleteProvider
from storage.database.errors import Conflict

if TYPE_CHECKING:
    from auth_backends.ldap.check import Stage

app = typer.Typer(no_args_is_help=True, help="Directories and identity providers that users come from.")
add = typer.Typer(no_args_is_help=True, help="Add a provider, kept in the database; its secrets are encrypted.")
app.add_typer(add, name="add")

PasswordStdin = Annotated[
    bool,
    typer.Option(
        "--bind-password-stdin", help="Read the service account's password from the first line of standard input."
    ),
]
ClientSecretStdin = Annotated[
    bool,
    typer.Option(
        "--client-secret-stdin",
        help="Read the application's secret (OpenID Connect) from the first line of standard input.",
    ),
]
NoTest = Annotated[bool, typer.Option("--no-test", help="Keep the settings without testing them first.")]


@add.command("ldap")
@takes_settings(LDAP_KIND)
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
        emit_record(shown_view(site, site.listed(name)), as_json=as_json)


@add.command("sso")
@takes_settings(SSO_KIND)
def add_sso(
    name: Name,
    *,
    given: Given,
    secret_stdin: ClientSecretStdin = False,
    no_test: NoTest = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an identity provider, such as Entra ID or Okta; its SCIM client brings users and groups, and ends them.

    --method must be given. Users belong to the provider under its name, which cannot be changed later. Nobody comes
    before the client has a token: see quaymaster scim token issue, and quaymaster scim show.
    """
    with open_site(config) as site:
        made = new_identity_provider(site, name, given, from_stdin=secret_stdin)
        keep_identity_provider(site, name, made, test=not no_test)
        emit_record(shown_view(site, site.provider(name)), as_json=as_json)


@app.command("set", epilog=CLEARED)
@takes_settings(LDAP_KIND, SSO_KIND)
def set_(
    name: Name,
    *,
    given: Given,
    password_stdin: PasswordStdin = False,
    secret_stdin: ClientSecretStdin = False,
    no_test: NoTest = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change settings of a provider that is kept in the database; what is not named stays.

    Those of a directory are tested first: if a step of the test fails, the settings in use stay as they are. With
    --bind-password-stdin the service account's password is replaced.
    """
    with open_site(config) as site:
        if not given.settings and not password_stdin and not secret_stdin:
            raise Failure("Nothing to change was named.", then=f"see: quaymaster provider set {name} --help")
        match site.provider(name):
            case Listed():
                given.refuse_foreign(name, LDAP_KIND, also={"--client-secret-stdin": secret_stdin})
                provider = changed_directory(site, name, given, from_stdin=password_stdin, config=config)
                keep(site, name, provider, test=not no_test)
            case ListedSso():
                given.refuse_foreign(name, SSO_KIND, also={"--bind-password-stdin": password_stdin})
                changed = changed_identity_provider(site, name, given, from_stdin=secret_stdin, config=config)
                keep_identity_provider(site, name, changed, test=not no_test)
        emit_record(shown_view(site, site.provider(name)), as_json=as_json)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the providers; one of the TOML file stands for one of the database with the same name."""
    with open_site(config) as site:
        rows = list_views(site)
        empty = "There are no providers. Add one with: quaymaster provider add ldap, or add sso"
        emit_rows(rows, columns_for(rows), as_json=as_json, empty=empty)


@app.command()
def show(
    name: Name,
    *,
    setup: Annotated[
        bool, typer.Option("--setup", help="Say what to enter at an identity provider so that people can sign in.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a provider with its settings, users and roles, and how they come here; secrets are masked."""
    with open_site(config) as site:
        listed = site.provider(name)
        if not setup:
            emit_record(shown_view(site, listed), as_json=as_json)
        elif not isinstance(listed, ListedSso) or listed.provider is None:
            raise Failure(f"--setup does not go with {name!r}.", "it is no identity provider that could be used")
        elif as_json:
            emit_json(setup_view(site.settings, name, listed.provider))
        else:
            tell_setup(site.settings, name, listed.provider)


@app.command("test")
def check(
    name: Name,
    *,
    login: Annotated[
        str | None,
        typer.Option("--login", metavar="LOGIN", help="Also look up this person of a directory, with groups."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try everything that users of the provider need, step by step; exit code 1 if a step fails.

    A directory is asked, for which nobody's password is needed but the service account's. Of an identity provider its
    SCIM client's tokens are looked at, what it has sent and whom it brought; and it is asked for what it publishes:
    metadata, certificates and keys, and its clock.
    """
    with open_site(config) as site:
        stages = []
        for stage in _stages(site, name, login):
            stages.append(stage)
            for line in [] if as_json else stage_lines(stage):
                say(line)
        ok = all(passes(stage) for stage in stages)
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
    """Forget a provider that is kept in the database, with its roles and tokens; refused while users belong to it."""
    with open_site(config) as site:
        if site.store.providers.by_name(name) is None:
            kept_row(site, name, config)
        values.confirm(f"Remove the provider {name}?", yes=yes)
        try:
            site.apply(DeleteProvider(name, shadowed=name in {*site.settings.ldap, *site.settings.sso}))
        except Conflict as error:
            raise Failure(
                str(error),
                "without it nobody could check their passwords or end their access",
                "give them another way to sign in (quaymaster user set-method, user unlink) or delete them "
                f"(quaymaster user delete); all of them: quaymaster user list --provider {name}",
            ) from None
        emit_record({"removed": name}, as_json=as_json)


app.command("map-role")(map_role)
app.command("answers")(answers)
app.command("unmap-role")(unmap_role)


def _stages(site: Site, name: str, login: str | None) -> Iterator[Stage | Check]:
    match site.provider(name):
        case Listed():
            yield from directories.check(site.directory(name), login)
        case ListedSso() as listed:
            if login is not None:
                raise Failure(
                    f"--login does not go with {name!r}.",
                    "it is an identity provider, and nobody can be looked up there",
                    f"see what it has said of a person: quaymaster user show {login}",
                )
            yield from check_identity_provider(site.store, listed)
            if listed.provider is not None:
                yield from check_sign_in(listed.name, listed.provider, site.settings)
