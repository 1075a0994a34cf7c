"""What the portal leaves in logs and in the database, and what it answers while the database is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.support.cli import Cli
from tests.support.oidc_provider_double import SECRET
from tests.support.one_time_codes import code_now, enrol
from tests.support.portal_site import PortalSite, portal_site
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
PASSWORD = "right-horse-battery"
WRONG = "wrong-horse-battery"
SESSION, BROWSER = "__Host-qm_session", "__Host-qm_browser"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    """Two workers a front end, which log all that they can."""
    environment = {"QUAYMASTER_LOG__LEVEL": "debug"}
    with portal_site(tmp_path_factory.mktemp("site"), environment=environment) as running:
        running.add_sso_user("ann")
        yield running


@pytest.fixture
def browser(site: PortalSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    site.server.forget_failures()
    with SsoBrowser(site.server) as one:
        yield one


def kept_bytes(site: PortalSite) -> bytes:
    """All of the database's files."""
    return b"".join(file.read_bytes() for file in site.server.data.glob("quaymaster.db*"))


def test_no_secret_is_in_the_log_or_the_database(site: PortalSite, browser: SsoBrowser) -> None:
    """Cookies, codes, states, tokens, passwords, one-time codes and keys, of who came in and of who did not."""
    site.server.add_user("lola", password=PASSWORD)
    enrol(Cli(site.server.data), "lola")
    form = {"form": browser.form("/sign-in"), "name": "lola"}
    browser.post("/sign-in", {**form, "password": WRONG})
    browser.post("/sign-in", {**form, "password": PASSWORD})
    code = code_now(1)  # the present one was given to enrol
    browser.post("/sign-in", {**form, "password": PASSWORD, "code": code})
    lola = browser.client.cookies[SESSION]
    page = browser.post("/account/api-keys", {"form": browser.form("/account"), "title": "t", "days": "1"}).text
    key = page.partition('id="secret">')[2].partition("<")[0]
    browser.post("/sign-out", {"form": browser.form("/account")})
    back = site.go(browser, "ann")
    landed = browser.get(back)
    ann = browser.client.cookies[SESSION]
    refused = [browser.get(back).status_code, browser.get(site.go(browser, "stranger")).status_code]
    query = dict(parse_qsl(urlsplit(back).query))
    (session,) = site.server.store.portal.of_user(site.server.user("ann").id)
    token = session.logout["id_token_hint"]
    said = site.server.cli("provider", "answers", "op", "--json").stdout
    nowhere = [lola, ann, browser.client.cookies[BROWSER], query["state"], query["code"], PASSWORD, WRONG, key, SECRET]

    assert (landed.status_code, refused, browser.name()) == (303, [403, 403], "ann")
    assert min(map(len, [*nowhere, token])) > 10
    database = kept_bytes(site)
    for secret in nowhere:
        assert secret not in site.server.log
        assert secret.encode() not in database
        assert secret not in said
    for secret in (token, token.split(".")[2], code):  # the ID token is kept for the sign-out at the provider
        assert secret not in site.server.log
        assert secret not in said


def test_no_session_is_taken_from_outside(site: PortalSite, browser: SsoBrowser) -> None:
    """Session fixation: a cookie that somebody else has set is no session, and not the one that begins."""
    planted = "a" * 43
    site.server.add_user("kim", password=PASSWORD)
    browser.client.cookies.set(SESSION, planted, domain="localhost.local")
    before = browser.client.cookies.get(BROWSER)
    browser.sign_in("kim", PASSWORD)
    cookies = [cookie.value for cookie in browser.client.cookies.jar if cookie.name == SESSION]
    with SsoBrowser(site.server) as attacker:
        attacker.client.cookies.set(SESSION, planted, domain="localhost.local")
        seen = attacker.name()

    assert before is None
    assert len(set(cookies) - {planted}) == 1
    assert (seen, browser.name()) == (None, "kim")


def test_two_tabs_both_come_in(site: PortalSite, browser: SsoBrowser) -> None:
    """Of one browser, in whichever order they come back; and after "back" the page is asked for again."""
    browser.get("/sign-in")
    first, second = site.go(browser, "ann"), site.go(browser, "ann")
    answers = [browser.get(path) for path in (second, first)]
    page = browser.get("/account")

    assert [answer.status_code for answer in answers] == [303, 303]
    assert (browser.name(), page.headers["cache-control"]) == ("ann", "no-store")
    browser.post("/sign-out", {"form": browser.form("/account")})
    assert browser.get("/account").headers["location"] == "/sign-in"


# The database is away -----------------------------------------------------------------------------


@contextmanager
def away(database: Path) -> Iterator[None]:
    """Take the database away, and bring the same one back."""
    hidden = database.with_name("hidden")
    database.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(database)


Ask = Callable[[SsoBrowser, str, str], httpx.Response]
ROUTES: dict[str, Ask] = {
    "the sign-in page": lambda one, _form, _back: one.get("/sign-in"),
    "a password": lambda one, form, _back: one.post("/sign-in", {"form": form, "name": "kim", "password": PASSWORD}),
    "the account": lambda one, _form, _back: one.get("/account"),
    "a key": lambda one, form, _back: one.post("/account/api-keys", {"form": form, "title": "t", "days": "1"}),
    "a start": lambda one, _form, _back: one.get("/sso/op/start"),
    "a test": lambda one, _form, _back: one.get("/sso/op/test"),
    "an answer": lambda one, _form, back: one.get(back),
    "a response": lambda one, _form, _back: one.post("/sso/op/acs", {"SAMLResponse": "x", "RelayState": "y" * 43}),
    "a sign-out": lambda one, form, _back: one.post("/sign-out", {"form": form}),
}


@pytest.mark.parametrize("route", ROUTES)
def test_without_the_database_nobody_can_tell(site: PortalSite, browser: SsoBrowser, route: str) -> None:
    """503, with the time to come back; no cookie changes hands, and whoever was signed in is so afterwards."""
    site.sign_in(browser, "ann")
    form, back = browser.form("/account"), site.go(browser, "ann")
    with away(site.server.data / "quaymaster.db"):
        began = time.monotonic()
        answer = ROUTES[route](browser, form, back)
        took = time.monotonic() - began

    assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")
    assert int(answer.headers["retry-after"]) > 0
    assert SESSION not in str(answer.headers.get_list("set-cookie"))
    assert "Traceback" not in answer.text
    assert took < 10
    assert browser.name() == "ann"
