"""Changes that SCIM clients make, and those about the clients themselves."""

from __future__ import annotations

from sqlalchemy import Connection

from storage.database.appliers.effect import Effect
from storage.database.appliers.scim_groups import apply_scim_group_change
from storage.database.appliers.scim_tokens import apply_scim_token_change
from storage.database.appliers.scim_users import apply_scim_user_change
from storage.database.appliers.scim_waiting import apply_scim_waiting_change
from storage.database.scim_changes import (
    ApproveEnds,
    DismissEnds,
    RestoreUser,
    ScimChange,
    ScimCreateGroup,
    ScimCreateUser,
    ScimDeleteGroup,
    ScimDeleteUser,
    ScimUpdateGroup,
    ScimUpdateUser,
)


def apply_scim_change(tx: Connection, change: ScimChange, actor: str, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case ScimCreateUser() | ScimUpdateUser() | ScimDeleteUser() | RestoreUser():
            return apply_scim_user_change(tx, change, now)
        case ScimCreateGroup() | ScimUpdateGroup() | ScimDeleteGroup():
            return apply_scim_group_change(tx, change, now)
        case ApproveEnds() | DismissEnds():
            return apply_scim_waiting_change(tx, change, now)
        case _:
            return apply_scim_token_change(tx, change, actor, now)
