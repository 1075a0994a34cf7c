"""What a move to an identity provider makes of a user: pure, so that the change and its preview cannot differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from storage.database.provisioning import with_role
from storage.database.records import Identity, Method, Owner, Role, Status, User
from storage.database.scim_changes import PersonFacts

MOVABLE = frozenset({Owner.LDAP, Owner.MANUAL})


@dataclass(frozen=True, slots=True)
class RoleAfter:
    """The role that a user keeps; ``overruled`` says that an admin has said it against a directory's word."""

    role: Role
    overruled: bool


def not_movable(user: User) -> str | None:
    """Say why this user moves to no identity provider, or None."""
    if user.break_glass:
        return f"The user {user.name!r} is an admin of last resort and stays local."
    if user.method.is_sso:
        return f"The user {user.name!r} signs in at {user.provider} already."
    if user.method is not Method.LDAP:
        return f"The user {user.name!r} has the method {user.method}; only ldap users move."
    if user.managed_by not in MOVABLE:
        return f"The user {user.name!r} is managed by {user.managed_by}; only that source can give it up."
    return None


def ended_there(user: User, facts: PersonFacts | None) -> str | None:
    """Say that the identity provider has ended somebody who is active here, or None: a move must put nobody out."""
    if facts is None or facts.active or user.status is not Status.ACTIVE:
        return None
    return f"The identity provider says that {user.name!r} is not active; enable the person there first."


def role_after(user: User, links: Iterable[Identity]) -> RoleAfter:
    """Give the role without the directory's: one that its groups gave ends, one that an admin said stays."""
    mine = [link for link in links if link.provider == user.provider]
    told = max(mine, key=lambda link: (link.role is not None, link.linked_at), default=None)
    if told is None:
        return RoleAfter(user.role, overruled=False)
    kept = with_role(user, told, None)
    return RoleAfter(kept.user.role, kept.identity.role_overruled)
