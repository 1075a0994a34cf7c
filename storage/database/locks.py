"""LockTable: WebDAV locks (RFC 4918 section 6), one truth for all workers and nodes.

A place is a ``tree`` (one backend root, the same for every user who sees it) and the ``path``
inside it. Checks and changes run in one serialised transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from time import time
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, or_, select, update

from storage.database.engine import AdvisoryLock, Database
from storage.database.subtrees import ancestors, below
from storage.database.tables import dav_locks

MAX_LOCKS_PER_USER = 1000


@dataclass(frozen=True, slots=True)
class LockWish:
    """A lock that somebody asks for; ``owner`` is the client's own description (XML text)."""

    tree: str
    path: str
    depth_infinity: bool
    exclusive: bool
    user_id: str
    owner: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class DavLock:
    """A lock in force. Times are Unix seconds."""

    token: str
    tree: str
    path: str
    depth_infinity: bool
    exclusive: bool
    user_id: str
    owner: str
    expires_at: float
    created_at: float


class LockConflict(Exception):
    """Locks in force forbid it; they are named."""

    def __init__(self, locks: Iterable[DavLock]) -> None:
        self.locks = tuple(locks)
        super().__init__(", ".join(sorted({lock.path for lock in self.locks})))


class TooManyLocks(Exception):
    """The user holds as many locks as one may."""


class LockTable:
    """Blocking and thread-safe; raises StoreError if the database does not answer."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time) -> None:
        self._database = database
        self._clock = clock

    def acquire(self, wish: LockWish) -> DavLock:
        """Take the lock, or raise LockConflict or TooManyLocks; check and insert are one transaction."""
        now = self._clock()
        with self._database.write(lock=AdvisoryLock.DAV) as connection:
            connection.execute(delete(dav_locks).where(dav_locks.c.expires_at <= now))
            rivals = _covering(connection, wish.tree, wish.path, now)
            if wish.depth_infinity:
                rivals += _below(connection, wish.tree, wish.path, now)
            conflicts = [lock for lock in rivals if wish.exclusive or lock.exclusive]
            if conflicts:
                raise LockConflict(conflicts)
            held = select(func.count()).select_from(dav_locks).where(dav_locks.c.user_id == wish.user_id)
            if connection.execute(held).scalar_one() >= MAX_LOCKS_PER_USER:
                raise TooManyLocks("you hold too many locks")
            lock = DavLock(
                token=f"opaquelocktoken:{uuid.uuid4()}",
                tree=wish.tree,
                path=wish.path,
                depth_infinity=wish.depth_infinity,
                exclusive=wish.exclusive,
                user_id=wish.user_id,
                owner=wish.owner,
                expires_at=now + wish.timeout_s,
                created_at=now,
            )
            connection.execute(dav_locks.insert().values(**_values(lock)))
        return lock

    def refresh(self, token: str, user_id: str, timeout_s: float) -> DavLock | None:
        """Give the user's own lock a new lease; None if there is no such lock in force."""
        now = self._clock()
        mine = and_(dav_locks.c.token == token, dav_locks.c.user_id == user_id, dav_locks.c.expires_at > now)
        with self._database.write(lock=AdvisoryLock.DAV) as connection:
            connection.execute(update(dav_locks).where(mine).values(expires_at=now + timeout_s))
            row = connection.execute(select(dav_locks).where(mine)).one_or_none()
        return None if row is None else _lock(row)

    def release(self, token: str) -> bool:
        """End a lock; whether there was one."""
        with self._database.write(lock=AdvisoryLock.DAV) as connection:
            return connection.execute(delete(dav_locks).where(dav_locks.c.token == token)).rowcount > 0

    def by_token(self, token: str) -> DavLock | None:
        """Give a lock in force."""
        alive = and_(dav_locks.c.token == token, dav_locks.c.expires_at > self._clock())
        with self._database.read() as connection:
            row = connection.execute(select(dav_locks).where(alive)).one_or_none()
        return None if row is None else _lock(row)

    def covering(self, tree: str, path: str) -> list[DavLock]:
        """List the locks on a place: its own, and those of depth infinity above it."""
        with self._database.read() as connection:
            return _covering(connection, tree, path, self._clock())

    def in_subtree(self, tree: str, path: str) -> list[DavLock]:
        """List the locks on a place and on everything below it, without those that reach it from above."""
        with self._database.read() as connection:
            inside = or_(dav_locks.c.path == path, below(connection, dav_locks.c.path, path))
            return _found(connection, and_(dav_locks.c.tree == tree, inside), self._clock())

    def writing_conflicts(
        self, tree: str, path: str, *, depth_infinity: bool, user_id: str, tokens: Collection[str]
    ) -> list[DavLock]:
        """List the locks that forbid this user to change a place (or, with depth, anything below it).

        RFC 4918 section 7: a locked place may be changed by whoever submits the token of a lock on it that is
        their own; among shared locks, one of them is enough.
        """
        now = self._clock()
        with self._database.read() as connection:
            covering = _covering(connection, tree, path, now)
            inside = _below(connection, tree, path, now) if depth_infinity else []

        def opens(lock: DavLock) -> bool:
            return lock.user_id == user_id and lock.token in tokens

        if any(opens(lock) and lock.depth_infinity for lock in covering):
            return []
        conflicts = [] if any(opens(lock) for lock in covering) else covering
        opened = {lock.path for lock in inside if opens(lock)}
        return conflicts + [lock for lock in inside if lock.path not in opened]

    def forget(self, tree: str, path: str, *, with_root: bool = True) -> int:
        """End all locks below a place, and on it unless told otherwise; give how many."""
        with self._database.read() as connection:  # nearly always there are none: no write transaction then
            inside = below(connection, dav_locks.c.path, path)
            doomed = and_(dav_locks.c.tree == tree, or_(inside, dav_locks.c.path == path) if with_root else inside)
            if connection.execute(select(dav_locks.c.token).where(doomed).limit(1)).first() is None:
                return 0
        with self._database.write(lock=AdvisoryLock.DAV) as connection:
            return connection.execute(delete(dav_locks).where(doomed)).rowcount


def _covering(connection: Connection, tree: str, path: str, now: float) -> list[DavLock]:
    own, *above = ancestors(path)
    from_above = and_(dav_locks.c.path.in_(above), dav_locks.c.depth_infinity)
    return _found(connection, and_(dav_locks.c.tree == tree, or_(dav_locks.c.path == own, from_above)), now)


def _below(connection: Connection, tree: str, path: str, now: float) -> list[DavLock]:
    return _found(connection, and_(dav_locks.c.tree == tree, below(connection, dav_locks.c.path, path)), now)


def _found(connection: Connection, condition: ColumnElement[bool], now: float) -> list[DavLock]:
    query = select(dav_locks).where(condition, dav_locks.c.expires_at > now).order_by(dav_locks.c.created_at)
    return [_lock(row) for row in connection.execute(query)]


def _lock(row: Row[Any]) -> DavLock:
    return DavLock(
        token=row.token,
        tree=row.tree,
        path=row.path,
        depth_infinity=row.depth_infinity,
        exclusive=row.exclusive,
        user_id=row.user_id,
        owner=row.owner,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )


def _values(lock: DavLock) -> dict[str, object]:
    return {name: getattr(lock, name) for name in DavLock.__slots__}
