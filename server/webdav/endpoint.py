"""The ASGI endpoint of /dav/: path, sign-in and limits first, then a handler or an upload."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import structlog

from auth_backends.api import PUBLIC_REFUSAL, Refused, TryLater
from server.http.body import (
    Body,
    BodyError,
    BodyIncomplete,
    BodyStalled,
    BodyTooLarge,
    ClientGone,
    MalformedLength,
    declared_length,
)
from server.http.listener import CutConnection, Receive, Scope, Send
from server.runtime.bridge import Bridge
from server.services import Services
from server.sessions import Session
from server.webdav.authentication import CHALLENGE, NoCredential
from server.webdav.clients import Client, Clients
from server.webdav.dav_server import METHODS, DavApplication, error_page
from server.webdav.environ import environ_of
from server.webdav.errors import dav_error
from server.webdav.limits import MAX_XML_BYTES, too_large
from server.webdav.receiving import receive_upload
from server.webdav.request import DavRequest, Environ
from server.webdav.turns import Turns
from server.webdav.urls import path_of
from server.webdav.wsgi_bridge import WsgiCall, respond, send_start, send_text
from storage.files.errors import StorageError
from storage.files.path import VirtualPath

log = structlog.get_logger(__name__)

SWEEP_S = 15.0
MAX_DRAINED = 1 << 20  # of an unwanted body: closing with more unread would reset the answer away too
DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on the wire."""

    scope: Scope
    send: Send
    body: Body
    declared: int | None

    def header(self, name: bytes) -> str | None:
        """Give the first header of this (lower-case) name."""
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == name), None)


class DavEndpoint:
    """Serves every request below /dav/ of one worker, in the event loop's thread."""

    def __init__(self, services: Services, bridge: Bridge) -> None:
        self._settings = services.settings.http
        self._store = services.store
        self._turns = Turns(services.settings.data / "turns")
        self._bridge = bridge
        self._clients = Clients(services.sign_in, asyncio.get_running_loop())
        self._application = DavApplication(services.store.locks)
        self._uploads = asyncio.Semaphore(self._settings.max_uploads)
        self._running: set[asyncio.Task[object]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            declared = declared_length(scope["headers"])
        except MalformedLength:
            await send_text(send, 400, "The request's length cannot be told.", [("Connection", "close")])
            return
        body = Body(receive, declared=declared, idle_timeout_s=self._settings.body_idle_timeout_s)
        exchange = Exchange(scope, send, body, declared)
        try:
            await self._serve(exchange)
        except ClientGone:
            raise CutConnection from None

    async def sweep(self) -> None:
        """End idle sessions for as long as the worker runs."""
        while True:
            await asyncio.sleep(SWEEP_S)
            for session in self._clients.idle():
                await self._bridge.io(session.end, "idle")

    async def close(self) -> None:
        """Cut what still runs and end all sessions."""
        for session in self._clients.all():
            await self._bridge.io(session.end, "shutdown")
        for task in list(self._running):
            task.cancel()

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.scope["method"] not in METHODS:
            await self._refuse(exchange, 405, "This method is not served here.", [("Allow", ", ".join(METHODS))])
            return
        try:
            path = path_of(exchange.scope["raw_path"])
        except StorageError as error:
            await self._refuse(exchange, 400, error.public)
            return
        found = await self._identify(exchange)
        if found is None:
            return
        client, session = found
        task = asyncio.current_task()
        with self._clients.request(client), contextlib.ExitStack() as leaving:
            if task is not None:
                self._running.add(task)
                leaving.callback(self._running.discard, task)
            if session.ended is not None:  # since it was found: from here on a cut reaches this task
                await self._challenge(exchange)
                return
            try:
                await self._handle(exchange, session, path)
            except asyncio.CancelledError:
                log.info("webdav.request_cut", session=session.id, method=exchange.scope["method"])
                raise CutConnection from None

    async def _handle(self, exchange: Exchange, session: Session, path: VirtualPath) -> None:
        request = DavRequest(
            session.workspace,
            path,
            session.principal.user.id,
            self._store.locks,
            self._store.properties,
            self._turns,
        )
        if exchange.scope["method"] == "PUT":
            await self._put(exchange, request)
            return
        try:
            xml = await exchange.body.whole(MAX_XML_BYTES)
        except BodyError as error:
            await self._body_failed(exchange, error)
            return
        if too_large(xml):
            await self._refuse(exchange, 413, "The request's body is too large.")
            return
        environ = environ_of(exchange.scope, request, xml)
        call = WsgiCall(self._application, environ)
        await respond(call, self._bridge, exchange.body, exchange.send, self._settings.body_idle_timeout_s)

    async def _put(self, exchange: Exchange, request: DavRequest) -> None:
        if self._uploads.locked():
            await self._refuse(exchange, 503, "Too many uploads; try again.", [("Retry-After", "5")])
            return
        environ = environ_of(exchange.scope, request)
        async with self._uploads:
            try:
                status, headers = await receive_upload(self._bridge, request, environ, exchange.body, exchange.declared)
            except BodyError as error:
                await self._body_failed(exchange, error)
            except Exception as error:  # noqa: BLE001 - every failure has its status, and the unexpected is logged there
                await self._failed(exchange, environ, error)
            else:
                await send_text(exchange.send, status, "", headers)

    async def _identify(self, exchange: Exchange) -> tuple[Client, Session] | None:
        """Give the client's session, or answer and give None."""
        header = exchange.header(b"authorization")
        peer: str = exchange.scope["client"][0]
        if exchange.scope["scheme"] != "https":  # Basic would show the password to everybody on the way
            await self._refuse(exchange, 403, "Use HTTPS.")
            return None
        if header is None:
            await self._challenge(exchange)
            return None
        fresh = self._clients.fresh(header, peer)
        if fresh is not None:
            return fresh
        try:
            found = await self._bridge.auth(self._clients.identify, header, peer)
        except NoCredential:
            await self._challenge(exchange)
            return None
        match found:
            case Refused():
                await self._challenge(exchange)
            case TryLater(retry_after_s=delay, public_message=text):
                await self._refuse(exchange, 503, text, [("Retry-After", str(max(1, round(delay))))])
            case _:
                return found
        return None

    async def _challenge(self, exchange: Exchange) -> None:
        await self._refuse(exchange, 401, PUBLIC_REFUSAL, [("WWW-Authenticate", CHALLENGE)])

    async def _refuse(
        self, exchange: Exchange, status: int, text: str, headers: list[tuple[str, str]] | None = None
    ) -> None:
        """Answer a refusal."""
        closing = await self._leftover(exchange)
        head = exchange.scope["method"] == "HEAD"
        await send_text(exchange.send, status, "" if head else text, [*(headers or []), *closing])

    async def _leftover(self, exchange: Exchange) -> list[tuple[str, str]]:
        """Read an unwanted small body, so that the connection can go on; else give the header that ends it.

        The server closes a connection whose body was not read, and a client that was not told loses its next request.
        """
        small = exchange.declared is not None and exchange.declared <= MAX_DRAINED
        if small and not exchange.body.finished and exchange.header(b"expect") is None:
            with contextlib.suppress(BodyIncomplete, BodyStalled, TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await exchange.body.discard()
        return [] if exchange.body.finished else [("Connection", "close")]

    async def _body_failed(self, exchange: Exchange, error: BodyError) -> None:
        match error:
            case ClientGone():
                raise error
            case BodyStalled():
                await send_text(exchange.send, 408, "The body stopped coming.", [("Connection", "close")])
            case BodyTooLarge():
                await send_text(exchange.send, 413, "The request's body is too large.", [("Connection", "close")])
            case _:
                await send_text(exchange.send, 400, "The body is not as long as announced.", [("Connection", "close")])

    async def _failed(self, exchange: Exchange, environ: Environ, error: Exception) -> None:
        closing = await self._leftover(exchange)
        answered: list[tuple[str, list[tuple[str, str]]]] = []
        pages = error_page(dav_error(error), environ["REQUEST_METHOD"], lambda *given: answered.append(given))
        page = b"".join(pages)
        status, headers = answered[0]
        await send_start(exchange.send, int(status.split(" ", 1)[0]), [*headers, *closing])
        await exchange.send({"type": "http.response.body", "body": page, "more_body": False})
