"""The seam to the HTTP server: granian 2.8.7 on an inherited listening socket.

Nothing else of the project names granian. Its own ``embed.Server`` opens its socket itself, so the
worker class underneath is driven directly (its signature is pinned with the version; the tests of
this file show each behaviour that we rely on).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from granian import _futures, _granian
from granian.http import HTTP1Settings

log = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_native: Any = _granian  # its stub names other arguments than the compiled classes take
_new_scheduler: Any = _futures._new_cbscheduler  # noqa: SLF001 - the only way to a worker in our own loop

MAX_CONNECTIONS = 1024
HEADER_TIMEOUT_MS = 30_000
MAX_HEADER_BYTES = 64 * 1024
BLOCKING_THREADS = 8  # of granian's own runtime; ours are elsewhere
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files; the key is PKCS#8, the only form that rustls takes here."""

    certificate: Path
    key: Path


class UnusableKey(Exception):
    """The TLS key is in a form that the HTTP server cannot read; the text says how to change it."""


class CutConnection(Exception):
    """Raised by an application to drop the client's connection at once, in the middle of a response."""


class Listener:
    """Serves one ASGI application over HTTP/1.1 and TLS 1.2 or newer, from inside a running event loop."""

    def __init__(self, app: AsgiApp, listening: socket.socket, tls: Tls) -> None:
        self._app = app
        self._socket = listening
        self._tls = tls
        self._signal: Any = _native.WorkerSignal()
        self._ended: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Begin to accept. The socket given stays the caller's; a duplicate is used and closed.

        Raises UnusableKey or OSError if the key file cannot serve.
        """
        _check_key(self._tls.key)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        self._ended = ended

        def settle() -> None:
            if not ended.done():
                ended.set_result(None)

        def on_end() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed first
                loop.call_soon_threadsafe(settle)

        self._signal.add_cb(on_end)
        logging.getLogger("_granian").setLevel(logging.WARNING)
        logging.getLogger("_granian.utils").setLevel(logging.CRITICAL)  # what an application raises is logged here
        holder = _native.SocketHolder(self._socket.dup().detach(), False, BACKLOG)
        worker = _native.ASGIWorker(
            1,
            (None, holder),
            None,  # no IPC with a parent
            1,  # runtime threads
            BLOCKING_THREADS,
            1,  # Python threads: the loop's own
            30,  # seconds after which idle ones end
            MAX_CONNECTIONS,
            "1",
            HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=MAX_HEADER_BYTES),
            None,  # no HTTP/2
            False,  # no web sockets
            None,  # no static files
            True,  # TLS
            str(self._tls.certificate),
            str(self._tls.key),
            None,  # no password
            "tls1.2",
            None,  # no client certificates
            [],
            False,
            (None, None),  # no metrics
        )
        worker.serve_async(_new_scheduler(loop, self._run, impl_asyncio=True), loop, self._signal)

    async def _run(self, watcher: Any) -> None:
        """Run the application for one request; an exception drops the connection (500 if nothing was sent yet)."""
        try:
            await self._app(watcher.scope, watcher.proto.receive, watcher.proto.send)
        except CutConnection as cut:
            watcher.err(cut)
        except Exception as error:
            log.exception("http.request_failed", path=watcher.scope.get("path"))
            watcher.err(error)
        except BaseException as ending:
            watcher.err(ending)
            raise
        else:
            watcher.done()

    def stop(self) -> None:
        """Stop accepting and close idle connections; requests in flight go on. Thread-safe."""
        self._signal.set()

    async def ended(self) -> None:
        """Return once it was stopped and the last request has ended."""
        if self._ended is not None:
            await self._ended


def _check_key(path: Path) -> None:
    """Refuse a key that would only fail inside granian, at the first connection or in a panic."""
    if b"-----BEGIN PRIVATE KEY-----" not in path.read_bytes():
        raise UnusableKey(
            f"the TLS key {path.name} must be PKCS#8 without a password; "
            "convert it with: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW"
        )
