"""``quaymaster explain``: why can't she log in?"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from auth_backends.api import Factor, FrontEnd
from server.app import build_broker
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, cell, emit_json, say
from server.cli.scim.person import person_steps, person_view
from server.peers import peer_address
from storage.database.names import canonical_login
from storage.database.records import User
from storage.database.store import InvalidName

app = typer.Typer()


class Kind(StrEnum):
    """A kind of credential, as the command line names it."""

    PASSWORD = "password"  # noqa: S105 - a kind of credential, not a secret
    KEY = "key"
    KEY_AND_PASSWORD = "key+password"  # noqa: S105 - as above
    API_KEY = "apikey"
    SSO = "sso"


FACTORS = {
    Kind.PASSWORD: Factor.PASSWORD,
    Kind.KEY: Factor.PUBLIC_KEY,
    Kind.KEY_AND_PASSWORD: Factor.KEY_AND_PASSWORD,
    Kind.API_KEY: Factor.API_KEY,
    Kind.SSO: Factor.SSO,
}


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Login name, as the person types it.")],
    *,
    front_end: Annotated[FrontEnd, typer.Option("--front-end", help="The way in.")],
    credential: Annotated[Kind, typer.Option("--credential", help="What the person proves it with.")],
    peer: Annotated[
        str, typer.Option("--from", metavar="ADDRESS", help="The client's address; networks and limits count for it.")
    ] = "127.0.0.1",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would happen if somebody tried to sign in with a right credential, and why; no secret is tried.

    The answer is data: the exit code is 0 whether the person would be let in or not.
    """
    with open_site(config) as site:
        try:
            address = peer_address(peer)
        except ValueError:
            raise Failure(f"{peer!r} is no address.", then="--from takes one IPv4 or IPv6 address") from None
        explanation = build_broker(site.store, site.settings).explain(name, front_end, FACTORS[credential], address)
        user = _user(site, name)
        if as_json:
            emit_json(
                {
                    "allowed": explanation.allowed,
                    "reason": explanation.reason.value,
                    "steps": list(explanation.steps),
                    "user": name,
                    "front_end": front_end.value,
                    "credential": credential.value,
                    "from": str(address),
                    "scim": None if user is None else person_view(site.store, user),
                }
            )
            return
        say(f"{'ALLOWED' if explanation.allowed else 'REFUSED'}: {explanation.reason}")
        for step in [*explanation.steps, *([] if user is None else person_steps(site.store, user))]:
            say(f"  {cell(step)}")


def _user(site: Site, name: str) -> User | None:
    try:
        return site.store.users.by_login(canonical_login(name))
    except InvalidName:
        return None
