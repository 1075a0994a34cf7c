"""What the attack list has for OpenID Connect beyond hostile tokens: two workers, a provider of Entra's shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from config.settings import Settings
from config.sso import SsoMethod, SsoProvider, SsoVendor
from server.providers import put_provider
from storage.database.changes import Provision, ProvisionGroup
from storage.database.records import Method, Owner, Role, User
from storage.database.sealing import ensure_site_key
from tests.support.oidc_provider_double import (
    OBJECT_ID,
    OTHER_TENANT,
    SECRET,
    TENANT,
    Provider,
    entra_person,
    rsa_key,
    signed,
)
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system

REFUSED = "You could not be signed in."
DISCOVERY, KEYS = "/.well-known/openid-configuration", "/keys"
WORKERS = 2


@dataclass(frozen=True, slots=True)
class EntraSite:
    """A running server with the provider ``entra``, at which ada is a user, and a group that SCIM has told."""

    server: QuaymasterServer
    provider: Provider
    group: str

    def add(self, name: str, **fields: Any) -> None:
        """Add the same provider once more, with other settings."""
        options = {"private_hosts": True, "token_groups": True, **fields}
        settings = Settings(data=self.server.data)
        ensure_site_key(settings.site_key_file)
        provider = SsoProvider(
            method=SsoMethod.OIDC,
            vendor=SsoVendor.ENTRA,
            tenant=TENANT,
            issuer=self.provider.issuer,
            client_id=self.provider.client_id,
            client_secret=SECRET,
            **options,
        )
        self.server.store.apply(put_provider(name, provider, settings), actor="test")

    def sign_in(self, browser: SsoBrowser, name: str = "entra") -> httpx.Response:
        """Go there and back."""
        return self.back(browser, self.go(browser, name), name)

    def go(self, browser: SsoBrowser, name: str = "entra") -> dict[str, str]:
        """Go there; the query of the way back."""
        away = browser.get(f"/sso/{name}/start")
        assert away.status_code == 303, away.text
        return self.provider.browse(away.headers["location"])

    def back(self, browser: SsoBrowser, query: dict[str, str], name: str = "entra") -> httpx.Response:
        """Come back."""
        return browser.get(f"/sso/{name}/callback?{urlencode(query)}")

    def reason(self, browser: SsoBrowser, response: httpx.Response, name: str = "entra") -> str:
        """The kept reason of a refusal that looked like any other."""
        assert response.status_code == 403
        assert REFUSED in response.text
        assert browser.name() is None
        return self.server.store.sso_answers.list(name, 1)[0].reason

    def groups_of(self, name: str) -> set[str]:
        """The names of a user's groups."""
        return {group.name for group in self.server.store.users.groups_of(self.server.user(name).id)}


@pytest.fixture(scope="module")
def site() -> Iterator[EntraSite]:
    """Two workers a front end."""
    provider = Provider(path=f"/{TENANT}/v2.0", person=entra_person())
    with QuaymasterServer(workers=WORKERS) as server:
        told = server.store.apply(ProvisionGroup("entra", Owner.SCIM, "g-1", "Surgery"), actor="test")
        running = EntraSite(server, provider, told.subject_id)
        running.add("entra")
        server.store.apply(Provision("entra", Owner.SCIM, Method.OIDC, OBJECT_ID, "ada"), actor="test")
        yield running
    provider.close()


@pytest.fixture
def browser(site: EntraSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test, and a provider that behaves."""
    site.provider.person = entra_person()
    site.provider.alter = dict
    site.provider.make = None
    site.provider.answers = {}
    site.provider.published = {}
    with SsoBrowser(site.server) as one:
        yield one


def test_made_up_keys_ask_the_provider_seldom(site: EntraSite, browser: SsoBrowser) -> None:
    """O4: a worker asks for keys at first and once more, whatever twenty tokens name; real sign-ins go on."""
    assert site.sign_in(browser).status_code == 303
    for number in range(20):
        site.provider.make = lambda claims, number=number: signed(claims, rsa_key("stranger"), kid=f"made-up-{number}")
        with SsoBrowser(site.server) as stranger:
            assert site.reason(stranger, site.sign_in(stranger)) == "unknown_signing_key"
    site.provider.make = None

    assert site.provider.hits[KEYS] <= 2 * WORKERS
    assert site.sign_in(browser).status_code == 303


def test_a_stolen_code_is_worth_nothing_in_another_browser(site: EntraSite, browser: SsoBrowser) -> None:
    """O8: the code belongs to the verifier of the sign-in that it was given to."""
    victims = site.go(browser)
    with SsoBrowser(site.server) as thief:
        own = site.go(thief)
        answer = site.back(thief, own | {"code": victims["code"]})

        assert site.reason(thief, answer) == "token_refused"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"tid": OTHER_TENANT}, "wrong_tenant"),
        ({"tid": None}, "wrong_tenant"),
        ({"iss": f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"}, "wrong_issuer"),
        ({"iss": "https://login.microsoftonline.com/{tenantid}/v2.0"}, "wrong_issuer"),
        ({"oid": None}, "subject_missing"),
    ],
    ids=["another tenant", "no tenant", "issuer of another tenant", "issuer of all tenants", "no object id"],
)
def test_another_tenant_lets_nobody_in(
    site: EntraSite, browser: SsoBrowser, claims: dict[str, str | None], reason: str
) -> None:
    """O10: rightly signed, by keys that all tenants share."""
    site.provider.alter = lambda proper: {k: v for k, v in {**proper, **claims}.items() if v is not None}

    assert site.reason(browser, site.sign_in(browser)) == reason


@pytest.mark.parametrize(
    "header", ["Host", "X-Forwarded-Host", "X-Original-URL", "Forwarded"], ids=lambda name: name.lower()
)
def test_no_header_moves_the_way_back(site: EntraSite, browser: SsoBrowser, header: str) -> None:
    """O13: the redirect URI is that of the configuration."""
    value = "host=evil.example" if header == "Forwarded" else "evil.example"
    away = browser.client.get("/sso/entra/start", headers={header: value})
    asked = parse_qs(urlsplit(away.headers["location"]).query)

    assert asked["redirect_uri"] == [f"{browser.origin}/sso/entra/callback"]


@pytest.mark.parametrize("path", ["callback/", "callback/x", "Callback", "callback%2f", "acs"])
def test_a_code_counts_at_one_address(site: EntraSite, browser: SsoBrowser, path: str) -> None:
    """O13: variants of the path are nobody's, and use nothing up."""
    query = site.go(browser)
    elsewhere = browser.get(f"/sso/entra/{path}?{urlencode(query)}")

    assert elsewhere.status_code in {404, 405}
    assert browser.name() is None
    assert site.back(browser, query).status_code == 303


@pytest.mark.parametrize("who", ["a local user", "a user of the provider"])
def test_a_name_or_address_links_nobody(site: EntraSite, browser: SsoBrowser, who: str) -> None:
    """O14 (nOAuth): just-in-time users are new ones; a login name that is taken is not theirs."""
    name = "lena" if who == "a local user" else "ada"
    if name == "lena":
        site.server.add_user("lena", password="right horse")
    site.add("jit", jit=True)
    before = site.server.user(name)
    site.provider.person = entra_person(oid=OTHER_TENANT, preferred_username=name, email=f"{name}@example.org")
    reason = site.reason(browser, site.sign_in(browser, "jit"), "jit")

    assert reason == "not_linked"
    assert site.server.user(name) == before


def test_nobody_asks_for_userinfo(site: EntraSite, browser: SsoBrowser) -> None:
    """O15: what it says is bound to no sign-in."""
    assert site.sign_in(browser).status_code == 303
    assert site.provider.hits["/userinfo"] == 0


def _with_groups(site: EntraSite, browser: SsoBrowser, **claims: object) -> tuple[set[str], User]:
    site.provider.person = entra_person(**claims)
    assert site.sign_in(browser).status_code == 303
    return site.groups_of("ada"), site.server.user("ada")


def test_too_many_groups_change_nothing(site: EntraSite, browser: SsoBrowser) -> None:
    """O16: overage is "unknown": no membership ends or begins, and no privilege comes of it."""
    sources = {"src1": {"endpoint": f"http://127.0.0.1:9/{TENANT}/users/{OBJECT_ID}/getMemberObjects"}}
    given, _ = _with_groups(site, browser, groups=["g-1"])
    overage, user = _with_groups(site, browser, _claim_names={"groups": "src1"}, _claim_sources=sources)
    implicit, _ = _with_groups(site, browser, hasgroups=True)
    none_said, _ = _with_groups(site, browser)
    taken, _ = _with_groups(site, browser, groups=[])

    assert given == overage == implicit == none_said == {"surgery"}
    assert user.role is Role.USER
    assert taken == set()


@pytest.mark.parametrize("path", [DISCOVERY, KEYS])
def test_a_redirect_is_not_followed(site: EntraSite, browser: SsoBrowser, path: str) -> None:
    """O17: neither to another host nor to a private address; the sign-in fails, and nobody was asked there."""
    name = f"moved-{path.strip('/').partition('/')[0].strip('.')}"
    site.add(name)
    trap = Provider()
    try:
        site.provider.answers = {path: (302, {"location": f"{trap.origin}{path}"}, b"")}
        begun = browser.get(f"/sso/{name}/start")
        if begun.status_code == 303:
            begun = site.back(browser, site.provider.browse(begun.headers["location"]), name)
        assert begun.status_code in {403, 503}
        assert browser.name() is None
        assert not trap.hits
    finally:
        trap.close()


def test_a_private_address_is_not_asked(site: EntraSite, browser: SsoBrowser) -> None:
    """O17: not unless an admin said that the provider is inside; no request leaves."""
    site.add("public", private_hosts=False)
    before = site.provider.hits.total()
    begun = browser.get("/sso/public/start")

    assert begun.status_code == 503
    assert site.provider.hits.total() == before


@pytest.mark.parametrize(
    "published",
    [
        {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"},
        {"issuer": "https://evil.example"},
        {"jwks_uri": "http://keys.example/keys"},
        {"token_endpoint": "http://tokens.example/token"},
    ],
    ids=["issuer of all tenants", "another issuer", "keys by http", "tokens by http"],
)
def test_a_discovery_document_that_says_something_else_is_not_used(
    site: EntraSite, browser: SsoBrowser, published: dict[str, str]
) -> None:
    """O10 and O17."""
    name = f"odd-{next(iter(published)).replace('_', '-')}-{len(str(published))}"
    site.add(name)
    site.provider.published = published

    assert browser.get(f"/sso/{name}/start").status_code == 503
