"""``quaymaster scim``: the clients of identity providers, that bring users and groups here and end them."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.context import ConfigOption, JsonOption, open_site
from server.cli.output import cell, emit_json, note, say, warn
from server.cli.provider.views import client_view
from server.cli.scim import token as scim_token
from server.cli.scim.guide import ENTRA, OKTA, Urls, urls
from server.cli.scim.log import log
from server.cli.scim.replay import replay_check
from server.cli.scim.views import Name
from server.cli.scim.waiting import approve, conflicts, dismiss, held, restore
from server.cli.views import View

app = typer.Typer(no_args_is_help=True, help="SCIM clients of identity providers: Entra ID, Okta and others.")


@app.command()
def show(
    name: Name,
    *,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="How the identity provider reaches this site: https://HOST[:PORT]"),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what to enter at the identity provider, step by step for Entra ID and Okta; no token is ever shown."""
    with open_site(config) as site:
        method = site.sso(name).method
        found = urls(name, url, site.settings.http.port)
        record: View = {
            "provider": name,
            "method": method.value,
            "tenant_url": found.tenant,
            "provider_url": found.provider,
            "url_is_a_guess": found.is_guess,
            "authentication": {
                "bearer": "the token, sent as: Authorization: Bearer TOKEN",
                "basic": "the token's id as the user name, and the token as the password",
            },
            "entra": [text.format(**_words(name, found)) for text in ENTRA],
            "okta": [text.format(**_words(name, found)) for text in OKTA],
            **client_view(site, name),
        }
        if as_json:
            emit_json(record)
        else:
            _tell(record)
        if found.is_guess:
            note("Put the name in by which the identity provider reaches this site: --url https://files.example.org")
        if not site.settings.http.enabled:
            warn("The HTTPS front end is off (http.enabled), so no SCIM client can reach this site.")
        if not record["live_tokens"]:
            note(f"There is no live token yet. Next: quaymaster scim token issue {name}")


def _words(name: str, found: Urls) -> dict[str, str]:
    return {"name": name, "tenant": found.tenant}


def _tell(record: View) -> None:
    say(f"Tenant URL           {record['tenant_url']}")
    say(f"the same, spelt out  {record['provider_url']}  (lets this provider's tokens in and no others)")
    say("Authentication       a bearer token; or Basic, with the token's id as the user name, where a client needs it")
    for title, steps in (("Entra ID", record["entra"]), ("Okta", record["okta"])):
        say("")
        say(title)
        for number, step in enumerate(steps if isinstance(steps, list) else [], 1):
            say(f"  {number}. {step}")
    say("")
    for field in ("live_tokens", "last_request_at", "scim_users", "scim_groups", "held_ends", "conflicts"):
        say(f"{field.replace('_', ' '):<20} {cell(record[field])}")


app.add_typer(scim_token.app, name="token")
app.command("log")(log)
app.command("held")(held)
app.command("approve")(approve)
app.command("dismiss")(dismiss)
app.command("conflicts")(conflicts)
app.command("restore")(restore)
app.command("replay-check")(replay_check)
