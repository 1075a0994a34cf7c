"""The circuit breaker of SCIM clients: how many people one may put out within a day without an admin's word."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select

from storage.database.errors import Held
from storage.database.records import Owner, Status
from storage.database.scim_changes import EndLimit
from storage.database.scim_tables import scim_users
from storage.database.tables import users

DAY_S = 86_400.0
_ENDED = (
    select(func.count())
    .select_from(scim_users)
    .join(users, users.c.id == scim_users.c.user_id)
    .where(
        scim_users.c.provider == bindparam("provider"),
        scim_users.c.ended_at > bindparam("since"),
        scim_users.c.ended_approved.is_(False),
        users.c.status != Status.ACTIVE.value,  # an admin may have let somebody in again
    )
)
_ACTIVE = (
    select(func.count())
    .select_from(users)
    .where(
        users.c.provider == bindparam("provider"),
        users.c.managed_by == Owner.SCIM.value,
        users.c.status == Status.ACTIVE.value,
    )
)


def refuse_burst(tx: Connection, provider: str, limit: EndLimit, now: float, user_id: str) -> None:
    """Raise Held if one more end is more than may be; the transaction holds the lock of changes, so nobody races."""
    ended = tx.execute(_ENDED, {"provider": provider, "since": now - DAY_S}).scalar_one()
    if ended < limit.count:
        return
    active = tx.execute(_ACTIVE, {"provider": provider}).scalar_one()
    allowed = max(limit.count, (active + ended) * limit.percent // 100)
    if ended >= allowed:
        raise Held(
            f"{ended} users of {provider} lost access within a day, and without an admin's word at most {allowed} may. "
            f"Next: quaymaster scim held {provider}",
            user_id,
        )
