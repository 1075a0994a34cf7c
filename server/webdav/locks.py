"""LockManager: the part of WsgiDAV's lock manager that its UNLOCK calls, on the shared LockTable.

WsgiDAV's own keeps its read-write lock and its list of active writes in one process
(4.4.0, lock_manager.LockManager), so two workers could grant conflicting locks.
"""

from __future__ import annotations

from server.webdav.places import Place
from storage.database.locks import LockTable


class LockManager:
    """Thread-safe; keys are :attr:`Place.reference`, principals are user ids."""

    def __init__(self, table: LockTable) -> None:
        self._table = table

    def is_url_locked_by_token(self, url: str, lock_token: str) -> bool:
        """Whether this lock reaches the place."""
        place = Place.from_reference(url)
        return any(lock.token == lock_token for lock in self._table.covering(place.tree, place.key))

    def is_token_locked_by_user(self, token: str, principal: str) -> bool:
        """Whether the lock is this user's own."""
        lock = self._table.by_token(token)
        return lock is not None and lock.user_id == principal

    def release(self, token: str) -> None:
        """End the lock."""
        self._table.release(token)
