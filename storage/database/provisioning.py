"""What a source's word makes of a user: pure, so that the change and its preview cannot differ."""

from __future__ import annotations

from dataclasses import dataclass, replace

from storage.database.change_types import Provision
from storage.database.errors import Conflict, InvalidName
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
    that an admin gave is left, too.
    """
    refuse_foreign(user, change)
    new = replace(
        user,
        name=canonical_name(change.name),
        display_name=change.display_name,
        email=change.email,
        expires_at=change.expires_at,
        status=status_after(user.status, active=change.active),
    )
    new, role = _with_role(new, identity.role, change.role)
    return Provisioned(new, replace(identity, hint=change.hint, active=change.active, role=role))


def status_after(present: Status, *, active: bool) -> Status:
    """Give the status after a source's word: an admin's own ``disabled`` outlasts it."""
    if not active:
        return Status.DEPROVISIONED if present is Status.ACTIVE else present
    return Status.ACTIVE if present is Status.DEPROVISIONED else present


def refuse_foreign(user: User, change: Provision) -> None:
    """Raise Conflict unless the user belongs to the source that speaks."""
    if user.managed_by is not change.owner or user.provider != change.provider or user.method is not change.method:
        raise Conflict(f"The user {user.name!r} is managed by {user.managed_by}, method {user.method}.")


def _with_role(user: User, given: Role | None, wanted: Role | None) -> tuple[User, Role | None]:
    """Follow the source's role where the present one is the source's own, or there is none yet."""
    if wanted is given:
        return user, given
    if user.role is not (given or Role.USER):  # an admin's word
        return user, None
    return replace(user, role=wanted or Role.USER), wanted


def nameable(name: str) -> str | None:
    """Say why this cannot be a login name, or None."""
    try:
        canonical_name(name)
    except InvalidName as error:
        return error.message
    return None
