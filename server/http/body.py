"""A request's body as it comes in: complete, or an error. Never a quiet end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from server.http.listener import Receive


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

    async def next(self) -> bytes:
        """Give the next bytes; ``b""`` once, and for ever after, the whole body was received.

        Raises ClientGone, BodyStalled or BodyIncomplete.
        """
        while self._more:
            try:
                async with asyncio.timeout(self._idle_timeout_s):
                    message = await self._receive()
            except TimeoutError:
                raise BodyStalled from None
            if message["type"] != "http.request":
                raise ClientGone
            self._more = bool(message.get("more_body"))
            data: bytes = message.get("body", b"")
            self.received += len(data)
            over = self._declared is not None and self.received > self._declared
            short = self._declared is not None and not self._more and self.received < self._declared
            if over or short:
                raise BodyIncomplete
            if data:
                return data
        return b""

    async def whole(self, limit: int) -> bytes:
        """Give the body in one piece. Raises BodyTooLarge beyond ``limit`` bytes, else as :meth:`next`."""
        if self._declared is not None and self._declared > limit:
            raise BodyTooLarge
        pieces: list[bytes] = []
        while piece := await self.next():
            if self.received > limit:
                raise BodyTooLarge
            pieces.append(piece)
        return b"".join(pieces)

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
