"""What a source's word makes of a user: pure, so that the change and its preview cannot differ."""

from __future__ import annotations

from dataclasses import dataclass, replace

from storage.database.change_types import Provision
from storage.database.errors import Conflict
from storage.database.names import canonical_name
from storage.database.records import Identity, Role, Status, User


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The user and the link as they shall be."""

    user: User
    identity: Identity


def provisioned(user: User, identity: Identity, change: Provision) -> Provisioned:
    """Apply what the source owns; everything else of the user stays. Raises Conflict for a user of another source.

    A status that an admin set (disabled) is left; one that a source set (deprovisioned) follows the source. A role
    that an admin said is left, too, and so is an expiry, unless the source's is earlier.
    """
    refuse_foreign(user, change)
    new = replace(
        user,
        name=canonical_name(change.name),
        display_name=change.display_name,
        email=change.email,
        expires_at=_expiry(user.expires_at, identity.expires_at, change.expires_at),
        status=status_after(user.status, active=change.active),
    )
    told = replace(identity, hint=change.hint, active=change.active, expires_at=change.expires_at)
    return with_role(new, told, change.role)


def status_after(present: Status, *, active: bool) -> Status:
    """Give the status after a source's word: an admin's own ``disabled`` outlasts it."""
    if not active:
        return Status.DEPROVISIONED if present is Status.ACTIVE else present
    return Status.ACTIVE if present is Status.DEPROVISIONED else present


def refuse_foreign(user: User, change: Provision) -> None:
    """Raise Conflict unless the user belongs to the source that speaks."""
    if user.managed_by is not change.owner or user.provider != change.provider or user.method is not change.method:
        raise Conflict(f"The user {user.name!r} is managed by {user.managed_by}, method {user.method}.")


def _expiry(present: float | None, said: float | None, wanted: float | None) -> float | None:
    """Follow the source where the present expiry is its own; an admin's stays, unless the source's is earlier."""
    if present == said:
        return wanted
    return min((at for at in (present, wanted) if at is not None), default=None)


def with_role(user: User, link: Identity, wanted: Role | None) -> Provisioned:
    """Follow the source's role until an admin says another one."""
    if wanted is link.role:
        return Provisioned(user, link)
    overruled = link.role_overruled or user.role is not (link.role or Role.USER)
    said = replace(link, role=wanted, role_overruled=overruled)
    return Provisioned(user if overruled else replace(user, role=wanted or Role.USER), said)
