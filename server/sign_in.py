"""From a credential to a session: the one door that every front end uses."""

from __future__ import annotations

import time
import uuid

import structlog

from auth_backends.api import (
    Attempt,
    Clock,
    Credential,
    Decision,
    FrontEnd,
    Granted,
    Reason,
    Refused,
    TryLater,
)
from auth_backends.broker import Broker
from server.peers import peer_address
from server.runtime.journal import FileJournal, Journal
from server.sessions import Cut, Session, Sessions
from server.workspaces import Workspaces
from storage.database.store import StoreError
from storage.files.errors import StorageError, StorageUnavailable

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 5.0


class SignIn:
    """Blocking and thread-safe; asyncio front ends call it through the bridge."""

    def __init__(
        self, broker: Broker, workspaces: Workspaces, sessions: Sessions, journal: Journal, *, clock: Clock = time.time
    ) -> None:
        self._broker = broker
        self._workspaces = workspaces
        self._sessions = sessions
        self._journal = journal
        self._clock = clock

    def try_in(self, front_end: FrontEnd, credential: Credential, peer: str, cut: Cut) -> Session | Refused | TryLater:
        """Authenticate and open a session; ``cut`` may be called before this returns, and once at most."""
        decision = self.authenticate(front_end, credential, peer)
        if not isinstance(decision, Granted):
            return decision
        try:
            session = self.open_session(decision, front_end, peer, cut)
        except StorageUnavailable:
            return TryLater(Reason.BACKEND_UNAVAILABLE, RETRY_AFTER_S)
        return session if session.ended is None else Refused(Reason.CHANGED_MEANWHILE)

    def would_accept_key(self, username: str, algorithm: str, blob: bytes, peer: str) -> bool:
        """Whether an offered SSH key, once its signature is proved, could let this user in.

        No side effects. Raises StoreError if nobody can tell.
        """
        return self._broker.would_accept(username, algorithm, blob, peer_address(peer))

    def key_needs_password(self, username: str, blob: bytes, peer: str) -> bool:
        """Whether a password must follow this proved SSH key (``local+key``). No side effects. Raises StoreError."""
        return self._broker.key_needs_password(username, blob, peer_address(peer))

    def authenticate(self, front_end: FrontEnd, credential: Credential, peer: str) -> Decision:
        """Give the broker's verdict alone; one audit event is written by the broker."""
        attempt = Attempt(
            id=uuid.uuid4().hex,
            front_end=front_end,
            credential=credential,
            peer=peer_address(peer),
            at=self._clock(),
        )
        return self._broker.authenticate(attempt)

    def open_session(self, granted: Granted, front_end: FrontEnd, peer: str, cut: Cut) -> Session:
        """Build the user's tree and register the session.

        The user's rights may have changed since the decision: then the session given has ``ended``
        set and serves nothing. Raises StorageUnavailable if the store or the home cannot be reached.
        """
        session_id = uuid.uuid4().hex
        address = str(peer_address(peer))
        observer = FileJournal(self._journal, session_id, granted.principal.user.name, front_end, address)
        try:
            workspace = self._workspaces.open(granted.principal, observer)
            return self._sessions.open(session_id, granted, front_end, peer=address, workspace=workspace, cut=cut)
        except StoreError as error:
            log.warning("session.store_unavailable", user=granted.principal.user.name, error=str(error))
            raise StorageUnavailable("the store cannot be reached") from error
        except StorageUnavailable:
            raise
        except StorageError as error:
            log.exception("session.workspace_failed", user=granted.principal.user.name)
            raise StorageUnavailable(f"the tree cannot be built: {error}") from error
