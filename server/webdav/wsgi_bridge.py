"""The bridge from ASGI to the blocking handlers: each step runs in a pool, and no thread ever waits for a client.

a2wsgi gives a vanished client's body a quiet end, and granian's own WSGI interface does too
(notes on both in docs/decisions); here a handler starts only once its small body is complete, and
an answer is fetched piece by piece as fast as the client takes it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from server.http.body import Body
from server.http.listener import CutConnection, Send
from server.runtime.bridge import Bridge

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[str, str]]

ALWAYS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),  # a user's HTML file must not act as this site
    (b"cache-control", b"private, no-cache"),
    (b"server", b"quaymaster"),
]


class WsgiCall:
    """One run of a WSGI application; every method blocks. ``close`` waits for a step that is still running."""

    def __init__(self, app: WsgiApp, environ: dict[str, Any]) -> None:
        self._app = app
        self._environ = environ
        self._pieces: Iterator[bytes] | None = None
        self._lock = threading.Lock()
        self.status = 500
        self.headers: Headers = []

    def start(self) -> tuple[bytes, bool]:
        """Run up to the first piece of the answer; give it, and whether it is all."""
        with self._lock:
            pieces = self._pieces = iter(self._app(self._environ, self._start_response))
            first = next(pieces, None)
        if first is None:
            return b"", True
        declared = {name.lower(): value for name, value in self.headers}.get("content-length")
        # What yields nothing first (HEAD, 204) yields nothing more.
        return first, not first or (declared is not None and int(declared) <= len(first))

    def next(self) -> bytes | None:
        """Give the next piece, or None at the end."""
        with self._lock:
            return None if self._pieces is None else next(self._pieces, None)

    def close(self) -> None:
        """End the run, also in the middle: files are closed."""
        with self._lock:
            close = getattr(self._pieces, "close", None)
            self._pieces = None
            if close is not None:
                close()

    def _start_response(self, status: str, headers: Headers, *_: object) -> None:
        self.status = int(status.split(" ", 1)[0])
        self.headers = headers


async def respond(call: WsgiCall, bridge: Bridge, body: Body, send: Send, idle_timeout_s: float) -> None:
    """Run the call and send its answer; stops early, and cleans up, when the client is gone.

    Raises CutConnection if the answer breaks off after it began, or if the client takes nothing
    for ``idle_timeout_s``.
    """
    try:
        first, whole = await bridge.io(call.start)
        await send_start(send, call.status, call.headers)
        await send({"type": "http.response.body", "body": first, "more_body": not whole})
        if not whole:
            await _stream(call, bridge, body, send, idle_timeout_s)
    finally:
        await asyncio.shield(asyncio.ensure_future(bridge.io(call.close)))


async def _stream(call: WsgiCall, bridge: Bridge, body: Body, send: Send, idle_timeout_s: float) -> None:
    """Send the rest: the next piece is fetched while the last one goes out."""
    gone = asyncio.ensure_future(body.gone())  # granian swallows what is sent to nobody: ask instead
    upcoming = asyncio.ensure_future(bridge.io(call.next))
    try:
        while True:
            try:
                piece = await upcoming
            except Exception as error:
                raise CutConnection from error
            if gone.done():
                return
            if piece is None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            upcoming = asyncio.ensure_future(bridge.io(call.next))
            try:
                async with asyncio.timeout(idle_timeout_s):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except TimeoutError as error:
                raise CutConnection from error
    finally:
        gone.cancel()
        upcoming.add_done_callback(_disregard)


def _disregard(step: asyncio.Future[Any]) -> None:
    """Take note of a step that nobody waits for any more."""
    if not step.cancelled():
        step.exception()


async def send_start(send: Send, status: int, headers: Iterable[tuple[str, str]]) -> None:
    """Send status and headers, with those that every answer carries."""
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded + ALWAYS})


async def send_text(send: Send, status: int, text: str, headers: Iterable[tuple[str, str]] = ()) -> None:
    """Send a whole plain answer."""
    page = f"{text}\n".encode() if text else b""
    length = [("Content-Length", str(len(page)))] if status not in {204, 304} else []
    kind = [("Content-Type", "text/plain; charset=utf-8")] if page else []
    await send_start(send, status, [*headers, *kind, *length])
    await send({"type": "http.response.body", "body": page, "more_body": False})
