"""The options that describe a user, shared by ``user add`` and ``user set``."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli import values
from storage.database.changes import UNSET, UserFields
from storage.database.records import Role

Texts = list[str] | None

Provider = Annotated[
    str | None, typer.Option("--provider", metavar="P", help="Directory or identity provider of ldap, saml and oidc.")
]
ExternalId = Annotated[
    str | None,
    typer.Option(
        "--external-id", metavar="ID", help="The person's immutable id there; then the directory is not asked."
    ),
]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]
DisplayName = Annotated[str | None, typer.Option("--display-name", metavar="TEXT", help="Name for people.")]
Email = Annotated[str | None, typer.Option("--email", metavar="ADDRESS", help="E-mail address.")]
Quota = Annotated[str | None, typer.Option("--quota", metavar="SIZE", help=values.QUOTA_HELP)]
Expires = Annotated[str | None, typer.Option("--expires", metavar="WHEN", help=values.EXPIRES_HELP)]
Protocols = Annotated[Texts, typer.Option("--protocols", metavar="LIST", help=values.PROTOCOLS_HELP)]
Networks = Annotated[Texts, typer.Option("--networks", metavar="LIST", help=values.NETWORKS_HELP)]


def changed_fields(
    *,
    display_name: str | None,
    email: str | None,
    quota: str | None,
    expires: str | None,
    protocols: list[str] | None,
    networks: list[str] | None,
    admin: bool | None,
) -> UserFields:
    """Give the fields that were named; all others stay UNSET."""
    return UserFields(
        display_name=UNSET if display_name is None else display_name,
        email=UNSET if email is None else email,
        role=UNSET if admin is None else Role.ADMIN if admin else Role.USER,
        quota_bytes=UNSET if quota is None else values.size(quota),
        expires_at=UNSET if expires is None else values.expiry(expires),
        protocols=UNSET if protocols is None else values.protocols(values.unless_any(protocols)),
        networks=UNSET if networks is None else values.networks(values.unless_any(networks)),
    )
