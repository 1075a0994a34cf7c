"""SAML sign-in over the real HTTPS port, two workers, by a signer in the test's process: who is let in and who not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.saml_signer import EMAIL, NAME, OBJECT_ID
from tests.support.saml_site import SsoSite, answer, hostile, refused, running_saml_site, sign_in
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SsoSite]:
    """Two workers a front end."""
    with running_saml_site(tmp_path_factory.mktemp("sso")) as running:
        yield running


@pytest.fixture
def browser(site: SsoSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    with SsoBrowser(site.server) as one:
        yield one


def test_a_person_signs_in_and_lands_where_they_wanted(site: SsoSite, browser: SsoBrowser) -> None:
    """From the button to the account page; the cookie is for this host alone, and for no script."""
    landed = sign_in(site, browser)

    assert (landed.status_code, landed.headers["location"]) == (303, "/account?x=1")
    assert browser.name() == "ann"
    cookie = landed.headers["set-cookie"]
    assert cookie.startswith("__Host-qm_session=")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    session = site.server.store.sessions.live()[-1]
    assert (session.user_name, session.front_end, session.factor) == ("ann", "portal", "sso")


def test_the_page_shows_the_way_in(site: SsoSite, browser: SsoBrowser) -> None:
    """A button, and no script or frame."""
    page = browser.get("/sign-in?return_to=/account%3Fx")

    assert 'href="/sso/entra/start?return_to=%2Faccount%3Fx"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "<script" not in page.text


@pytest.mark.parametrize("account", ["ann", "nobody"])
def test_a_name_of_the_providers_domain_goes_there(site: SsoSite, browser: SsoBrowser, account: str) -> None:
    """Whether there is such a user or not; what was typed as a password is looked at by nobody."""
    form = browser.form("/sign-in")
    page = browser.post("/sign-in", {"form": form, "name": f"{account}@Contoso.test", "password": "secret-typed"})

    assert page.status_code == 200
    assert f"/sso/entra/start?return_to=%2Faccount&amp;login={account}%40Contoso.test" in page.text
    assert "secret-typed" not in page.text + site.server.log


def test_an_sso_users_password_is_refused_at_the_portal(site: SsoSite, browser: SsoBrowser) -> None:
    """By the login name, too; with the words that anybody gets."""
    form = browser.form("/sign-in")
    page = browser.post("/sign-in", {"form": form, "name": "ann", "password": "secret"})
    other = browser.post("/sign-in", {"form": form, "name": "no-such-user", "password": "secret"})

    assert page.status_code == other.status_code == 403
    assert "Wrong user name or password." in page.text
    assert page.text.replace('value="ann"', "") == other.text.replace('value="no-such-user"', "")
    event = site.server.store.audit.tail(subject="ann", limit=1)[0]
    assert event.reason == "sso_password_refused"


def test_a_local_user_signs_in_with_a_password(site: SsoSite, browser: SsoBrowser) -> None:
    """And out again: the cookie is worth nothing then."""
    site.server.add_user("lola", password="right horse")
    form = browser.form("/sign-in")
    wrong = browser.post("/sign-in", {"form": form, "name": "lola", "password": "wrong"})
    right = browser.post("/sign-in", {"form": form, "name": "lola", "password": "right horse"})
    who = browser.name()
    cookie = dict(browser.client.cookies)
    out = browser.post("/sign-out", {"form": browser.form("/account")})
    browser.client.cookies.update(cookie)

    assert (wrong.status_code, right.status_code, who) == (403, 303, "lola")
    assert (out.status_code, out.headers["location"]) == (303, "/signed-out")
    assert browser.name() is None


# What is refused -----------------------------------------------------------------------------------


def test_one_assertion_lets_in_once_on_all_workers(site: SsoSite, browser: SsoBrowser) -> None:
    """S17: the flow is taken; and where a provider may begin, the assertion itself is known."""
    query = browser.start("entra")
    form = answer(site, query)
    first = browser.post("/sso/entra/acs", form, origin="null")
    browser.client.cookies.delete("__Host-qm_session")
    again = [browser.post("/sso/entra/acs", form, origin="null") for _ in range(6)]

    assert first.status_code == 303
    assert {refused(site, browser, one) for one in again} == {"unknown_request"}


def test_an_answer_belongs_to_the_browser_that_asked(site: SsoSite, browser: SsoBrowser) -> None:
    """O6 and login CSRF: another browser is not signed in by it, not even as its owner."""
    query = browser.start("entra")
    with SsoBrowser(site.server) as other:
        other.get("/sign-in")  # it has a cookie of its own
        response = other.post("/sso/entra/acs", answer(site, query), origin="null")
        assert refused(site, other, response) == "other_browser"
    with SsoBrowser(site.server) as bare:
        query = browser.start("entra")
        assert refused(site, bare, bare.post("/sso/entra/acs", answer(site, query))) == "other_browser"


def test_an_unsolicited_response_is_refused(site: SsoSite, browser: SsoBrowser) -> None:
    """S16: nobody is signed in who did not begin here, unless the provider's settings say so."""
    browser.get("/sign-in")
    form = {"SAMLResponse": site.signer.response(None, time.time()), "RelayState": "https://evil.example"}

    assert refused(site, browser, browser.post("/sso/entra/acs", form)) == "unknown_request"


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\\evil.example",
        "/\t/evil",
        "\\\\evil",
        "x" * 3000,
    ],
    ids=range(7),
)
def test_nobody_is_sent_elsewhere(site: SsoSite, browser: SsoBrowser, wanted: str) -> None:
    """S24: where a person wanted to go is a path of ours, or the account page."""
    query = browser.start("entra", wanted)
    landed = browser.post("/sso/entra/acs", answer(site, query), origin="null")

    assert landed.headers["location"] == "/account"
    assert wanted not in query["RelayState"]


NAMES_OF_ATTACKS = (
    "unsigned",
    "response only",
    "stranger",
    "SHA-1",
    "audience",
    "tenant",
    "old",
    "future",
    "another request",
    "no request",
    "DTD",
    "tampered",
    "wrapped",
    "large",
    "empty",
    "no base64",
)


@pytest.mark.parametrize("attack", NAMES_OF_ATTACKS)
def test_every_forgery_looks_the_same_from_outside(site: SsoSite, browser: SsoBrowser, attack: str) -> None:
    """One text, one status, no session; the reason is kept for admins, and the flow is spent."""
    query = browser.start("entra")
    form = hostile(site, query)[attack]
    response = browser.post("/sso/entra/acs", form, origin="null")
    reason = refused(site, browser, response)
    kept = site.server.store.sso_answers.list("entra", 1)[0]
    again = browser.post("/sso/entra/acs", answer(site, query), origin="null")

    assert reason not in response.text
    assert kept.checks[-1]["passed"] is False
    assert "SignatureValue>[redacted]" in kept.body or "<ds:SignatureValue" not in kept.body
    assert refused(site, browser, again) == "unknown_request"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"SAMLResponse=a&SAMLResponse=b", b"x" * 700_000, b""], ids=range(4))
def test_what_is_no_form_is_refused(site: SsoSite, browser: SsoBrowser, body: bytes) -> None:
    """No 500, whatever comes."""
    headers = {"content-type": "application/x-www-form-urlencoded"}

    assert browser.client.post("/sso/entra/acs", content=body, headers=headers).status_code == 403
    assert browser.client.post("/sso/entra/acs", json={}).status_code == 403


@pytest.mark.parametrize("provider", ["nobody", "..%2f..", "%00", "ENTRA"])
def test_an_unknown_provider_is_no_way_in(site: SsoSite, browser: SsoBrowser, provider: str) -> None:
    """A clear answer, and no 500."""
    assert browser.get(f"/sso/{provider}/start").status_code in {404, 503}
    assert browser.post(f"/sso/{provider}/acs", {"SAMLResponse": "x"}).status_code in {403, 404}
    assert browser.get(f"/sso/{provider}/metadata").status_code == 404


def test_another_persons_address_links_nobody(site: SsoSite, browser: SsoBrowser) -> None:
    """O14 (nOAuth): name and e-mail are what the provider's user chose; the object id counts."""
    claims = {OBJECT_ID: ("99999999-0000-4000-8000-000000000000",), NAME: ("ann",), EMAIL: ("ann@contoso.test",)}
    response = sign_in(site, browser, **claims)

    assert refused(site, browser, response) == "not_linked"


def test_nothing_is_kept_under_a_made_up_name(site: SsoSite, browser: SsoBrowser) -> None:
    """A stranger could fill the disk with them."""
    events = len(site.server.store.audit.tail(limit=1000))
    for number in range(5):
        browser.post(f"/sso/made-up-{number}/acs", {"SAMLResponse": "x", "RelayState": "y"})
        browser.get(f"/sso/made-up-{number}/callback?state=x&code=y")

    assert site.server.store.sso_answers.list("made-up-0", 5) == []
    assert len(site.server.store.audit.tail(limit=1000)) == events
