"""What identity providers answered: refused sign-ins and test sign-ins, for admins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, delete, insert, select

from storage.database.engine import Database
from storage.database.names import shown, storable
from storage.database.sso_tables import sso_answers

MAX_BODY = 64 * 1024
MAX_DETAIL = 2000
MAX_KEPT = 1000
"""Answers of one provider that are kept, 64 MiB at most; strangers can send as many as they like."""


@dataclass(frozen=True, slots=True)
class SsoAnswer:
    """One answer of a provider. ``body`` is redacted; ``claims`` are the values that were received."""

    provider: str
    purpose: str
    outcome: str
    reason: str
    detail: str
    peer: str
    at: float
    subject: str = ""
    checks: Sequence[Mapping[str, object]] = ()
    claims: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: str = ""
    id: int = 0


class SsoAnswers:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, answer: SsoAnswer) -> int:
        """Keep an answer and give its number; the oldest of a provider that has too many go."""
        row = {
            "at": answer.at,
            "provider": answer.provider,
            "purpose": answer.purpose,
            "outcome": answer.outcome,
            "reason": answer.reason,
            "detail": shown(answer.detail, MAX_DETAIL),
            "peer": shown(answer.peer),
            "subject": shown(answer.subject),
            "checks": [{name: _storable(value) for name, value in check.items()} for check in answer.checks],
            "claims": {shown(name): [shown(value) for value in values] for name, values in answer.claims.items()},
            "body": "\n".join(shown(line, MAX_BODY) for line in answer.body[:MAX_BODY].split("\n")),
        }
        mine = sso_answers.c.provider == answer.provider
        newest = select(sso_answers.c.id).where(mine).order_by(sso_answers.c.id.desc()).offset(MAX_KEPT).limit(1)
        with self._database.write() as connection:
            number = connection.execute(insert(sso_answers).returning(sso_answers.c.id), row).scalar_one()
            connection.execute(delete(sso_answers).where(mine, sso_answers.c.id <= newest.scalar_subquery()))
        return int(number)

    def by_id(self, id: int) -> SsoAnswer | None:  # noqa: A002 - the column's name
        """Give the answer of this number, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(sso_answers).where(sso_answers.c.id == id)).one_or_none()
        return None if row is None else _answer_of(row)

    def list(self, provider: str, limit: int) -> list[SsoAnswer]:
        """Give the last answers of a provider, the newest first."""
        if not storable(provider):
            return []
        query = select(sso_answers).where(sso_answers.c.provider == provider).order_by(sso_answers.c.id.desc())
        with self._database.read() as connection:
            return [_answer_of(row) for row in connection.execute(query.limit(limit))]

    def prune(self, before: float) -> int:
        """Forget answers older than this; the number is given."""
        with self._database.write() as connection:
            return connection.execute(delete(sso_answers).where(sso_answers.c.at < before)).rowcount


def _storable(value: object) -> object:
    return shown(value) if isinstance(value, str) else value


def _answer_of(row: Row[Any]) -> SsoAnswer:
    return SsoAnswer(
        provider=row.provider,
        purpose=row.purpose,
        outcome=row.outcome,
        reason=row.reason,
        detail=row.detail,
        peer=row.peer,
        at=row.at,
        subject=row.subject,
        checks=row.checks,
        claims=row.claims,
        body=row.body,
        id=row.id,
    )
