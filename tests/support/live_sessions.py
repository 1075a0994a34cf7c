"""A worker's registry of sessions with the real store, broker and workspaces in memory, for tests of revocation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from auth_backends.api import Factor, FrontEnd, Granted, Principal
from config.settings import Settings
from server.app import build_broker
from server.runtime.journal import Journal
from server.sessions import Session, Sessions
from server.watcher import Watcher
from storage.database.records import User
from storage.database.store import Store
from storage.files.api import Filesystem
from storage.files.memory import MemoryFilesystem
from storage.files.mounts import Mount, MountTable, Rule
from storage.files.path import VirtualPath
from storage.files.permissions import ALL_RIGHTS, Right
from storage.files.workspace import Workspace
from tests.support.waiting import eventually

ROOT = VirtualPath()


@dataclass
class Client:
    """A signed-in client: its session, and why it was cut off."""

    session: Session
    cuts: list[str]


@dataclass
class Registry:
    """The sessions of one worker over one store."""

    store: Store
    sessions: Sessions
    journal: Journal
    filesystem: Filesystem
    rights: dict[str, frozenset[Right]] = field(default_factory=dict)

    def mounts_for(self, user: User) -> MountTable:
        """One filesystem for everybody; ``rights`` by user id where they are not all."""
        rule = Rule(ROOT, self.rights.get(user.id, ALL_RIGHTS))
        return MountTable([Mount(ROOT, self.filesystem, f"home:{user.id}")], [rule])

    def sign_in(self, name: str, *, session_id: str, not_after: float | None = None, **principal: object) -> Client:
        """Open a session as the broker's decision of this moment would."""
        return self.open(self.granted(name, not_after=not_after, **principal), session_id=session_id)

    def granted(self, name: str, *, not_after: float | None = None, **principal: object) -> Granted:
        """Give the decision that lets this user in with a password."""
        user = self.store.users.by_name(name)
        assert user is not None
        facts: dict[str, object] = {"factor": Factor.PASSWORD, "credential_id": None, "front_end": FrontEnd.SFTP}
        return Granted(Principal(user=user, **(facts | principal)), not_after, user.epoch)  # type: ignore[arg-type]  # the test's own

    def open(self, granted: Granted, *, session_id: str) -> Client:
        """Register a session for a decision that may be old by now."""
        cuts: list[str] = []
        workspace = Workspace(self.mounts_for(granted.principal.user))
        session = self.sessions.open(
            session_id, granted, FrontEnd.SFTP, peer="10.0.0.1", workspace=workspace, cut=cuts.append
        )
        return Client(session, cuts)


@contextmanager
def registry(store: Store, *, clock: Callable[[], float] = time.time) -> Iterator[Registry]:
    """Give a registry; its journal is written out at the end."""
    journal = Journal(store, retry_s=0.01)
    broker = build_broker(store, Settings())
    made: list[Registry] = []
    sessions = Sessions(
        store,
        journal,
        worker="worker-1",
        still_valid=broker.still_valid,
        mounts_for=lambda user: made[0].mounts_for(user),  # noqa: PLW0108 - made below
        clock=clock,
    )
    made.append(Registry(store, sessions, journal, MemoryFilesystem()))
    try:
        yield made[0]
    finally:
        sessions.close_all("over")
        journal.close(1.0)


@contextmanager
def watched(registry: Registry) -> Iterator[Watcher]:
    """Run the watcher for a block."""
    watcher = Watcher(registry.store, registry.sessions, wait_s=0.1)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


def row_ended(store: Store, session_id: str) -> str | None:
    """Wait until the session's row is closed and give the reason in it."""

    def ended() -> bool:
        row = store.sessions.by_id(session_id)
        return row is not None and row.ended_at is not None

    eventually(ended, what="the row of the session to be closed")
    row = store.sessions.by_id(session_id)
    return None if row is None else row.end_reason
