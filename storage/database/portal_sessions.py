"""The portal's sessions: rows, so that one ends on all workers at once and everywhere in the same way.

Each is in the registry of sessions, too, under the worker ``portal``: what ends it is not a process.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select, update

from storage.database.engine import Database
from storage.database.errors import Conflict
from storage.database.names import shown, storable
from storage.database.records import Method
from storage.database.sso_flows import digest_of
from storage.database.sso_tables import portal_sessions, sso_used
from storage.database.tables import sessions

PORTAL_WORKER = "portal"
COOKIE_BYTES = 32
TOUCH_INTERVAL_S = 30.0
"""A session that is used again within so many seconds is not written anew."""


@dataclass(frozen=True, slots=True)
class PortalSession:
    """One session of the portal. ``provider`` is where the person signed in, empty for local and directory users.

    ``logout`` is what the provider needs for single logout. Times are Unix seconds.
    """

    id: str
    user_id: str
    user_name: str
    epoch: int
    factor: str
    method: Method
    provider: str
    peer: str
    opened_at: float
    seen_at: float
    expires_at: float
    password_version: float | None = None
    logout: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class LogoutWord:
    """A provider's word that sessions are over. ``id`` lets it count once before ``until`` (Unix seconds).

    ``named`` says which: those whose ``logout`` has, under each of these names, one of these values. No name: none.
    """

    provider: str
    id: str
    until: float
    named: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class EndedByWord:
    """How many sessions such a word has ended, and of whom (login names)."""

    sessions: int
    users: tuple[str, ...]


class PortalSessions:
    """Every method raises StoreUnavailable when the database cannot tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, session: PortalSession) -> str:
        """Keep a session and give its cookie: 43 characters that are kept nowhere."""
        cookie = secrets.token_urlsafe(COOKIE_BYTES)
        row = {
            "id": session.id,
            "digest": digest_of(cookie),
            "user_id": session.user_id,
            "epoch": session.epoch,
            "factor": session.factor,
            "method": session.method.value,
            "provider": session.provider,
            "peer": shown(session.peer),
            "password_version": session.password_version,
            "opened_at": session.opened_at,
            "seen_at": session.seen_at,
            "expires_at": session.expires_at,
            "logout": dict(session.logout),
        }
        report = {
            "id": session.id,
            "user_id": session.user_id,
            "user_name": shown(session.user_name),
            "front_end": PORTAL_WORKER,
            "peer": shown(session.peer),
            "factor": session.factor,
            "epoch": session.epoch,
            "worker": PORTAL_WORKER,
            "opened_at": session.opened_at,
            "seen_at": session.seen_at,
        }
        with self._database.write() as connection:
            connection.execute(insert(portal_sessions), row)
            connection.execute(insert(sessions), report)
        return cookie

    def find(self, cookie: str) -> PortalSession | None:
        """Give the session of this cookie, or None. Whether it has run out or its user may stay is not asked."""
        found = self._where(portal_sessions.c.digest == digest_of(cookie))
        return found[0] if found else None

    def of_user(self, user_id: str) -> list[PortalSession]:
        """Give the open sessions of a user, the oldest first."""
        return self._where(portal_sessions.c.user_id == user_id) if storable(user_id) else []

    def touch(self, session: PortalSession, at: float, epoch: int, *, every_s: float = TOUCH_INTERVAL_S) -> None:
        """Note that a session is used, and by which state of its user it was judged last."""
        if at - session.seen_at < every_s and epoch == session.epoch:
            return
        with self._database.write() as connection:
            mine = update(portal_sessions).where(portal_sessions.c.id == session.id)
            connection.execute(mine.values(seen_at=at, epoch=epoch))
            connection.execute(update(sessions).where(sessions.c.id == session.id).values(seen_at=at, epoch=epoch))

    def end(self, id: str, reason: str, at: float) -> bool:  # noqa: A002 - the column's name
        """End a session on all workers; False if there is none (any more)."""
        with self._database.write() as connection:
            return _end(connection, portal_sessions.c.id == id, reason, at) > 0

    def end_others(self, user_id: str, but: str, reason: str, at: float) -> int:
        """End the user's sessions except one; their number is given."""
        others = (portal_sessions.c.user_id == user_id) & (portal_sessions.c.id != but)
        with self._database.write() as connection:
            return _end(connection, others, reason, at)

    def end_named(self, word: LogoutWord, reason: str, at: float) -> EndedByWord | None:
        """End the sessions that a provider's word names, once: None if this word was heard before.

        That it was heard and what it ended is one transaction: a word that could not be carried out can come again.
        """
        if not word.named or not storable(word.provider):
            return EndedByWord(0, ())
        meant = (portal_sessions.c.provider == word.provider) & and_(
            *(portal_sessions.c.logout[name].as_string().in_(sorted(values)) for name, values in word.named.items())
        )
        names = select(sessions.c.user_name).join(portal_sessions, portal_sessions.c.id == sessions.c.id).where(meant)
        heard = {"provider": word.provider, "digest": digest_of(word.id), "expires_at": word.until}
        try:
            with self._database.write() as connection:
                connection.execute(insert(sso_used), heard)
                users = connection.execute(names.distinct().order_by(sessions.c.user_name)).scalars().all()
                return EndedByWord(_end(connection, meant, reason, at), tuple(users))
        except Conflict:
            return None

    def expire(self, now: float, idle_s: float) -> int:
        """End those that have run out, or were not used for so many seconds; their number is given.

        In the registry those of deleted users, too, whose rows went with the user.
        """
        over = (portal_sessions.c.expires_at <= now) | (portal_sessions.c.seen_at <= now - idle_s)
        open_here = (sessions.c.worker == PORTAL_WORKER) & sessions.c.ended_at.is_(None)
        gone = update(sessions).where(open_here, sessions.c.id.not_in(select(portal_sessions.c.id)))
        with self._database.write() as connection:
            ended = _end(connection, over, "expired", now)
            return ended + connection.execute(gone.values(ended_at=now, end_reason="unknown_user")).rowcount

    def _where(self, condition: ColumnElement[bool]) -> list[PortalSession]:
        query = (
            select(portal_sessions, sessions.c.user_name)
            .join(sessions, sessions.c.id == portal_sessions.c.id)
            .where(condition, sessions.c.ended_at.is_(None))
            .order_by(portal_sessions.c.opened_at, portal_sessions.c.id)
        )
        with self._database.read() as connection:
            return [_session_of(row) for row in connection.execute(query)]


def _end(connection: Connection, condition: ColumnElement[bool], reason: str, at: float) -> int:
    ended = connection.execute(delete(portal_sessions).where(condition).returning(portal_sessions.c.id)).scalars().all()
    if ended:
        mine = update(sessions).where(sessions.c.id.in_(ended), sessions.c.ended_at.is_(None))
        connection.execute(mine.values(ended_at=at, end_reason=shown(reason)))
    return len(ended)


def _session_of(row: Row[Any]) -> PortalSession:
    return PortalSession(
        id=row.id,
        user_id=row.user_id,
        user_name=row.user_name,
        epoch=row.epoch,
        factor=row.factor,
        method=Method(row.method),
        provider=row.provider,
        peer=row.peer,
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        password_version=row.password_version,
        logout=row.logout,
    )
