"""The ASGI endpoint of /scim/v2: who the client is, limits and the body first, then the service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from auth_backends.scim_clients import ClientRefusal, ScimClient, ScimClients
from config.providers import PROVIDER_NAME
from config.sso import SsoProvider
from server.http.body import Body, BodyError, BodyStalled, BodyTooLarge, ClientGone, MalformedLength, declared_length
from server.http.listener import CutConnection, Receive, Scope, Send
from server.http.scim.errors import ScimError
from server.http.scim.mount import MOUNT
from server.http.scim.rate import Rate
from server.http.scim.redaction import kept_body, kept_json, kept_path
from server.http.scim.request_log import RequestLog
from server.http.scim.requests import SCIM_JSON, ScimAnswer, ScimRequest, refusal
from server.http.scim.service import UNAVAILABLE_RETRY_S, ScimService
from server.providers import ProviderBook
from server.runtime.bridge import Bridge
from server.services import Services
from storage.database.scim_log import ScimRequestRow
from storage.database.store import StoreError

log = structlog.get_logger(__name__)

MAX_BODY = 8 << 20  # 100,000 members of a group in one PATCH
MAX_OTHER_BODY = 256 << 10  # a user's document has at most 64 KiB
MAX_MARKS = 250_000  # objects and lists in a body: to read millions of empty ones would stop the whole worker
MAX_ANSWER_KEPT = 256 << 10
STRANGERS_BODY = 64 * 1024  # of an unwanted body that is read all the same
CLIENTS_BODY = 64 << 20
DRAIN_S = 5.0
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_CHALLENGES = [(b"www-authenticate", b'Bearer realm="quaymaster", Basic realm="quaymaster", charset="UTF-8"')]
_ALWAYS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"), (b"server", b"quaymaster")]
UNAUTHORIZED = 401
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: the provider that the path names, if it does, and what follows."""

    provider: str | None
    path: str


def target_of(raw_path: bytes) -> Target | None:
    """Take the path apart; None if it is no text. Resources begin with a capital letter, providers' names do not."""
    try:
        path = raw_path.decode("ascii")[len(MOUNT) :]
    except UnicodeDecodeError:
        return None
    first, _, rest = path.lstrip("/").partition("/")
    if PROVIDER_NAME.fullmatch(first):
        return Target(first, f"/{rest}")
    return Target(None, path or "/")


@dataclass(frozen=True, slots=True)
class Admitted:
    """A client that was let in, its provider's settings, and where its request goes."""

    client: ScimClient
    provider: SsoProvider
    target: Target


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of a client that was let in, with its whole body."""

    scope: Scope
    headers: Mapping[str, str]
    admitted: Admitted
    raw: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """An answer in bytes."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, answer: ScimAnswer) -> Told:
        """Write an answer down."""
        body = b"" if answer.body is None else json.dumps(answer.body, separators=(",", ":")).encode()
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
        headers += _ALWAYS
        if answer.status == UNAUTHORIZED:
            headers += _CHALLENGES
        if answer.body is not None:
            headers.append((b"content-type", f"{SCIM_JSON}; charset=utf-8".encode()))
        if answer.status not in _BODILESS:
            headers.append((b"content-length", str(len(body)).encode()))
        return cls(answer.status, headers, body)


class ScimEndpoint:
    """Serves every request below /scim/v2 of one worker, in the event loop's thread."""

    def __init__(self, services: Services, bridge: Bridge) -> None:
        self._store = services.store
        self._settings = services.settings.http
        self._book = ProviderBook(services.store, services.settings)
        self._clients = ScimClients(services.store, time.time)
        self._log = RequestLog(services.store.scim_log)
        self._bridge = bridge
        self._rate = Rate()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = _headers(scope)
        try:
            declared = declared_length(scope["headers"])
        except MalformedLength:
            await _send(send, Told.of(refusal(ScimError(400, "The request's length cannot be told."))), closes=True)
            return
        body = Body(receive, declared=declared, idle_timeout_s=self._settings.body_idle_timeout_s)
        try:
            await self._serve(scope, headers, body, send)
        except ClientGone:
            raise CutConnection from None

    async def close(self) -> None:
        """Write the rest of the provisioning log."""
        await asyncio.to_thread(self._log.close)

    async def _serve(self, scope: Scope, headers: Mapping[str, str], body: Body, send: Send) -> None:
        found = await self._let_in(scope, headers)
        if isinstance(found, ScimAnswer):
            await _send(send, Told.of(found), closes=not await _drained(body, STRANGERS_BODY))
            return
        if not self._rate.admit(found.client.provider, found.provider.max_requests_per_s, time.monotonic()):
            busy = ScimError(429, f"More than {found.provider.max_requests_per_s} requests a second; try again.")
            await self._refuse(scope, headers, found, refusal(busy, {"Retry-After": "1"}), body, send)
            return
        try:
            raw = await body.whole(_limit_of(found.target))
        except ClientGone:
            raise
        except BodyError as error:
            await self._refuse(scope, headers, found, refusal(_of_body(error, found.target)), body, send)
            return
        if raw.count(b"{") + raw.count(b"[") > MAX_MARKS:
            await self._refuse(
                scope, headers, found, refusal(ScimError(413, "The body has too many values.")), body, send
            )
            return
        exchange = Exchange(scope, headers, found, raw)
        is_search = scope["method"] in {"GET", "HEAD"} or found.target.path.endswith("/.search")
        told = await (self._bridge.look_up if is_search else self._bridge.provision)(self._answered, exchange)
        await _send(send, told, bodiless=scope["method"] == "HEAD")

    def _answered(self, exchange: Exchange) -> Told:
        """Let the service answer; blocking."""
        started = time.monotonic()
        scope, found = exchange.scope, exchange.admitted
        request = ScimRequest(
            method="GET" if scope["method"] == "HEAD" else scope["method"],
            path=found.target.path,
            query=scope["query_string"].decode("latin-1"),
            headers=exchange.headers,
            body=exchange.raw,
        )
        base = _base(exchange.headers, found.target)
        client = found.client
        service = ScimService(self._store, client.provider, found.provider, base, token_id=client.token_id)
        answer = service.answer(request)
        told = Told.of(answer)
        self._record(exchange, answer, (time.monotonic() - started) * 1000, len(told.body))
        return told

    async def _refuse(  # noqa: PLR0917 - what one exchange is made of
        self, scope: Scope, headers: Mapping[str, str], found: Admitted, answer: ScimAnswer, body: Body, send: Send
    ) -> None:
        """Answer a request of a client that was let in without asking the service."""
        self._record(Exchange(scope, headers, found, b""), answer, 0.0)
        await _send(send, Told.of(answer), closes=not await _drained(body, CLIENTS_BODY))

    async def _let_in(self, scope: Scope, headers: Mapping[str, str]) -> ScimAnswer | Admitted:
        """Give the client with its provider's settings, or the answer that refuses it."""
        target = target_of(scope["raw_path"])
        if target is None:
            return refusal(ScimError(404, "There is nothing here."))
        if scope["scheme"] != "https":
            return refusal(ScimError(403, "Use HTTPS."))
        peer: str = scope["client"][0]
        try:
            return await self._bridge.provision(self._identify, headers.get("authorization"), target, peer)
        except StoreError as error:
            log.warning("scim.store_unreachable", error=str(error))
            unavailable = ScimError(503, "The user store does not answer; try again.")
            return refusal(unavailable, {"Retry-After": str(UNAVAILABLE_RETRY_S)})

    def _identify(self, authorization: str | None, target: Target, peer: str) -> ScimAnswer | Admitted:
        named = target.provider
        is_provider = named is None or self._book.sso(named) is not None
        client = self._clients.let_in(authorization, named if is_provider else None, peer)
        if not is_provider and isinstance(client, ScimClient):  # a mistyped path, and no wrong credential
            return refusal(ScimError(404, "There is nothing here."))
        provider = None if isinstance(client, ClientRefusal) else self._book.sso(client.provider)
        if isinstance(client, ClientRefusal) or provider is None:  # a token may outlive its provider
            return refusal(ScimError(UNAUTHORIZED, "The credential is not accepted."))
        return Admitted(client, provider, target)

    def _record(self, exchange: Exchange, answer: ScimAnswer, duration_ms: float, size: int = 0) -> None:
        scope = exchange.scope
        query = scope["query_string"].decode("latin-1")
        row = ScimRequestRow(
            at=time.time(),
            provider=exchange.admitted.client.provider,
            token_id=exchange.admitted.client.token_id,
            peer=scope["client"][0],
            user_agent=exchange.headers.get("user-agent", ""),
            method=scope["method"],
            path=kept_path(scope["raw_path"].decode("latin-1"), query),
            status=answer.status,
            duration_ms=round(duration_ms, 2),
            subject=answer.subject,
            changed=answer.changed,
            request=kept_body(exchange.raw),
            response=kept_json(answer.body) if size <= MAX_ANSWER_KEPT else f"({size} bytes)",
        )
        self._log.write(row)


def _headers(scope: Scope) -> dict[str, str]:
    """Give the first header of each name, which is in lower case."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found


def _base(headers: Mapping[str, str], target: Target) -> str:
    """Give the URL under which the client reached us, for links; relative if it said no host that could be one."""
    host = headers.get("host", "")
    root = f"https://{host}" if _HOST.fullmatch(host) else ""
    return f"{root}{MOUNT}/{target.provider}" if target.provider else f"{root}{MOUNT}"


def _limit_of(target: Target) -> int:
    return MAX_BODY if target.path.startswith("/Groups") else MAX_OTHER_BODY


def _of_body(error: BodyError, target: Target) -> ScimError:
    match error:
        case BodyTooLarge():
            return ScimError(413, f"A body has at most {_limit_of(target)} bytes here.")
        case BodyStalled():
            return ScimError(408, "The body stopped coming.")
        case _:
            return ScimError(400, "The body is not as long as announced.", "invalidSyntax")


async def _drained(body: Body, limit: int) -> bool:
    """Read an unwanted body up to a limit, so that the client gets to reading the answer; whether it ended."""
    with contextlib.suppress(BodyError, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while not body.finished and body.received < limit:
                await body.block(limit // 64)
    return body.finished


async def _send(send: Send, told: Told, *, closes: bool = False, bodiless: bool = False) -> None:
    closing = [(b"connection", b"close")] if closes else []
    await send({"type": "http.response.start", "status": told.status, "headers": [*told.headers, *closing]})
    await send({"type": "http.response.body", "body": b"" if bodiless else told.body, "more_body": False})
