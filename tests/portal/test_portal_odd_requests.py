"""Requests to the portal that no browser of a person sends, over HTTPS on two workers: never a 500, never elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.raw_http import RawHttps
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
PASSWORD = "right-horse-battery"
PAGES = ("/sign-in", "/signed-out", "/account", "/portal.css", "/sso/nobody/start", "/sso/nobody/metadata")


@pytest.fixture(scope="module")
def server() -> Iterator[QuaymasterServer]:
    """Two workers a front end, and lola, who has a password."""
    with QuaymasterServer(workers=2) as running:
        running.add_user("lola", password=PASSWORD)
        yield running


@pytest.fixture
def browser(server: QuaymasterServer) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    with SsoBrowser(server) as one:
        yield one


@pytest.mark.parametrize("wanted", ["//[", "//[::1", "//\N{ACCOUNT OF}.example", "/\\[", "///evil.example", "/x\0"])
def test_no_address_to_return_to_is_an_error(browser: SsoBrowser, wanted: str) -> None:
    """Also one that a parser of addresses refuses: the person lands on the account page."""
    asked = quote(wanted)
    page = browser.get(f"/sign-in?return_to={asked}")
    start = browser.get(f"/sso/nobody/start?return_to={asked}")
    form = {"form": browser.form("/sign-in"), "name": "lola", "password": PASSWORD}
    landed = browser.post("/sign-in", {**form, "return_to": wanted})

    assert 'name="return_to" value="/account"' in page.text
    assert start.status_code != 500
    assert (landed.status_code, landed.headers["location"]) == (303, "/account")


@pytest.mark.parametrize("path", ["/account/", "/sso/nobody/start/", "/account/keys/"])
def test_no_host_of_a_request_is_where_it_is_sent(server: QuaymasterServer, path: str) -> None:
    """What comes with another Host, or with an address of another site, is not repeated (a cache might keep it)."""
    answers = []
    for target in (path, f"https://evil.example{path}"):
        wire = RawHttps(server.http_port, server.certificate)
        wire.send(f"GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
        answers.append(wire.answer())

    assert [answer.status for answer in answers] == [404, 404]
    assert all("evil.example" not in str(answer.headers) and b"evil" not in answer.body for answer in answers)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_what_browsers_may_do_with_it(browser: SsoBrowser, path: str) -> None:
    """Also one that is refused: no frame, no script, no guess of its type, and nothing kept of a person's."""
    for method in ("GET", "HEAD", "PUT", "PROPFIND"):
        answer = browser.client.request(method, path)

        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == (
            "max-age=3600" if path == "/portal.css" and answer.is_success else "no-store"
        )


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "MOVE", "ODD"])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/account", "/sso/nobody/acs"])
def test_no_other_method_does_anything(browser: SsoBrowser, method: str, path: str) -> None:
    """The person who is signed in stays so."""
    browser.sign_in("lola", PASSWORD)
    answer = browser.client.request(method, path)

    assert (answer.status_code, answer.headers.get_list("set-cookie")) == (405, [])
    assert browser.name() == "lola"


def test_what_a_link_says_is_not_repeated(browser: SsoBrowser) -> None:
    """A page of ours with a stranger's words on it is a trap: a made-up provider is nothing that is here."""
    page = browser.get("/sso/call%20this%20number/start")

    assert page.status_code == 404
    assert "call this number" not in page.text


def test_a_form_of_another_address_is_in_the_log(server: QuaymasterServer, browser: SsoBrowser) -> None:
    """An admin whose site has no portal.public_url sees why nobody can sign in."""
    form = {"form": browser.form("/sign-in"), "name": "lola", "password": PASSWORD}
    answer = browser.post("/sign-in", form, origin="https://files.example.org")

    assert answer.status_code == 400
    assert "https://files.example.org" in server.log
    assert "portal.other_origin" in server.log


def test_signing_out_takes_a_form(browser: SsoBrowser) -> None:
    """No link or picture of another site ends a session."""
    browser.sign_in("lola", PASSWORD)
    answers = [browser.get("/sign-out").status_code, browser.client.head("/sign-out").status_code]

    assert answers == [405, 405]
    assert browser.name() == "lola"


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "\N{SNOWMAN}" * 3, "a" * 101, "a" * 30_000, '"quoted\\', "a; __Host-qm_session=b"],
    ids=range(7),
)
def test_an_odd_cookie_is_nobodys(server: QuaymasterServer, cookie: str) -> None:
    """Too long, no text, twice: the sign-in page, and no 500."""
    wire = RawHttps(server.http_port, server.certificate)
    wire.send(b"GET /account HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: __Host-qm_session=")
    wire.send(cookie.encode() + b"\r\n\r\n")
    answer = wire.answer()

    assert (answer.status, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/account/keys", {"key": "\0"}),
        ("/account/keys/revoke", {"id": "\0"}),
        ("/account/keys/revoke", {}),
        ("/account/api-keys", {"title": "a\0b", "days": "1"}),
        ("/account/api-keys", {"title": "t", "days": "\N{ARABIC-INDIC DIGIT THREE}"}),
        ("/account/api-keys", {"title": "t", "days": "99999"}),
        ("/account/api-keys/revoke", {"id": "x" * 100_000}),
        ("/account/sessions/end", {"id": "\0"}),
    ],
    ids=range(8),
)
def test_an_odd_field_is_refused_in_words(browser: SsoBrowser, path: str, fields: dict[str, str]) -> None:
    """On the page, and nothing is added."""
    browser.sign_in("lola", PASSWORD)
    answer = browser.post(path, {"form": browser.form("/account"), **fields})

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "Your account" in answer.text
