"""A request's body as it comes in: complete, or an error. Never a quiet end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from server.http.listener import Message, Receive

DISCARDED_BLOCK = 1 << 16


class BodyError(Exception):
    """The body did not come in whole."""


class ClientGone(BodyError):
    """The connection ended before the body did; nobody reads an answer."""


class BodyStalled(BodyError):
    """No byte came for longer than allowed: 408."""


class BodyTooLarge(BodyError):
    """There is more than the caller takes: 413."""


class BodyIncomplete(BodyError):
    """The body ended with fewer or more bytes than it was said to have: 400."""


class Body:
    """Reads one request's body from ASGI messages.

    ``declared`` is the byte count that the client promised, or None. The first read makes the
    server answer ``Expect: 100-continue``; before it, a refusal costs the client no upload.
    """

    def __init__(self, receive: Receive, *, declared: int | None, idle_timeout_s: float) -> None:
        self._receive = receive
        self._declared = declared
        self._idle_timeout_s = idle_timeout_s
        self._more = True
        self.received = 0

    @property
    def finished(self) -> bool:
        """Whether the end of the body was seen."""
        return not self._more

    async def block(self, size: int) -> bytes:
        """Give the next ``size`` bytes or somewhat more; fewer only at the end of the whole body, then ``b""``.

        Raises ClientGone, BodyStalled or BodyIncomplete.
        """
        pieces: list[bytes] = []
        held = 0
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(self._idle_timeout_s) as limit:
                armed_at = clock()
                while self._more and held < size:
                    data = self._taken(await self._receive())
                    if data:
                        pieces.append(data)
                        held += len(data)
                        if (now := clock()) - armed_at > self._idle_timeout_s / 4:  # seldom: it costs more than a piece
                            limit.reschedule(now + self._idle_timeout_s)
                            armed_at = now
        except TimeoutError:
            raise BodyStalled from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _taken(self, message: Message) -> bytes:
        if message["type"] != "http.request":
            raise ClientGone
        self._more = bool(message.get("more_body"))
        data: bytes = message.get("body", b"")
        self.received += len(data)
        if self._declared is not None and (
            self.received > self._declared or (not self._more and self.received < self._declared)
        ):
            raise BodyIncomplete
        return data

    async def whole(self, limit: int) -> bytes:
        """Give the body in one piece. Raises BodyTooLarge beyond ``limit`` bytes, else as :meth:`block`."""
        if self._declared is not None and self._declared > limit:
            raise BodyTooLarge
        data = await self.block(limit + 1)
        if len(data) > limit:
            raise BodyTooLarge
        return data

    async def discard(self) -> None:
        """Read the rest of the body and keep none of it. Raises as :meth:`block`."""
        while await self.block(DISCARDED_BLOCK):
            pass

    async def gone(self) -> None:
        """Return once the client has left; only after the whole body was received."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class MalformedLength(Exception):
    """Content-Length is no number, or is given twice with different values: 400."""


def declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Give the promised size of the body: 0 if there is none, None if it is chunked. Raises MalformedLength.

    RFC 9112 section 6.3: a message with both Transfer-Encoding and Content-Length may be an attempt
    at request smuggling.
    """
    lengths = {value.strip() for name, value in headers if name == b"content-length"}
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    if len(lengths) > 1 or (chunked and lengths):
        raise MalformedLength
    if chunked:
        return None
    if not lengths:
        return 0
    text = lengths.pop()
    if not text.isdigit():
        raise MalformedLength
    return int(text)
