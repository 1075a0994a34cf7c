"""From ASGI to the handlers and back: when the status counts, who is waited for, and what handlers get to know."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, cast

import pytest

from server.http.body import Body
from server.http.listener import CutConnection, Message
from server.runtime.bridge import Bridge
from server.webdav.environ import environ_of
from server.webdav.request import DavRequest
from server.webdav.wsgi_bridge import WsgiCall, respond
from storage.files.path import VirtualPath

Send = Callable[[Message], Awaitable[None]]


class Application:
    """A WSGI generator that sets its status only when its first piece is asked for, as WsgiDAV's are."""

    def __init__(self, pieces: Iterable[bytes], *, fails: bool = False) -> None:
        self._pieces = pieces
        self._fails = fails
        self.given = 0
        self.closed = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        try:
            start_response("404 Not Found", [("X-Late", "yes")])
            for piece in self._pieces:
                self.given += 1
                yield piece
            if self._fails:
                raise OSError("the disk is gone")
        finally:
            self.closed = True


class Client:
    """The other end: takes what is sent, or nothing from some piece on, or leaves."""

    def __init__(self, *, takes: int = 1000, leaves: bool = False) -> None:
        self.messages: list[Message] = []
        self._takes = takes
        self._leaves = leaves

    async def receive(self) -> Message:
        if not self._leaves or len(self.messages) < 2:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if len(self.messages) >= self._takes:
            await asyncio.Event().wait()
        self.messages.append(message)
        await asyncio.sleep(0)  # the one who waits for the end gets a turn


def run(application: Application, client: Client, *, patience_s: float = 10.0) -> None:
    async def answered() -> None:
        bridge = Bridge(1, 1)
        body = Body(client.receive, declared=0, idle_timeout_s=patience_s)
        try:
            await asyncio.wait_for(respond(WsgiCall(application, {}), bridge, body, client.send, patience_s), 10)
        finally:
            bridge.shutdown()

    asyncio.run(answered())


def test_the_status_is_the_one_that_is_set_with_the_first_piece() -> None:
    """Granian's own WSGI interface reads it before, and every answer of a generator is 200 without headers."""
    client = Client()
    application = Application([b"no", b" such", b" file"])
    run(application, client)

    assert client.messages[0]["status"] == 404
    assert (b"x-late", b"yes") in client.messages[0]["headers"]
    assert b"".join(message["body"] for message in client.messages[1:]) == b"no such file"
    assert client.messages[-1]["more_body"] is False
    assert application.closed


def test_a_client_that_takes_nothing_is_given_up() -> None:
    """A download that nobody reads ends after the idle time, and its file is closed; the HTTP server has no limit."""
    application = Application(b"piece" for _ in range(1000))
    with pytest.raises(CutConnection):
        run(application, Client(takes=3), patience_s=0.1)

    assert application.closed
    assert application.given < 10


def test_a_client_that_left_is_sent_no_more() -> None:
    """The HTTP server swallows what is sent to nobody; the rest of the file is not read for it."""
    application = Application(b"piece" for _ in range(1000))
    run(application, Client(leaves=True))

    assert application.closed
    assert application.given < 10


def test_an_answer_that_fails_half_way_breaks_the_connection() -> None:
    """Its end must not look like the end of the file."""
    client = Client()
    with pytest.raises(CutConnection):
        run(Application([b"first", b"second"], fails=True), client)

    assert client.messages[-1]["more_body"] is True


def test_handlers_see_nothing_of_the_process_s_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Granian's WSGI interface would merge it in, secrets and all; nor does a header with "_" pass for another."""
    monkeypatch.setenv("QUAYMASTER_TEST_SECRET", "secret")
    request = cast("DavRequest", type("Request", (), {"path": VirtualPath()}))
    scope = {
        "method": "GET",
        "http_version": "1.1",
        "scheme": "https",
        "headers": [(b"if_match", b'"forged"'), (b"if-match", b'"real"')],
    }
    environ = environ_of(scope, request)

    assert set(environ) & set(os.environ) == set()
    assert environ["HTTP_IF_MATCH"] == '"real"'
