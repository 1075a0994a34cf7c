"""Clients: WebDAV has requests but no logins, so sessions are kept here between the requests of one client.

A client is one credential from one address. Its session is opened by the first request, shown as one
row in the registry, checked with the broker again while it is used, and ended when it was idle or revoked.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from auth_backends.api import FrontEnd, Granted, Reason, Refused, TryLater
from server.sessions import Session
from server.sign_in import SignIn
from server.webdav.authentication import credential_from
from storage.files.errors import StorageUnavailable

log = structlog.get_logger(__name__)

RECHECK_S = 1.0  # within it a live session needs no word from the broker: a revocation ends it as fast
IDLE_S = 300.0
RETRY_AFTER_S = 5.0
# These say nothing about the credential: others' guesses must not cut what its owner is running.
THROTTLED = frozenset({Reason.THROTTLED_USER, Reason.THROTTLED_NETWORK})


@dataclass(eq=False, slots=True)
class Client:
    """One client's session and the requests that run in it now."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    session: Session | None = None
    checked_at: float = 0.0
    used_at: float = 0.0
    running: set[asyncio.Task[object]] = field(default_factory=set)

    @property
    def live(self) -> Session | None:
        """The session, if it serves anything."""
        return self.session if self.session is not None and self.session.ended is None else None


class Clients:
    """All clients of this worker. ``identify`` blocks; the rest belongs to the event loop's thread."""

    def __init__(
        self,
        sign_in: SignIn,
        loop: asyncio.AbstractEventLoop,
        *,
        clock: Callable[[], float] = time.monotonic,
        idle_s: float = IDLE_S,
    ) -> None:
        self._sign_in = sign_in
        self._loop = loop
        self._clock = clock
        self._idle_s = idle_s
        self._key = os.urandom(32)
        self._clients: dict[bytes, Client] = {}
        self._lock = threading.Lock()

    def fresh(self, authorization: str, peer: str) -> tuple[Client, Session] | None:
        """Give the client and session if the broker accepted this very credential a moment ago. Does not block."""
        client = self._clients.get(self._name(authorization, peer))
        if client is None or self._clock() - client.checked_at > RECHECK_S or (session := client.live) is None:
            return None
        return client, session

    def identify(self, authorization: str, peer: str) -> tuple[Client, Session] | Refused | TryLater:
        """Ask the broker and give the client's session, opened if there is none. Blocking, thread-safe.

        Raises NoCredential if the header holds nothing to check.
        """
        credential = credential_from(authorization)
        name = self._name(authorization, peer)
        asked_at = self._clock()
        decision = self._sign_in.authenticate(FrontEnd.WEBDAV, credential, peer)
        if isinstance(decision, TryLater):
            return decision
        if isinstance(decision, Refused):
            if decision.reason not in THROTTLED:
                self._drop(name, decision.reason.value)
            return decision
        with self._lock:
            client = self._clients.setdefault(name, Client())
        with client.lock:
            session = client.live
            if session is None:
                opened = self._open(decision, peer, client)
                if not isinstance(opened, Session):
                    self._drop(name, "not_opened")
                    return opened
                session = opened
            client.checked_at = asked_at
            client.used_at = self._clock()
        return client, session

    @contextmanager
    def request(self, client: Client) -> Iterator[None]:
        """Run the current task as a request of this client: a revocation cancels it."""
        task: asyncio.Task[object] | None = asyncio.current_task()
        if task is None:
            message = "a request runs in a task"
            raise RuntimeError(message)
        client.running.add(task)
        try:
            yield
        finally:
            client.running.discard(task)
            client.used_at = self._clock()

    def idle(self) -> list[Session]:
        """Take the clients off the list that did nothing for long; their sessions are for the caller to end."""
        limit = self._clock() - self._idle_s
        with self._lock:
            gone = [
                name
                for name, client in self._clients.items()
                if client.session is not None and not client.running and (client.used_at < limit or client.live is None)
            ]
            clients = [self._clients.pop(name) for name in gone]
        return [session for client in clients if (session := client.live) is not None]

    def all(self) -> list[Session]:
        """Give every live session."""
        with self._lock:
            return [session for client in self._clients.values() if (session := client.live) is not None]

    def _open(self, granted: Granted, peer: str, client: Client) -> Session | Refused | TryLater:
        def cut(_reason: str) -> None:
            self._loop.call_soon_threadsafe(_cancel_all, client)

        try:
            session = self._sign_in.open_session(granted, FrontEnd.WEBDAV, peer, cut)
        except StorageUnavailable:
            return TryLater(Reason.BACKEND_UNAVAILABLE, RETRY_AFTER_S)
        client.session = session
        return session if session.ended is None else Refused(Reason.CHANGED_MEANWHILE)

    def _drop(self, name: bytes, reason: str) -> None:
        """Forget a client whose credential counts no more; what it still runs is cut."""
        with self._lock:
            client = self._clients.pop(name, None)
        if client is None or client.session is None:
            return
        client.session.end(reason)
        self._loop.call_soon_threadsafe(_cancel_all, client)

    def _name(self, authorization: str, peer: str) -> bytes:
        """Name a client without keeping its credential."""
        text = f"{peer}\0{authorization}".encode("utf-8", "surrogateescape")
        return hmac.new(self._key, text, hashlib.sha256).digest()


def _cancel_all(client: Client) -> None:
    for task in list(client.running):
        task.cancel()
