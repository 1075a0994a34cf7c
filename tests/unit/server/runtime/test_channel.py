"""The line between supervisor and worker."""

from __future__ import annotations

import socket

import pytest

from server.runtime.channel import MAX_LINE, Channel, Lines, encode


def test_messages_survive_any_cut() -> None:
    """However the bytes arrive, the messages come out whole and in order."""
    sent: list[dict[str, object]] = [{"event": "ready"}, {"text": "two\nlines, ünïcode"}]
    data = b"".join(encode(message) for message in sent)
    for step in (1, 3, len(data)):
        lines = Lines()
        pieces = (data[at : at + step] for at in range(0, len(data), step))
        assert [message for piece in pieces for message in lines.feed(piece)] == sent


@pytest.mark.parametrize("data", [b"not json\n", b"[1]\n", b"x" * (MAX_LINE + 1)])
def test_nonsense_raises(data: bytes) -> None:
    """What is no JSON object, or never ends, is not silently dropped."""
    with pytest.raises(ValueError):  # noqa: PT011 - json's own error is one of them
        list(Lines().feed(data))


def test_the_end_of_the_supervisor_is_none() -> None:
    """A worker that waits for a message learns that nobody will send one, and sending does not raise."""
    ours, theirs = socket.socketpair()
    channel = Channel(theirs.detach())
    ours.sendall(encode({"command": "drain"}))
    ours.close()

    assert channel.receive() == {"command": "drain"}
    assert channel.receive() is None
    channel.send({"event": "ready"})
