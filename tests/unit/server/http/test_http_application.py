"""Health on the HTTPS port: alive is not the same as ready."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from server.http.app import HttpApplication
from server.http.listener import Message, Receive, Scope, Send
from server.runtime.bridge import Bridge
from storage.database.store import Store


async def nothing() -> Message:
    """A request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def below_dav(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand in for WebDAV and SCIM."""
    raise AssertionError


@pytest.fixture
def application(sqlite_store: Store) -> Iterator[HttpApplication]:
    bridge = Bridge(1, 1)
    yield HttpApplication(sqlite_store, bridge, below_dav, below_dav, below_dav)
    bridge.shutdown()


def ask(application: HttpApplication, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Give the status and the body."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": []}
    asyncio.run(application(scope, nothing, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_a_worker_with_its_store_is_alive_and_ready(application: HttpApplication) -> None:
    """200 on both."""
    assert ask(application, "/healthz")[0] == 200
    assert ask(application, "/readyz")[0] == 200


def test_without_the_store_a_worker_is_alive_and_not_ready(application: HttpApplication, sqlite_store: Store) -> None:
    """A load balancer sends nobody here, and nobody restarts the worker for it; no detail is told."""
    sqlite_store.close()

    assert ask(application, "/healthz")[0] == 200
    assert ask(application, "/readyz") == (503, b"The user store does not answer.\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_can_be_asked_for_and_nothing_else(application: HttpApplication, path: str) -> None:
    """HEAD has no body; other methods are refused."""
    assert ask(application, path, "HEAD") == (200, b"")
    assert ask(application, path, "POST")[0] == 405
