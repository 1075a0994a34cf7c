"""The last good copy of what an identity provider says of itself, for all workers and for starts without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from storage.database.engine import Database
from storage.database.names import shown, storable
from storage.database.sso_tables import sso_kept


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """SAML metadata or an OpenID Connect discovery document, and the address that it came from.

    ``body`` is empty until there was a good one; ``problem`` says why the last try failed, if it did.
    """

    provider: str
    source: str
    body: str
    fetched_at: float | None
    tried_at: float
    problem: str = ""


class KeptDocuments:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, provider: str, source: str) -> KeptDocument | None:
        """Give what is kept of a provider, if it came from this address."""
        if not storable(provider):
            return None
        query = select(sso_kept).where(sso_kept.c.provider == provider, sso_kept.c.source == source)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _document_of(row)

    def put(self, provider: str, source: str, body: str, at: float) -> None:
        """Keep a good copy in place of the one before."""
        row = {"source": source, "body": body, "fetched_at": at, "tried_at": at, "problem": ""}
        with self._database.write() as connection:
            connection.execute(delete(sso_kept).where(sso_kept.c.provider == provider))
            connection.execute(insert(sso_kept), row | {"provider": provider})

    def failed(self, provider: str, source: str, problem: str, at: float) -> None:
        """Note that a try failed; the good copy of the same address stays."""
        mine = sso_kept.c.provider == provider
        told = {"tried_at": at, "problem": shown(problem)}
        with self._database.write() as connection:
            same = update(sso_kept).where(mine, sso_kept.c.source == source).values(**told)
            if connection.execute(same).rowcount == 0:
                connection.execute(delete(sso_kept).where(mine))
                connection.execute(insert(sso_kept), told | {"provider": provider, "source": source, "body": ""})


def _document_of(row: Row[Any]) -> KeptDocument:
    return KeptDocument(row.provider, row.source, row.body, row.fetched_at, row.tried_at, row.problem)
