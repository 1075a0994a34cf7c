"""Effect: what a change did, for the epochs, revocations and the audit event that follow it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from uuid import uuid4

from sqlalchemy import Connection, select

from storage.database.errors import NotFoundInStore
from storage.database.records import Group, User
from storage.database.rows import group_of, user_of
from storage.database.tables import groups, memberships, users


@dataclass(frozen=True, slots=True)
class Also:
    """One more thing that a change did, with an audit event of its own."""

    kind: str
    subject: str
    subject_id: str
    detail: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """``kind`` names what happened, ``subject`` to whom (a user's name, or ``group:`` or ``folder:`` and its name).

    ``users`` are the ids of the users whose rights or credentials changed. ``changed`` is False
    when everything already was as the change wants it.
    """

    kind: str
    subject: str
    subject_id: str
    users: tuple[str, ...] = ()
    changed: bool = True
    detail: dict[str, object] = field(default_factory=dict)
    also: tuple[Also, ...] = ()


CHUNK = 500  # databases limit the parameters of one statement


def chunks(values: Iterable[str]) -> Iterator[list[str]]:
    """Give the values in lists that one statement can take as parameters."""
    left = iter(values)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def new_id() -> str:
    """Give a fresh random id: 32 lower-case hex digits."""
    return uuid4().hex


def user_named(tx: Connection, user_id: str) -> User:
    """Give the user of this id, or raise NotFoundInStore."""
    row = tx.execute(select(users).where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise NotFoundInStore("There is no such user.")
    return user_of(row)


def group_named(tx: Connection, group_id: str) -> Group:
    """Give the group of this id, or raise NotFoundInStore."""
    row = tx.execute(select(groups).where(groups.c.id == group_id)).one_or_none()
    if row is None:
        raise NotFoundInStore("There is no such group.")
    return group_of(row)


def member_ids(tx: Connection, group_id: str) -> tuple[str, ...]:
    """Give the ids of the group's members, each once."""
    query = select(memberships.c.user_id).where(memberships.c.group_id == group_id).distinct()
    return tuple(sorted(tx.execute(query).scalars()))
