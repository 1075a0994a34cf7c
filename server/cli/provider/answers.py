"""``quaymaster provider answers``: why sign-ins at an identity provider were refused, and what test sign-ins showed."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.context import ConfigOption, JsonOption, open_site
from server.cli.output import Failure, emit_record, emit_rows, moment, say
from server.cli.views import View
from storage.database.sso_answers import SsoAnswer

COLUMNS = ("id", "at", "purpose", "outcome", "reason", "detail", "subject", "peer")


def answers(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The provider.")],
    *,
    number: Annotated[
        int | None, typer.Option("--id", metavar="NUMBER", help="One answer, with its checks and what came.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="So many of the newest.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show refused sign-ins and test sign-ins of the last 30 days; the number is on the page that the person saw.

    Signatures, certificates and codes are left out of what is kept.
    """
    with open_site(config) as site:
        site.provider(name)
        if number is None:
            rows = [_view(one) for one in site.store.sso_answers.list(name, limit)]
            emit_rows(rows, COLUMNS, as_json=as_json, empty="No sign-in was refused or tested.")
            return
        found = site.store.sso_answers.by_id(number)
        if found is None or found.provider != name:
            raise Failure(
                f"There is no answer {number} of {name}.", then=f"list them with: quaymaster provider answers {name}"
            )
        if as_json:
            emit_record({**_view(found), "checks": list(found.checks), "body": found.body}, as_json=True)
            return
        emit_record(_view(found), as_json=False)
        for check in found.checks:
            say(f"{'ok  ' if check['passed'] else 'FAIL'} {check['name']} {check['detail']}".rstrip())
        for claim, values in sorted(found.claims.items()):
            say(f"{claim}: {', '.join(values)}")
        if found.body:
            say(found.body)


def _view(answer: SsoAnswer) -> View:
    return {
        "id": answer.id,
        "at": moment(answer.at),
        "purpose": answer.purpose,
        "outcome": answer.outcome,
        "reason": answer.reason,
        "detail": answer.detail,
        "subject": answer.subject,
        "peer": answer.peer,
        "claims": {name: list(values) for name, values in answer.claims.items()},
    }
