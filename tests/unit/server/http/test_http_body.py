"""A body is complete or an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from server.http.body import (
    Body,
    BodyIncomplete,
    BodyStalled,
    BodyTooLarge,
    ClientGone,
    MalformedLength,
    declared_length,
)
from server.http.listener import Message

GONE: Message = {"type": "http.disconnect"}


def piece(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


def body(*messages: Message, declared: int | None = None, idle_timeout_s: float = 5.0) -> Body:
    """A body from these messages; after them nothing comes."""
    waiting = list(messages)

    async def receive() -> Message:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    return Body(receive, declared=declared, idle_timeout_s=idle_timeout_s)


def run(act: Callable[[], Awaitable[bytes]]) -> bytes:
    async def main() -> bytes:
        return await act()

    return asyncio.run(main())


@pytest.mark.parametrize("declared", [None, 5])
def test_a_whole_body(declared: int | None) -> None:
    """All pieces in order, empty ones among them, and then its end, for ever."""
    source = body(piece(b"ab"), piece(b""), piece(b"cde"), piece(b"", more=False), declared=declared)

    assert run(lambda: source.whole(5)) == b"abcde"
    assert (source.finished, source.received, run(source.next)) == (True, 5, b"")


@pytest.mark.parametrize(
    ("messages", "declared", "error"),
    [
        ([piece(b"ab"), GONE], None, ClientGone),
        ([GONE], 0, ClientGone),
        ([piece(b"ab"), GONE], 2, ClientGone),
        ([piece(b"ab", more=False)], 3, BodyIncomplete),
        ([piece(b"abcd"), piece(b"", more=False)], 3, BodyIncomplete),
        ([piece(b"", more=False)], 3, BodyIncomplete),
        ([piece(b"a" * 11, more=False)], None, BodyTooLarge),
        ([], 11, BodyTooLarge),
    ],
)
def test_anything_less_is_an_error(messages: list[Message], declared: int | None, error: type[Exception]) -> None:
    """A client that vanished is never a client that finished."""
    with pytest.raises(error):
        run(lambda: body(*messages, declared=declared).whole(10))


def test_a_body_that_stops_coming_is_given_up() -> None:
    """The server underneath has no such limit."""
    with pytest.raises(BodyStalled):
        run(lambda: body(piece(b"a"), idle_timeout_s=0.05).whole(10))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], 0),
        ([(b"content-length", b"5")], 5),
        ([(b"content-length", b"5"), (b"content-length", b"5")], 5),
        ([(b"transfer-encoding", b"chunked")], None),
    ],
)
def test_the_promised_length(headers: list[tuple[bytes, bytes]], expected: int | None) -> None:
    """From Content-Length, or None for a chunked body."""
    assert expected == declared_length(headers)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"5"), (b"content-length", b"6")],
        [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"-5")],
        [(b"content-length", b"x")],
        [(b"content-length", b"")],
    ],
)
def test_doubtful_lengths_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    """Where two servers could read two requests out of one text, none is served."""
    with pytest.raises(MalformedLength):
        declared_length(headers)
