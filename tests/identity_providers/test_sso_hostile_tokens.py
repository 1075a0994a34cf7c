"""Whatever a provider's server signs, or does not: over HTTPS, two workers, from oauth2-mock-server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from storage.database.changes import Provision
from storage.database.records import Method, Owner
from tests.support.identity_providers.node import NodeServer
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system

SUBJECT = "the-immutable-id-of-ann"
REFUSED = "You could not be signed in."
FAR = 10**10


@dataclass(frozen=True, slots=True)
class MockSite:
    """A running server, at whose provider nobody needs to prove anything."""

    server: QuaymasterServer
    provider: NodeServer
    wish: Path

    def sign_in(self, browser: SsoBrowser, **wish: object) -> httpx.Response:
        """Go there and back; the provider's tokens are as wished."""
        self.wish.write_text(json.dumps(wish))
        away = browser.get("/sso/mock/start")
        back = httpx.get(away.headers["location"], trust_env=False).headers["location"]
        assert back.startswith(f"{browser.origin}/sso/mock/callback?")
        return browser.get(f"{urlsplit(back).path}?{urlsplit(back).query}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockSite]:
    """Two workers a front end, and the mock."""
    wish = tmp_path_factory.mktemp("mock") / "wish.json"
    with NodeServer("mock.mjs", subject=SUBJECT, wish=str(wish)) as provider, QuaymasterServer(workers=2) as server:
        options = ["--method=oidc", f"--issuer={provider.issuer}", "--client-id=quaymaster", "--private-hosts=on"]
        added = server.cli("provider", "add", "sso", "mock", *options, "--client-secret-stdin", stdin="secret")
        assert added.returncode == 0, added.stderr
        server.store.apply(Provision("mock", Owner.SCIM, Method.OIDC, SUBJECT, "ann"), actor="test")
        yield MockSite(server, provider, wish)


@pytest.fixture
def browser(site: MockSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    with SsoBrowser(site.server) as one:
        yield one


def test_a_good_token_lets_in(site: MockSite, browser: SsoBrowser) -> None:
    """Without this the refusals below would show nothing."""
    assert site.sign_in(browser).status_code == 303
    assert browser.name() == "ann"


ELSEWHERE = "http://127.0.0.1:9/keys"
HOSTILE = {
    "unsigned": ({"forge": "unsigned"}, "forbidden_algorithm"),
    "signed with the public key as a secret": ({"forge": "symmetric"}, "forbidden_algorithm"),
    "changed after it was signed": ({"forge": "changed"}, "bad_signature"),
    "no ID token": ({"forge": "absent"}, "malformed"),
    "of a stranger's key": ({"forge": "own_key"}, "bad_signature"),
    "brings a stranger's key": ({"forge": "own_key", "header": {"jwk": True}}, "bad_signature"),
    "says where a stranger's key is": ({"forge": "own_key", "header": {"jku": ELSEWHERE}}, "bad_signature"),
    "says where a stranger's certificate is": ({"forge": "own_key", "header": {"x5u": ELSEWHERE}}, "bad_signature"),
    "an extension that must be understood": ({"header": {"crit": ["b64"], "b64": True}}, "malformed"),
    "an unknown key": ({"header": {"kid": "nobody-knows"}}, "unknown_signing_key"),
    "another issuer": ({"claims": {"iss": "https://login.example"}}, "wrong_issuer"),
    "for another client": ({"claims": {"aud": "another"}}, "wrong_audience"),
    "for us among others": ({"claims": {"aud": ["quaymaster", "another"]}}, "wrong_audience"),
    "made for another": ({"claims": {"aud": ["quaymaster", "other"], "azp": "other"}}, "wrong_audience"),
    "no nonce": ({"claims": {"nonce": None}}, "wrong_nonce"),
    "another nonce": ({"claims": {"nonce": "of-another-sign-in"}}, "wrong_nonce"),
    "never runs out": ({"claims": {"exp": None}}, "out_of_time"),
    "has run out": ({"claims": {"exp": 1_700_000_000, "iat": 1_600_000_000}}, "out_of_time"),
    "of the future": ({"claims": {"iat": FAR, "exp": FAR + 60}}, "out_of_time"),
    "names nobody": ({"claims": {"sub": None}}, "subject_missing"),
    "names somebody else": (
        {"claims": {"sub": "somebody-else", "email": "ann", "preferred_username": "ann"}},
        "not_linked",
    ),
    "names a list": ({"claims": {"sub": [SUBJECT]}}, "subject_missing"),
}


@pytest.mark.parametrize(("wish", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_token_lets_nobody_in(
    site: MockSite, browser: SsoBrowser, wish: dict[str, object], reason: str
) -> None:
    """One text and one status for all of them; the reason is for the admin alone."""
    answer = site.sign_in(browser, **wish)

    assert answer.status_code == 403
    assert REFUSED in answer.text
    assert browser.name() is None
    assert site.server.store.sso_answers.list("mock", 1)[0].reason == reason
