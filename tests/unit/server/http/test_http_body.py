"""A body is complete or an error."""

from __future__ import annotations

import asyncio
import selectors
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
    assert (source.finished, source.received, run(lambda: source.block(1))) == (True, 5, b"")


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


def test_blocks_are_as_large_as_asked_for() -> None:
    """Small pieces are joined, and the last block is what is left."""
    source = body(*[piece(b"ab")] * 5, piece(b"c", more=False))

    assert [run(lambda: source.block(3)) for _ in range(4)] == [b"abab", b"abab", b"abc", b""]


class Hurried(selectors.DefaultSelector):
    """Lets the time that a loop would wait pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


def test_a_body_that_comes_slowly_is_not_given_up() -> None:
    """Each byte renews the patience: ten bytes in ten minutes are fine, one minute without a byte is not."""
    selector = Hurried()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]  # a loop whose time a test can pass
    pauses = [59.0] * 10

    async def receive() -> Message:
        await asyncio.sleep(pauses.pop(0) if pauses else 61.0)
        return piece(b"a", more=len(pauses) > 0)

    source = Body(receive, declared=None, idle_timeout_s=60.0)
    assert loop.run_until_complete(source.whole(10)) == b"a" * 10
    stalled = Body(receive, declared=None, idle_timeout_s=60.0)
    with pytest.raises(BodyStalled):
        loop.run_until_complete(stalled.whole(10))
    loop.close()


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
