"""Changes of one-time codes: the secret's row and the user's flag, always together."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, update

from storage.database.appliers.effect import Effect, user_named
from storage.database.errors import InvalidChange
from storage.database.tables import totp_secrets, users
from storage.database.totp_changes import TOTP_METHODS, EnrolTotp, RemoveTotp, TotpChange


def apply_totp_change(tx: Connection, change: TotpChange, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    if isinstance(change, EnrolTotp):
        return _enrol(tx, change, now)
    return _remove(tx, change)


def _enrol(tx: Connection, change: EnrolTotp, now: float) -> Effect:
    user = user_named(tx, change.user_id)
    if user.method not in TOTP_METHODS:
        raise InvalidChange(f"A user of method {user.method} is never asked for a one-time code.")
    if not change.sealed or change.last_step < 0:
        raise InvalidChange("A secret of one-time codes is sealed, and its last time step is known.")
    again = tx.execute(delete(totp_secrets).where(totp_secrets.c.user_id == user.id)).rowcount > 0
    row = {"user_id": user.id, "sealed": change.sealed, "last_step": change.last_step, "enrolled_at": now}
    tx.execute(insert(totp_secrets), row)
    tx.execute(update(users).where(users.c.id == user.id).values(totp_enrolled=True))
    return Effect("totp.enrolled", user.name, user.id, (user.id,), detail={"replaced": again})


def _remove(tx: Connection, change: RemoveTotp) -> Effect:
    user = user_named(tx, change.user_id)
    had = tx.execute(delete(totp_secrets).where(totp_secrets.c.user_id == user.id)).rowcount > 0
    if not had and not user.totp_enrolled:
        return Effect("totp.removed", user.name, user.id, changed=False)
    tx.execute(update(users).where(users.c.id == user.id).values(totp_enrolled=False))
    return Effect("totp.removed", user.name, user.id, (user.id,))
