"""A user as a row: the one place where a user's values are checked, and the rule of the last admin."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from storage.database.appliers import checks
from storage.database.errors import Conflict
from storage.database.records import Status, User
from storage.database.tables import users


def user_row(user: User) -> dict[str, object]:
    """Check a user as a whole and give the columns; the one place where a user's values are checked."""
    checks.user(user)
    return {
        "id": user.id,
        "name": user.name,
        "method": user.method.value,
        "status": user.status.value,
        "epoch": user.epoch,
        "home": user.home,
        "display_name": checks.text(user.display_name, "A display name"),
        "email": checks.text(user.email, "An e-mail address", limit=320),
        "provider": None if user.provider is None else checks.text(user.provider, "A provider's name", required=True),
        "role": user.role.value,
        "break_glass": user.break_glass,
        "managed_by": user.managed_by.value,
        "expires_at": checks.moment(user.expires_at),
        "quota_bytes": checks.size(user.quota_bytes, "A quota"),
        "protocols": checks.protocols(user.protocols),
        "networks": checks.networks(user.networks),
        "totp_enrolled": user.totp_enrolled,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def keep_last_admin(tx: Connection, old: User, new: User | None) -> None:
    """Refuse to end the last active break-glass admin, but never keep a leaver of SCIM or LDAP for that.

    The transaction holds the lock of changes, so that two cannot both find the other one.
    """
    if not _is_last_resort(old) or (new is not None and _is_last_resort(new)):
        return
    if old.managed_by in checks.DIRECTORY_OWNERS:
        return
    others = select(func.count()).where(
        users.c.break_glass, users.c.status == Status.ACTIVE.value, users.c.id != old.id
    )
    if tx.execute(others).scalar_one() == 0:
        raise Conflict("This is the last active break-glass admin; make another one first.")


def _is_last_resort(user: User) -> bool:
    return user.break_glass and user.status is Status.ACTIVE
