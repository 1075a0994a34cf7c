"""A new user, whichever source tells of one: the name is taken, a home is found, the row is written."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, insert

from storage.database.appliers.reservations import home_of_new_user, take_name
from storage.database.appliers.user_rows import user_row
from storage.database.names import canonical_name
from storage.database.records import Owner, User
from storage.database.tables import memberships, users


def make_user(tx: Connection, draft: User, home: str | None) -> User:
    """Write a user, whose name becomes canonical, and give it as it is now. The draft has an id and no home yet.

    ``home`` is a folder's name below the homes; None gives one after the login name. Raises Conflict, InvalidChange.
    """
    name = canonical_name(draft.name)
    take_name(tx, name, draft.id)
    user = replace(draft, name=name, home=home_of_new_user(tx, home, name, draft.id))
    tx.execute(insert(users), user_row(user))
    return user


def join_default_group(tx: Connection, user_id: str, group_id: str | None) -> dict[str, object]:
    """Put a new user into the site's group for new users, if there is one; give what the audit trail says of it.

    The membership is an admin's: no source takes it away.
    """
    if group_id is None:
        return {}
    tx.execute(insert(memberships), {"user_id": user_id, "group_id": group_id, "owner": Owner.MANUAL.value})
    return {"default_group": group_id}
