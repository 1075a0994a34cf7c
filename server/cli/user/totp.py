"""``quaymaster user totp``: one-time codes that the portal asks for after the password."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import segno
import typer

from auth_backends.api import Secret
from auth_backends.totp import enrolment, enrolment_uri, new_secret
from server.cli import values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_record, note, warn
from server.providers import site_key_for
from storage.database.records import User
from storage.database.sealing import SiteKey
from storage.database.totp_changes import TOTP_METHODS, EnrolTotp, RemoveTotp

app = typer.Typer(no_args_is_help=True, help="One-time codes (TOTP) that the portal asks for after the password.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Login name.")]
TRIES = 3


@app.command()
def enrol(
    name: Name,
    *,
    code_stdin: Annotated[
        bool,
        typer.Option("--code-stdin", help="Read the first code from standard input, after the secret was printed."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="End the codes that are asked for now.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a new secret for an authenticator app, ask for a first code, and ask the user for codes from then on.

    Nothing counts before the first code is right. The secret is shown this once, and never again.
    """
    with open_site(config) as site:
        user = site.user(name)
        _check(user, replace=replace)
        if not code_stdin and not values.at_terminal():
            raise Failure("Nobody can be asked for a code.", "standard input is not a terminal", "use --code-stdin")
        key, secret = _site_key(site), new_secret()
        uri = enrolment_uri(secret, user.name)
        emit_record({"user": user.name, "uri": uri.reveal(), "secret": secret.reveal()}, as_json=as_json)
        if values.at_terminal() and not as_json:
            note("Scan this with the app:")
            segno.make(uri.reveal(), micro=False).terminal(sys.stderr, compact=True)
        sys.stdout.flush()  # a script reads the secret before it can give a code
        site.apply(_asked(user, secret, key, from_stdin=code_stdin))
        note(f"{user.name} is asked for a code at the portal from now on.")
        if not site.settings.auth.password_without_totp and not user.break_glass:
            note("The password alone is no way in on SFTP, FTPS and WebDAV any more; keys and API keys are.")


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a user for no codes any more, as when the phone is lost; the password alone is a way in again."""
    with open_site(config) as site:
        user = site.user(name)
        question = f"Let {user.name} in without a code?"
        if not yes and values.at_terminal() and not typer.confirm(question, err=True):
            raise Failure("Nothing was changed.")
        done = site.apply(RemoveTotp(user.id))
        emit_record({"user": user.name, "totp_enrolled": False, "changed": done.changed}, as_json=as_json)
        if user.break_glass:
            tell_break_glass(user)


def tell_break_glass(user: User) -> None:
    """Warn of an emergency account that cannot come in, since it has no codes."""
    warn(f"{user.name} cannot sign in anywhere without one-time codes. Next: quaymaster user totp enrol {user.name}")


def _check(user: User, *, replace: bool) -> None:
    if user.method not in TOTP_METHODS:
        raise Failure(
            f"{user.name} is never asked for a one-time code.",
            f"codes follow a password at the portal, and a user of method {user.method} has none there",
        )
    if user.totp_enrolled and not replace:
        raise Failure(
            f"{user.name} is asked for codes already.",
            "a new secret would end those of the present app",
            "say --replace if that is meant",
        )


def _asked(user: User, secret: Secret, key: SiteKey, *, from_stdin: bool) -> EnrolTotp:
    """Ask for a code until it is right, and give the change. Raises Failure, and then nothing was changed."""
    for _ in range(1 if from_stdin else TRIES):
        typed = sys.stdin.readline() if from_stdin else str(typer.prompt("First code of the app", err=True))
        change = enrolment(user, secret, Secret(typed), key, time.time())
        if change is not None:
            return change
        note("That is not the present code.")
    raise Failure(
        "No code was right, and nothing was changed.",
        "the app must have this secret, and the clocks of this machine and of the phone must agree",
        "take the entry out of the app, and begin anew",
    )


def _site_key(site: Site) -> SiteKey:
    """Give the key that secrets of this site are sealed under; made only where nothing was sealed yet."""
    return site_key_for(site.store.providers.list(), site.settings, site.store.totp.every_sealed())
