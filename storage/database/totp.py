"""The secrets of one-time codes, sealed, and which codes were used."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select, update

from storage.database.engine import Database
from storage.database.tables import totp_secrets


@dataclass(frozen=True, slots=True)
class TotpSecret:
    """A user's shared secret as it is kept. ``last_step`` is the time step of the last code that was accepted."""

    user_id: str
    sealed: str = field(repr=False)
    last_step: int
    enrolled_at: float


class TotpSecrets:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, user_id: str) -> TotpSecret | None:
        """Give the user's secret, or None where none is enrolled."""
        query = select(totp_secrets).where(totp_secrets.c.user_id == user_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else TotpSecret(row.user_id, row.sealed, row.last_step, row.enrolled_at)

    def take(self, secret: TotpSecret, step: int) -> bool:
        """Use up the code of a time step; True for one caller on all workers, and for no step before it any more.

        False also when the secret was replaced or removed since it was read.
        """
        mine = (totp_secrets.c.user_id == secret.user_id, totp_secrets.c.sealed == secret.sealed)
        taken = update(totp_secrets).where(*mine, totp_secrets.c.last_step < step).values(last_step=step)
        with self._database.write() as connection:
            return connection.execute(taken).rowcount == 1

    def every_sealed(self) -> list[str]:
        """Give all secrets as they are kept: they tell under which site key."""
        with self._database.read() as connection:
            return list(connection.execute(select(totp_secrets.c.sealed)).scalars())
