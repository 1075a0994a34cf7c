"""Providers whose servers take connections and say nothing: nobody else waits for them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest

from config.settings import Settings
from config.sso import SsoMethod, SsoProvider
from server.http.sso.turns import AT_ONCE
from server.providers import put_provider
from storage.database.changes import CreateUser, LinkIdentity
from storage.database.records import Method
from storage.database.sealing import ensure_site_key
from tests.support.oidc_provider_double import SECRET, Provider
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
SLOW = ("slow", "slower")
WAITING = 40
"""More than a worker has threads of any kind for sign-in."""


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that takes connections and answers none; closing it ends them."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        listening.settimeout(30)
        yield listening


@pytest.fixture
def server(silent: socket.socket) -> Iterator[QuaymasterServer]:
    """One worker a front end, two slow providers, the provider ``op`` where ann is linked, and lola's password."""
    with closing(Provider()) as provider, QuaymasterServer() as running:
        settings = Settings(data=running.data)
        ensure_site_key(settings.site_key_file)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/metadata"
        slow = SsoProvider(method=SsoMethod.SAML, metadata_url=url, private_hosts=True)
        for name in SLOW:
            running.store.apply(put_provider(name, slow, settings), actor="test")
        op = SsoProvider(
            method=SsoMethod.OIDC,
            issuer=provider.issuer,
            client_id=provider.client_id,
            client_secret=SECRET,
            private_hosts=True,
        )
        running.store.apply(put_provider("op", op, settings), actor="test")
        ann = running.store.apply(CreateUser("ann", Method.OIDC, provider="op"), actor="test").subject_id
        running.store.apply(LinkIdentity(ann, "op", provider.claims("n")["sub"]), actor="test")
        running.add_user("lola", password="right horse")
        yield running


def starts(server: QuaymasterServer, provider: str) -> Callable[[], int]:
    """Begin a sign-in at a slow provider, in a browser of its own; the status."""

    def one() -> int:
        with SsoBrowser(server) as browser:
            return browser.get(f"/sso/{provider}/start").status_code

    return one


def sign_in_at_op(browser: SsoBrowser) -> str | None:
    """The whole way at the other provider; who is signed in."""
    back = httpx.get(browser.get("/sso/op/start").headers["location"], trust_env=False).headers["location"]
    browser.get(back.removeprefix(browser.origin))
    return browser.name()


def test_silent_providers_hold_up_nobody_else(server: QuaymasterServer, silent: socket.socket) -> None:
    """While forty people wait for two of them, a password, WebDAV and another provider let people in."""
    with ThreadPoolExecutor(WAITING) as strangers, SsoBrowser(server) as lola, SsoBrowser(server) as ann:
        waiting: list[Future[int]] = [strangers.submit(starts(server, SLOW[n % 2])) for n in range(WAITING)]
        connections = [silent.accept()[0] for _ in range(2 * AT_ONCE)]  # as many as there can be are under way
        lola.sign_in("lola", "right horse")
        dav = lola.client.request("PROPFIND", "/dav/", auth=("lola", "right horse"), headers={"Depth": "0"})
        names = lola.name(), sign_in_at_op(ann)
        done = sum(one.done() for one in waiting)
        silent.close()
        for connection in connections:
            connection.close()
        answers = {one.result() for one in waiting}

    assert (names, dav.status_code, done) == (("lola", "ann"), 207, 0)
    assert answers == {503}
