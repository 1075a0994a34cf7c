"""``quaymaster scim token``: the credentials with which SCIM clients come in; each is shown once."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from auth_backends.scim_clients import issue as issue_secret
from server.cli import values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_json, emit_record, emit_rows, moment, note, say, warn
from server.cli.scim.views import TOKEN_COLUMNS, AnyName, Name, token_view
from storage.database.scim_changes import AddScimToken, ExtendScimToken, RevokeScimToken
from storage.database.scim_tokens import ScimToken

app = typer.Typer(no_args_is_help=True, help="Credentials of SCIM clients; each belongs to one identity provider.")

YEAR, WEEK = "1y", "7d"


class TokenKind(StrEnum):
    """How a client sends the token."""

    BEARER = "bearer"
    BASIC = "basic"


Id = Annotated[str, typer.Argument(metavar="ID", help="As shown by: quaymaster scim token list")]
Expires = Annotated[str, typer.Option("--expires", metavar="WHEN", help=f"{values.EXPIRES_HELP} Default: {YEAR}.")]
Title = Annotated[str, typer.Option("--title", metavar="TEXT", help="What the token is for.")]
Kind = Annotated[
    TokenKind | None,
    typer.Option("--kind", help="How the client sends it. Default: as the token in use, else bearer."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed in a script.")]


@app.command()
def issue(
    name: Name,
    *,
    kind: Annotated[TokenKind, typer.Option("--kind", help="How the client sends it.")] = TokenKind.BEARER,
    expires: Expires = YEAR,
    title: Title = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token and show it, once: only a digest of it is kept. The provider's other tokens stay as they are."""
    with open_site(config) as site:
        site.sso(name)
        _issue(site, name, kind, _end(expires), title, as_json=as_json)


@app.command()
def rotate(
    name: Name,
    *,
    overlap: Annotated[
        str,
        typer.Option("--overlap", metavar="TIME", help=f"How long the others live on. {values.INTERVAL_HELP}"),
    ] = WEEK,
    kind: Kind = None,
    expires: Expires = YEAR,
    title: Title = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new token; the provider's others end after the overlap, by default a week, or when they would anyway.

    Put the new one into the identity provider meanwhile: provisioning goes on without a gap.
    """
    with open_site(config) as site:
        site.sso(name)
        span = values.interval(overlap, "--overlap")
        if not span:
            raise Failure(
                "An overlap of nothing would end the other tokens at once.",
                "provisioning would stand still until the new token is in the identity provider",
                f"give a time such as 1h; or, if that is meant: quaymaster scim token reset {name}",
            )
        now = time.time()
        others = _live(site, name, now)
        _issue(site, name, kind or _kind_of(others), _end(expires), title, as_json=as_json, others_until=now + span)
        if others:
            count = "The other token ends" if len(others) == 1 else f"The {len(others)} other tokens end"
            note(f"{count} on {moment(now + span)} at the latest.")


@app.command()
def reset(
    name: Name,
    *,
    yes: Yes = False,
    kind: Kind = None,
    expires: Expires = YEAR,
    title: Title = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new token and end all others of the provider at once, as after a leak."""
    with open_site(config) as site:
        site.sso(name)
        others = _live(site, name, time.time())
        count = "1 live token" if len(others) == 1 else f"{len(others)} live tokens"
        values.confirm(f"End {count} of {name} at once? Its client is let in again with the new one only.", yes=yes)
        _issue(site, name, kind or _kind_of(others), _end(expires), title, as_json=as_json, others_until=0.0)
        note(f"{count} ended. Put the new one into the identity provider now: until then no leaver is ended.")


@app.command()
def extend(token_id: Id, *, expires: Expires = YEAR, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let a token end at another time, counted from now; the token itself stays the same."""
    with open_site(config) as site:
        before = _token(site, token_id)
        site.apply(ExtendScimToken(before.id, _end(expires)))
        emit_record(token_view(_token(site, token_id), time.time()), as_json=as_json)
        if before.expires_at <= time.time():
            warn(f"The token {before.id} had ended on {moment(before.expires_at)}, and lets its client in again.")


@app.command()
def revoke(token_id: Id, *, yes: Yes = False, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """End a token for good and at once."""
    with open_site(config) as site:
        token = _token(site, token_id)
        values.confirm(f"End the token {token.id} of {token.provider} for good?", yes=yes)
        site.apply(RevokeScimToken(token.id))
        now = time.time()
        emit_record(token_view(_token(site, token_id), now), as_json=as_json)
        if not _live(site, token.provider, now):
            warn(
                f"{token.provider} has no live token now, so no leaver is ended. "
                f"Next: quaymaster scim token issue {token.provider}"
            )


@app.command("list")
def list_(name: AnyName = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List tokens, also those that are revoked or expired; never the tokens themselves."""
    with open_site(config) as site:
        now = time.time()
        tokens = site.store.scim_tokens.list(name)
        if name is not None and not tokens:
            site.identity_provider(name)
        rows = [token_view(token, now) for token in tokens]
        emit_rows(rows, TOKEN_COLUMNS, as_json=as_json, empty="There are no tokens.")


def _issue(
    site: Site,
    name: str,
    kind: TokenKind,
    expires_at: float,
    title: str,
    *,
    as_json: bool,
    others_until: float | None = None,
) -> None:
    issued = issue_secret()
    site.apply(AddScimToken(name, issued.id, kind.value, issued.digest, expires_at, title, others_until))
    user_name = issued.id if kind is TokenKind.BASIC else None
    if as_json:
        emit_json(
            {
                "id": issued.id,
                "provider": name,
                "kind": kind.value,
                "user_name": user_name,
                "token": issued.token.reveal(),
                "expires_at": moment(expires_at),
            }
        )
        return
    if user_name is None:
        say(issued.token.reveal())
        note(f"This is the only time the token {issued.id} is shown. It ends on {moment(expires_at)}.")
    else:
        say(f"user name  {user_name}")
        say(f"password   {issued.token.reveal()}")
        note(f"This is the only time the password is shown. It ends on {moment(expires_at)}.")
    note(f"Where to enter it: quaymaster scim show {name}")


def _end(expires: str) -> float:
    at = values.expiry(expires)
    if at is None:
        raise Failure(
            "A SCIM token must end some day.",
            "whoever finds it could make users here, and nobody would miss it",
            f"give a time such as {YEAR}; extend it or rotate it before it ends",
        )
    return at


def _live(site: Site, name: str, now: float) -> list[ScimToken]:
    return [token for token in site.store.scim_tokens.list(name) if token.is_live(now)]


def _kind_of(live: list[ScimToken]) -> TokenKind:
    """Give the kind that the client is set to."""
    if not live:
        return TokenKind.BEARER
    return TokenKind(max(live, key=lambda token: (token.last_used_at or 0.0, token.created_at)).kind)


def _token(site: Site, token_id: str) -> ScimToken:
    found = site.store.scim_tokens.by_id(token_id)
    if found is None:
        raise Failure(
            "There is no SCIM token of this id.",
            "the id is public and has 32 characters; a token itself is never typed on a command line",
            "list them with: quaymaster scim token list",
        )
    return found
