"""``quaymaster user``: people and service accounts."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from server.cli import values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.linking import link_view, linked, needed_link, tell_unverified
from server.cli.output import Failure, emit_record, emit_rows, note, warn
from server.cli.passwords import hashed_password, password_rule
from server.cli.scim.person import person_view
from server.cli.user.fields import (
    DisplayName,
    Email,
    Expires,
    ExternalId,
    Networks,
    PasswordStdin,
    Protocols,
    Provider,
    Quota,
    changed_fields,
)
from server.cli.user.links import adopt, link, unlink
from server.cli.user.migrate.commands import register as add_migration
from server.cli.user.status import refused_status, tell_kept_role
from server.cli.user.totp import app as totp
from server.cli.user.totp import tell_break_glass
from server.cli.views import View, api_key_view, grant_view, ssh_key_view, user_view
from storage.database.changes import (
    CreateUser,
    DeleteUser,
    RenameUser,
    SetMethod,
    SetPassword,
    SetStatus,
    UpdateUser,
)
from storage.database.errors import Conflict
from storage.database.records import Method, Role, Status, User

app = typer.Typer(no_args_is_help=True, help="People and service accounts.")
app.command("link")(link)
app.command("unlink")(unlink)
app.command("adopt")(adopt)
app.add_typer(totp, name="totp")
add_migration(app)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Login name.")]
MethodOption = Annotated[Method, typer.Option("--method", help="How the user proves who they are.")]

COLUMNS = ("name", "method", "provider", "status", "role", "expires_at", "display_name")


@app.command()
def add(
    name: Name,
    *,
    method: MethodOption,
    provider: Provider = None,
    external_id: ExternalId = None,
    password_stdin: PasswordStdin = False,
    admin: Annotated[bool, typer.Option("--admin", help="May administer the server.")] = False,
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="The local admin of last resort; portal only. Implies --admin.")
    ] = False,
    display_name: DisplayName = None,
    email: Email = None,
    quota: Quota = None,
    expires: Expires = None,
    protocols: Protocols = None,
    networks: Networks = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a user. At a terminal the password of a local user is asked for; in a script use --password-stdin.

    An ldap user is looked up in the directory by the login name and linked by the immutable id. The sync leaves such a
    user alone; to hand one to the directory as a whole, see adopt.
    """
    with open_site(config) as site:
        _check_method(method, provider, external_id, break_glass=break_glass)
        change = CreateUser(
            name=name,
            method=method,
            provider=provider,
            display_name=display_name or "",
            email=email or "",
            role=Role.ADMIN if admin or break_glass else Role.USER,
            break_glass=break_glass,
            quota_bytes=values.size(quota),
            protocols=values.protocols(protocols),
            networks=values.networks(networks),
            expires_at=values.expiry(expires),
            password_hash=hashed_password(site.settings, method, from_stdin=password_stdin),
        )
        link = needed_link(site, method, provider, name, external_id=external_id)
        if link is not None:
            change = replace(change, external_id=link.external_id, hint=link.hint)
        site.apply(change)
        user = site.user(name)
        if link is not None:
            tell_unverified(link)
        _emit(site, user, as_json=as_json)
        _next_step(user, has_password=change.password_hash is not None)


@app.command("list")
def list_(
    *,
    group: Annotated[str | None, typer.Option("--group", help="Only members of this group.")] = None,
    method: Annotated[Method | None, typer.Option("--method", help="Only users of this method.")] = None,
    status: Annotated[Status | None, typer.Option("--status", help="Only users in this status.")] = None,
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="P", help="Only users who belong to this provider, or are linked there."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the users."""
    with open_site(config) as site:
        group_id = site.group(group).id if group else None
        found = site.store.users.list(group=group_id, method=method, status=status, provider=provider)
        rows = [user_view(user) for user in found]
        emit_rows(rows, COLUMNS, as_json=as_json, empty="There are no users. Add one with: quaymaster user add")


@app.command()
def show(name: Name, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a user with groups, keys, API keys and grants, and what a SCIM client says of the person."""
    with open_site(config) as site:
        user = site.user(name)
        record = {
            **user_view(user),
            "has_password": site.store.credentials.password_hash(user.id) is not None,
            "aliases": site.store.users.aliases_of(user.id),
            "links": [link_view(identity) for identity in site.store.users.identities_of(user.id)],
            "groups": [group.name for group in site.store.users.groups_of(user.id)],
            "keys": [ssh_key_view(key, user.name) for key in site.store.credentials.ssh_keys_of(user.id)],
            "apikeys": [api_key_view(key, user.name) for key in site.store.credentials.api_keys_of(user.id)],
            "grants": _grants(site, user),
            "scim": person_view(site.store, user),
        }
        emit_record(record, as_json=as_json)


@app.command("set")
def set_(
    name: Name,
    *,
    admin: Annotated[bool | None, typer.Option("--admin/--no-admin", help="May administer the server.")] = None,
    display_name: DisplayName = None,
    email: Email = None,
    quota: Quota = None,
    expires: Expires = None,
    protocols: Protocols = None,
    networks: Networks = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change facts of a user; what is not named stays. --protocols and --networks take 'any' to lift the limit."""
    with open_site(config) as site:
        user = site.user(name)
        fields = changed_fields(
            display_name=display_name,
            email=email,
            quota=quota,
            expires=expires,
            protocols=protocols,
            networks=networks,
            admin=admin,
        )
        site.apply(UpdateUser(user.id, fields))
        _emit(site, site.user(name), as_json=as_json)


@app.command()
def disable(name: Name, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let the user in no more, and cut every live session within a second; that outlasts what a provider says."""
    _set_status(name, Status.DISABLED, config=config, as_json=as_json)


@app.command()
def enable(name: Name, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let the user in again; whoever a provider has ended is enabled there."""
    _set_status(name, Status.ACTIVE, config=config, as_json=as_json)


@app.command("set-method")
def set_method(
    name: Name,
    *,
    method: MethodOption,
    provider: Provider = None,
    external_id: ExternalId = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change how a user proves who they are; keys, home and grants stay, and live sessions are checked again.

    A user who becomes an ldap user is linked to the directory as by link. Of a user whom a provider manages, the role
    and the memberships that it gave stay.
    """
    with open_site(config) as site:
        user = site.user(name)
        _check_method(method, provider, external_id, break_glass=user.break_glass)
        with linked(site, user, method, provider, external_id):
            site.apply(SetMethod(user.id, method, provider))
        after = site.user(name)
        _emit(site, after, as_json=as_json)
        tell_kept_role(site, user, after)


@app.command()
def rename(
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="The login name from now on.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a user another login name; keys, home and grants stay, and the old name stays reserved."""
    with open_site(config) as site:
        site.apply(RenameUser(site.user(name).id, new_name))
        _emit(site, site.user(new_name), as_json=as_json)


@app.command()
def passwd(
    name: Name, password_stdin: PasswordStdin = False, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Set the password of a local user."""
    with open_site(config) as site:
        user = site.user(name)
        if reason := password_rule(user.method):
            raise Failure(f"{user.name} cannot have a password here.", reason)
        password_hash = hashed_password(site.settings, user.method, from_stdin=password_stdin)
        if password_hash is None:
            raise Failure("No password was given.", "standard input is not a terminal", "use --password-stdin")
        site.apply(SetPassword(user.id, password_hash))
        _emit(site, site.user(name), as_json=as_json)


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a user with keys, API keys and grants. The home folder's files stay on disk."""
    with open_site(config) as site:
        user = site.user(name)
        if not yes and values.at_terminal() and not typer.confirm(f"Delete {user.name}?", err=True):
            raise Failure("Nothing was deleted.")
        site.apply(DeleteUser(user.id))
        emit_record({"deleted": user.name, "id": user.id, "home_kept": user.home}, as_json=as_json)


def _set_status(name: str, status: Status, *, config: ConfigOption, as_json: bool) -> None:
    with open_site(config) as site:
        user = site.user(name)
        try:
            site.apply(SetStatus(user.id, status))
        except Conflict as error:
            raise refused_status(site.store, user, status, error) from None
        _emit(site, site.user(name), as_json=as_json)


def _emit(site: Site, user: User, *, as_json: bool) -> None:
    emit_record({**user_view(user), "groups": [g.name for g in site.store.users.groups_of(user.id)]}, as_json=as_json)


def _grants(site: Site, user: User) -> list[View]:
    groups = {group.id: group.name for group in site.store.groups.list()}
    folders = {folder.id: folder.name for folder in site.store.folders.list()}
    return [
        grant_view(
            grant,
            user=user.name if grant.user_id else None,
            group=groups.get(grant.group_id or ""),
            folder=folders.get(grant.folder_id or ""),
        )
        for grant in site.store.folders.grants_for(user.id)
    ]


def _check_method(method: Method, provider: str | None, external_id: str | None, *, break_glass: bool) -> None:
    if external_id and (method is not Method.LDAP or not provider):
        raise Failure(
            "--external-id goes with --method ldap and --provider only.",
            "it is the immutable id of an entry of one directory",
            "leave it away, or name the directory",
        )
    if provider and method in {Method.LOCAL, Method.LOCAL_KEY, Method.NONE}:
        raise Failure(
            f"--provider does not go with --method {method}.",
            "only ldap, saml and oidc users belong to a provider",
            "leave --provider away, or choose one of these methods",
        )
    if break_glass and method is not Method.LOCAL:
        raise Failure(
            "A break-glass admin must be local.",
            "the account is for the day when directory and identity provider cannot be reached",
            "use --method local",
        )


def _next_step(user: User, *, has_password: bool) -> None:
    if user.method.is_sso or user.method is Method.NONE:
        note(f"{user.name} connects with a key. Next: quaymaster key add {user.name} FILE.pub, or apikey issue")
    elif user.method is Method.LOCAL_KEY:
        note(f"{user.name} needs a key besides the password. Next: quaymaster key add {user.name} FILE.pub")
    if password_rule(user.method) is None and not has_password:
        warn(f"{user.name} has no password yet. Set one with: quaymaster user passwd {user.name}")
    if user.break_glass:
        tell_break_glass(user)
