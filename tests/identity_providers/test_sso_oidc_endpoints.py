"""OpenID Connect sign-in over the real HTTPS port, two workers, at a provider in the test's process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from config.settings import Settings
from config.sso import SsoMethod, SsoProvider
from server.providers import put_provider
from storage.database.changes import CreateUser, LinkIdentity
from storage.database.records import Method, Role
from storage.database.sealing import ensure_site_key
from tests.support.oidc_provider_double import SECRET, Provider, rsa_key, signed
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
REFUSED = "You could not be signed in."


@dataclass
class OidcSite:
    """A running server with a provider, at which ann is linked."""

    server: QuaymasterServer
    provider: Provider
    subject: str = ""
    tokens: list[str] = field(default_factory=list)

    def go(self, browser: SsoBrowser, return_to: str = "/account") -> dict[str, str]:
        """Be sent to the provider, sign in there, and give the query of the way back."""
        answer = browser.client.get("/sso/op/start", params={"return_to": return_to})
        assert answer.status_code == 303, answer.text
        return self.provider.browse(answer.headers["location"])

    def back(self, browser: SsoBrowser, query: dict[str, str]) -> httpx.Response:
        """Come back with this query."""
        return browser.get(f"/sso/op/callback?{urlencode(query)}")

    def reason(self, browser: SsoBrowser, response: httpx.Response) -> str:
        """The kept reason of a refusal that looked like any other and let nobody in."""
        assert response.status_code == 403
        assert REFUSED in response.text
        assert "__Host-qm_session" not in response.headers.get("set-cookie", "")
        assert browser.name() is None
        return self.server.store.sso_answers.list("op", 1)[0].reason


@pytest.fixture(scope="module")
def site() -> Iterator[OidcSite]:
    """Two workers a front end."""
    provider = Provider()
    with QuaymasterServer(workers=2) as server:
        subject = provider.claims("n")["sub"]
        settings = Settings(data=server.data)
        ensure_site_key(settings.site_key_file)
        options = SsoProvider(
            method=SsoMethod.OIDC,
            issuer=provider.issuer,
            client_id=provider.client_id,
            client_secret=SECRET,
            private_hosts=True,
        )
        server.store.apply(put_provider("op", options, settings), actor="test")
        ann = server.store.apply(CreateUser("ann", Method.OIDC, provider="op"), actor="test").subject_id
        server.store.apply(LinkIdentity(ann, "op", subject), actor="test")
        yield OidcSite(server, provider, subject)
    provider.close()


@pytest.fixture
def browser(site: OidcSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test, and a provider that behaves."""
    site.provider.alter = dict
    site.provider.make = None
    site.provider.callback = {}
    with SsoBrowser(site.server) as one:
        yield one


def test_a_person_signs_in_and_lands_where_they_wanted(site: OidcSite, browser: SsoBrowser) -> None:
    """By the code flow with PKCE, state and nonce; the secret came from its seal."""
    landed = site.back(browser, site.go(browser, "/account?y=2"))

    assert (landed.status_code, landed.headers["location"]) == (303, "/account?y=2")
    assert browser.name() == "ann"


def test_the_request_asks_for_what_it_must(site: OidcSite, browser: SsoBrowser) -> None:
    """S256, a state and a nonce that nobody can guess, our own address to come back to."""
    answer = browser.get("/sso/op/start")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == f"{browser.origin}/sso/op/callback"
    assert len(asked["state"]) >= 43
    assert len(asked["nonce"]) >= 43


def test_a_code_and_a_state_serve_once(site: OidcSite, browser: SsoBrowser) -> None:
    """O12, on whichever worker."""
    query = site.go(browser)
    first = site.back(browser, query)
    browser.client.cookies.delete("__Host-qm_session")
    again = [site.reason(browser, site.back(browser, query)) for _ in range(4)]

    assert first.status_code == 303
    assert set(again) == {"unknown_request"}


def test_an_answer_belongs_to_the_browser_that_asked(site: OidcSite, browser: SsoBrowser) -> None:
    """O6: no state, another's, or another browser's."""
    query = site.go(browser)
    with SsoBrowser(site.server) as other:
        other.get("/sign-in")
        assert site.reason(other, site.back(other, query)) == "other_browser"
    without = {name: value for name, value in site.go(browser).items() if name != "state"}
    assert site.reason(browser, site.back(browser, without)) == "unknown_request"
    assert site.reason(browser, site.back(browser, without | {"state": "x" * 43})) == "unknown_request"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nonce": "other"}, "wrong_nonce"),
        ({"nonce": None}, "wrong_nonce"),
        ({"aud": "another"}, "wrong_audience"),
        ({"iss": "https://evil.example"}, "wrong_issuer"),
        ({"exp": 1}, "out_of_time"),
        ({"exp": None}, "out_of_time"),
        ({"sub": None}, "subject_missing"),
        ({"sub": "somebody else", "email": "ann@contoso.test", "preferred_username": "ann"}, "not_linked"),
    ],
    ids=range(8),
)
def test_a_wrong_claim_lets_nobody_in(site: OidcSite, browser: SsoBrowser, change: dict[str, Any], reason: str) -> None:
    """O5, O9, O10, O11 and O14, each alone and rightly signed."""
    site.provider.alter = lambda claims: {k: v for k, v in {**claims, **change}.items() if v is not None}
    found = site.reason(browser, site.back(browser, site.go(browser)))

    assert found == reason or (reason == "out_of_time" and found in {"malformed", "out_of_time"})


def _unsigned(claims: dict[str, Any]) -> str:
    import base64
    import json

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}."


@pytest.mark.parametrize(
    "make",
    [
        _unsigned,
        lambda claims: signed(claims, rsa_key("stranger")),
        lambda claims: signed(claims, rsa_key("stranger"), kid="unknown"),
        lambda claims: signed(claims, rsa_key("stranger"), jku="https://evil.example/keys"),
        lambda claims: f"no.token.{len(claims)}",
        lambda claims: "" * len(claims),
    ],
    ids=["none", "stranger", "unknown key", "jku", "garbage", "empty"],
)
def test_a_forged_token_lets_nobody_in(
    site: OidcSite, browser: SsoBrowser, make: Callable[[dict[str, Any]], str]
) -> None:
    """O1 to O4."""
    site.provider.make = make

    assert site.reason(browser, site.back(browser, site.go(browser)))


@pytest.mark.parametrize(
    "extra",
    [{"iss": "https://evil.example"}, {"error": "access_denied"}, {"code": ""}, {"code": "x"}],
    ids=["mix-up", "denied", "no code", "another code"],
)
def test_a_wrong_answer_lets_nobody_in(site: OidcSite, browser: SsoBrowser, extra: dict[str, str]) -> None:
    """O7, and what the provider itself refuses."""
    assert site.reason(browser, site.back(browser, {**site.go(browser), **extra}))


def test_signing_out_goes_on_to_the_provider(site: OidcSite, browser: SsoBrowser) -> None:
    """RP-initiated logout, with the ID token as the hint and our address to come back to."""
    site.back(browser, site.go(browser))
    page = browser.post("/sign-out", {"form": browser.form("/account")})

    assert browser.name() is None
    assert "id_token_hint=" in page.text
    assert "post_logout_redirect_uri=" in page.text


def test_the_passwords_of_its_users_are_refused(site: OidcSite, browser: SsoBrowser) -> None:
    """On WebDAV as at the portal."""
    dav = browser.client.request("PROPFIND", f"{browser.origin}/dav/", auth=("ann", "pw"), headers={"Depth": "0"})
    page = browser.post("/sign-in", {"form": browser.form("/sign-in"), "name": "ann", "password": "pw"})

    assert (dav.status_code, page.status_code) == (401, 403)
    reasons = {event.reason for event in site.server.store.audit.tail(subject="ann", limit=2)}
    assert reasons == {"sso_password_refused"}


def test_a_test_sign_in_shows_the_claims(site: OidcSite, browser: SsoBrowser) -> None:
    """And signs nobody in."""
    site.server.add_user("boss", password="right horse", role=Role.ADMIN)
    browser.sign_in("boss", "right horse")
    query = site.provider.browse(browser.get("/sso/op/test").headers["location"])
    page = site.back(browser, query)

    assert page.status_code == 200
    assert site.subject in page.text
    assert "ann, active, method oidc" in page.text
    assert browser.name() == "boss"
