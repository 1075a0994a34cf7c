"""OpenID Connect Back-Channel Logout 1.0 over the real HTTPS port, two workers."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from auth_backends.oidc.logout import EVENT
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider
from server.providers import put_provider
from storage.database.changes import CreateUser, LinkIdentity
from storage.database.records import Method
from storage.database.sealing import ensure_site_key
from tests.support.oidc_provider_double import SECRET, Provider, rsa_key, signed
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
ROUTE = "/sso/op/back-channel"
PEOPLE = ("ann", "bob")
STRANGERS = 24  # more than a worker has threads that may wait for other servers


@dataclass
class LogoutSite:
    """A running server with a provider, at which ann and bob are linked by their ``sub``."""

    server: QuaymasterServer
    provider: Provider

    def sign_in(self, browser: SsoBrowser, name: str, sid: str) -> None:
        """Sign somebody in, in a session of the provider's."""
        self.provider.alter = lambda claims: {**claims, "sub": f"sub-of-{name}", "sid": sid}
        away = browser.client.get("/sso/op/start")
        query = self.provider.browse(away.headers["location"])
        landed = browser.get(f"/sso/op/callback?{urlencode(query)}")
        assert (landed.status_code, browser.name()) == (303, name), landed.text

    def token(self, key: str = "one", **changes: Any) -> str:
        """A proper logout token with changes; None leaves a claim out."""
        now = int(time.time())
        proper = {
            "iss": self.provider.issuer,
            "aud": self.provider.client_id,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_hex(8),
            "events": {EVENT: {}},
        }
        claims = {name: value for name, value in {**proper, **changes}.items() if value is not None}
        return signed(claims, rsa_key(key), typ="logout+jwt")

    def post(self, token: str, **more: str) -> httpx.Response:
        """Post a token as the provider's server does: without cookies, on a connection of its own."""
        with SsoBrowser(self.server) as machine:
            return machine.client.post(ROUTE, data={"logout_token": token, **more})


def options_of(provider: Provider) -> SsoProvider:
    """The settings of a provider on this machine."""
    return SsoProvider(
        method=SsoMethod.OIDC,
        issuer=provider.issuer,
        client_id=provider.client_id,
        client_secret=SECRET,
        private_hosts=True,
    )


def with_site_key(server: QuaymasterServer) -> Settings:
    """The settings of a server that has a key to seal secrets with."""
    settings = Settings(data=server.data)
    ensure_site_key(settings.site_key_file)
    return settings


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest) -> Iterator[LogoutSite]:
    """Two workers a front end, on each kind of database."""
    environment = {}
    if request.param == "postgresql":
        environment["QUAYMASTER_DATABASE__URL"] = request.getfixturevalue("postgres_server").new_database("logout")
    with closing(Provider()) as provider, QuaymasterServer(workers=2, environment=environment) as server:
        server.store.apply(put_provider("op", options_of(provider), with_site_key(server)), actor="test")
        for name in PEOPLE:
            user = server.store.apply(CreateUser(name, Method.OIDC, provider="op"), actor="test").subject_id
            server.store.apply(LinkIdentity(user, "op", f"sub-of-{name}"), actor="test")
        yield LogoutSite(server, provider)


@pytest.fixture
def browsers(site: LogoutSite) -> Iterator[list[SsoBrowser]]:
    """Ann in two sessions of the provider's, bob in one."""
    with SsoBrowser(site.server) as first, SsoBrowser(site.server) as second, SsoBrowser(site.server) as third:
        site.sign_in(first, "ann", "sid-1")
        site.sign_in(second, "ann", "sid-2")
        site.sign_in(third, "bob", "sid-3")
        yield [first, second, third]


def names(browsers: list[SsoBrowser]) -> list[str | None]:
    """Who is signed in where, asked often enough to meet both workers."""
    seen = [{browser.name() for _ in range(4)} for browser in browsers]
    assert all(len(one) == 1 for one in seen)
    return [one.pop() for one in seen]


def test_a_session_id_ends_that_session(site: LogoutSite, browsers: list[SsoBrowser]) -> None:
    """On both workers, and it is in the audit trail."""
    answer = site.post(site.token(sid="sid-1"))
    event = site.server.store.audit.tail(kind="portal.single_logout", limit=1)[0]

    assert (answer.status_code, answer.headers["cache-control"], answer.content) == (200, "no-store", b"")
    assert names(browsers) == [None, "ann", "bob"]
    assert "portal.sessions_ended" in site.server.log
    assert (event.actor, event.subject, event.outcome) == ("sso:op", "ann", "ok")
    assert event.detail == {"sessions": 1, "by": "back_channel"}


def test_a_subject_ends_all_sessions_of_the_person(site: LogoutSite, browsers: list[SsoBrowser]) -> None:
    """And nobody else's; keys go on working."""
    assert site.post(site.token(sub="sub-of-ann")).status_code == 200
    assert names(browsers) == [None, None, "bob"]


def test_both_together_name_one_session(site: LogoutSite, browsers: list[SsoBrowser]) -> None:
    """Where one of them does not fit, nothing ends."""
    other = site.post(site.token(sub="sub-of-bob", sid="sid-1"))
    before = names(browsers)
    site.post(site.token(sub="sub-of-ann", sid="sid-2"))

    assert other.status_code == 200
    assert before == ["ann", "ann", "bob"]
    assert names(browsers) == ["ann", None, "bob"]


def test_a_session_that_is_not_here_is_signed_out_already(site: LogoutSite, browsers: list[SsoBrowser]) -> None:
    """Section 2.7: that is a success."""
    answers = [site.post(site.token(sid="never-seen")), site.post(site.token(sub="sub-of-nobody"))]

    assert [one.status_code for one in answers] == [200, 200]
    assert names(browsers) == ["ann", "ann", "bob"]


def test_a_token_counts_once_on_all_workers(site: LogoutSite, browsers: list[SsoBrowser]) -> None:
    """Also where only the jti is the same: who has kept one ends no later session by it."""
    token = site.token(sub="sub-of-ann", jti="once")
    first = site.post(token)
    site.sign_in(browsers[0], "ann", "sid-9")
    again = [site.post(token) for _ in range(6)] + [site.post(site.token(sub="sub-of-ann", jti="once"))]

    assert first.status_code == 200
    assert {one.status_code for one in again} == {400}
    assert names(browsers) == ["ann", None, "bob"]


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "attacker"},
        {"nonce": "n"},
        {"aud": "another client"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"iat": 4_000_000_000},
        {"jti": None},
        {"events": None},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"sub": None},
        {"sub": "x" * 90_000},
        {"sub": "x" * 900_000},
        {"sid": ["sid-1"]},
    ],
    ids=[
        "forged",
        "with nonce",
        "wrong aud",
        "wrong iss",
        "old",
        "of the future",
        "no jti",
        "no event",
        "another event",
        "nobody",
        "a large token",
        "a large form",
        "a strange sid",
    ],
)
def test_a_wrong_token_ends_nothing(site: LogoutSite, browsers: list[SsoBrowser], changes: dict[str, Any]) -> None:
    """Section 2.8: 400, and nothing that a cache may keep; for each reason the same answer."""
    answer = site.post(site.token(**{"sub": "sub-of-ann", **changes}))

    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
    assert answer.headers["cache-control"] == "no-store"
    assert names(browsers) == ["ann", "ann", "bob"]


def test_what_is_no_logout_is_refused(site: LogoutSite, browsers: list[SsoBrowser]) -> None:
    """No token, two, an ID token, no form, another method, another provider's address."""
    id_token = site.provider.token(site.provider.claims("n", sub="sub-of-ann"))
    with SsoBrowser(site.server) as machine:
        form = {"content-type": "application/x-www-form-urlencoded"}
        twice = urlencode([("logout_token", site.token(sub="sub-of-ann"))] * 2)
        answers = [
            machine.client.post(ROUTE),
            machine.client.post(ROUTE, content=twice, headers=form),
            machine.client.post(ROUTE, data={"logout_token": id_token}),
            machine.client.post(ROUTE, json={"logout_token": site.token(sub="sub-of-ann")}),
            machine.client.post("/sso/nobody/back-channel", data={"logout_token": site.token(sub="sub-of-ann")}),
        ]
        got = machine.client.get(ROUTE, params={"logout_token": site.token(sub="sub-of-ann")})

    assert [one.status_code for one in answers] == [400] * 5
    assert got.status_code == 405
    assert names(browsers) == ["ann", "ann", "bob"]


def test_a_provider_whose_keys_cannot_be_had_ends_nothing(site: LogoutSite, browsers: list[SsoBrowser]) -> None:
    """Fails closed, with the answer that lets the provider try again."""
    answer = site.post(site.token(key="not published yet", sub="sub-of-ann"))

    assert answer.status_code == 400
    assert names(browsers) == ["ann", "ann", "bob"]


class Held(list[Any]):
    """Keys of a provider that says nothing until it may."""

    def __init__(self, keys: list[Any]) -> None:
        super().__init__(keys)
        self.asked, self.go_on = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Any]:
        """Give them, once they may be given."""
        self.asked.set()
        assert self.go_on.wait(60)
        return super().__iter__()


def test_a_flood_holds_up_nobody_else() -> None:
    """While the provider gives its keys to nobody, tokens of strangers wait; passwords and other providers do not."""
    with closing(Provider()) as slow, closing(Provider()) as other, QuaymasterServer() as server:
        held = Held(slow.keys)
        slow.keys = held
        server.store.apply(put_provider("op", options_of(slow), with_site_key(server)), actor="test")
        server.store.apply(put_provider("other", options_of(other), with_site_key(server)), actor="test")
        server.add_user("lola", password="right horse")
        forged = {"logout_token": LogoutSite(server, slow).token(key="attacker", sub="x")}
        with SsoBrowser(server) as machine, SsoBrowser(server) as person, ThreadPoolExecutor(STRANGERS) as strangers:
            person.get("/sso/other/start")  # connected, and the provider known: only the wait for a turn is left
            answers = [strangers.submit(machine.client.post, ROUTE, data=forged) for _ in range(STRANGERS)]
            assert held.asked.wait(30)
            begun = person.get("/sso/other/start")
            waiting = [one for one in answers if not one.done()]
            person.sign_in("lola", "right horse")
            who = person.name()
            held.go_on.set()

        assert (begun.status_code, len(waiting), who) == (303, STRANGERS, "lola")
        assert {one.result().status_code for one in answers} == {400}
