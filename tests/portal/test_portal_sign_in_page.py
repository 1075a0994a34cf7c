"""What the sign-in page offers, and what becomes of a session when the same browser signs in again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.portal_site import PortalSite, portal_site
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
PASSWORD = "right-horse-battery"
PASSWORD_FIELD = '<input name="password"'
NAME_FIELD = '<input name="name"'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    """A site that offers no passwords beside its provider."""
    environment = {"QUAYMASTER_PORTAL__PASSWORD_SIGN_IN": "false"}
    with portal_site(tmp_path_factory.mktemp("site"), environment=environment) as running:
        running.server.add_user("lola", password=PASSWORD)
        running.add_sso_user("ann")
        yield running


@pytest.fixture
def browser(site: PortalSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    with SsoBrowser(site.server) as one:
        yield one


def test_no_password_is_offered_where_the_site_offers_none(site: PortalSite, browser: SsoBrowser) -> None:
    """One provider: straight there. Several: buttons, and a name where it leads to one. Who knows the way has all."""
    straight = browser.get("/sign-in")
    known = browser.get("/sign-in?password").text
    site.add_provider("second")
    buttons = browser.get("/sign-in").text
    site.add_provider("third", domains=frozenset({"contoso.test"}))
    named = browser.get("/sign-in").text

    assert straight.headers["location"].startswith("/sso/op/start")
    assert (PASSWORD_FIELD in known, NAME_FIELD in known) == (True, True)
    assert (PASSWORD_FIELD in buttons, NAME_FIELD in buttons, "Sign in with second" in buttons) == (False, False, True)
    assert (PASSWORD_FIELD in named, NAME_FIELD in named) == (False, True)


def test_nothing_that_a_provider_says_is_part_of_a_page(site: PortalSite, browser: SsoBrowser) -> None:
    """Names and addresses are text, whoever wrote them."""
    site.add_provider("open", jit=True)
    hostile = "<script>alert(1)</script>\"'><img src=x>"
    landed = browser.get(site.go(browser, "markup", "open", name=hostile, email=f"{hostile}@contoso.test"))
    page = browser.get("/account").text

    assert (landed.status_code, browser.name()) == (303, "markup")
    assert page.count("&lt;script&gt;") == 2
    assert not {"<script", "<img"} & {line.strip()[:7] for line in page.replace("<", "\n<").splitlines()}


def test_a_browser_that_signs_in_again_has_one_session(site: PortalSite, browser: SsoBrowser) -> None:
    """The one before it is over: nobody could sign out of it any more."""
    lola, ann = site.server.user("lola"), site.server.user("ann")
    fields = {"name": "lola", "password": PASSWORD}
    form = browser.form("/sign-in?password")
    for _ in range(2):
        assert browser.post("/sign-in", {**fields, "form": form}).status_code == 303
    of_lola = [one.id for one in site.server.store.portal.of_user(lola.id)]
    site.sign_in(browser, "ann")

    assert len(of_lola) == 1
    assert site.server.store.portal.of_user(lola.id) == []
    assert len(site.server.store.portal.of_user(ann.id)) == 1
    ended = site.server.store.sessions.by_id(of_lola[0])
    assert ended is not None
    assert (ended.end_reason, browser.name()) == ("replaced", "ann")
