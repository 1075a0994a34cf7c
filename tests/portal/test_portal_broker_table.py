"""The portal's column of the decision table, over HTTPS on two workers ("Broker", B2 and B8)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from storage.database.changes import LinkIdentity, SetMethod, SetStatus, UpdateUser, UserFields
from storage.database.records import Method, Role, Status
from tests.support.directories.certificates import Authority
from tests.support.directories.slapd import PASSWORD, Slapd
from tests.support.portal_site import PortalSite, portal_site
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system

Try = Callable[[PortalSite, SsoBrowser, str], int]


@pytest.fixture(scope="module")
def directory(authority: Authority) -> Iterator[Slapd]:
    """An OpenLDAP server with a person."""
    with Slapd(authority) as server:
        yield server


@pytest.fixture(scope="module")
def site(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    """One of each kind of person. Everybody comes from one network here: its limit is out of the way."""
    environment = {"QUAYMASTER_AUTH__MAX_FAILURES_PER_NETWORK": "10000"}
    with portal_site(tmp_path_factory.mktemp("site"), directory, environment) as running:
        server, store = running.server, running.server.store
        ids = {name: server.add_user(name, method=method, password=PASSWORD).id for name, method in PLAIN.items()}
        ids["machine"] = server.add_user("machine", method=Method.NONE).id
        ids["glass"] = server.add_user("glass", password=PASSWORD, break_glass=True, role=Role.ADMIN).id
        running.add_directory_user(directory, "listed")
        ids["listed"] = server.user("listed").id
        for name in ("federated", "left", "ended"):
            ids[name] = running.add_sso_user(name).id
        for name in (*PLAIN, "machine", "glass", "listed"):  # a link alone is no way in
            store.apply(LinkIdentity(ids[name], "op", f"sub-of-{name}"), actor="test")
        store.apply(SetStatus(ids["off"], Status.DISABLED), actor="test")
        store.apply(SetStatus(ids["left"], Status.DEPROVISIONED), actor="test")
        store.apply(UpdateUser(ids["ended"], UserFields(expires_at=time.time() - 1)), actor="test")
        yield running


PLAIN = {"local": Method.LOCAL, "both": Method.LOCAL_KEY, "off": Method.LOCAL}


@pytest.fixture
def browser(site: PortalSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    site.server.forget_failures()
    with SsoBrowser(site.server) as one:
        yield one


def by_password(site: PortalSite, browser: SsoBrowser, name: str, word: str = PASSWORD) -> int:
    """Post the form."""
    form = browser.form("/sign-in")
    return browser.post("/sign-in", {"form": form, "name": name, "password": word}).status_code


def by_api_key(site: PortalSite, browser: SsoBrowser, name: str) -> int:
    """Post the form with a good API key of the person in place of a password."""
    return by_password(site, browser, name, site.server.issue_api_key(name))


def by_provider(site: PortalSite, browser: SsoBrowser, name: str) -> int:
    """The whole way by the provider."""
    return site.sign_in(browser, name).status_code


IN = "granted"
TABLE: dict[tuple[str, Try], str] = {
    ("local", by_password): IN,
    ("local", by_api_key): "unusable_password",
    ("local", by_provider): "not_linked",
    ("listed", by_password): IN,
    ("listed", by_api_key): "unusable_password",
    ("listed", by_provider): "not_linked",
    ("federated", by_password): "sso_password_refused",
    ("federated", by_api_key): "sso_password_refused",
    ("federated", by_provider): IN,
    ("both", by_password): "needs_key_and_password",
    ("both", by_provider): "not_linked",
    ("machine", by_password): "method_has_no_password",
    ("machine", by_api_key): "method_has_no_password",
    ("machine", by_provider): "not_linked",
    ("off", by_password): "not_active",
    ("off", by_provider): "not_active",
    ("left", by_password): "sso_password_refused",
    ("left", by_provider): "not_active",
    ("ended", by_provider): "expired",
    ("glass", by_password): "totp_required",
    ("glass", by_provider): "break_glass_not_here",
    ("nobody", by_password): "unknown_user",
    ("nobody", by_provider): "not_linked",
}


@pytest.mark.parametrize(("name", "way"), TABLE, ids=lambda value: getattr(value, "__name__", value))
def test_every_cell(site: PortalSite, browser: SsoBrowser, name: str, way: Try) -> None:
    """B8: who comes in has a session; who does not has none, and the audit trail says why."""
    expected = TABLE[name, way]
    status = way(site, browser, name)
    (event,) = site.server.store.audit.tail(kind="login", limit=1)

    assert (event.reason, status) == (expected, 303 if expected == IN else 403)
    assert browser.name() == (name if expected == IN else None)


def test_what_webdav_remembers_is_nothing_to_the_portal(
    site: PortalSite, directory: Slapd, browser: SsoBrowser
) -> None:
    """B2: a password that WebDAV remembers is asked of the directory here, and "cannot tell" lets nobody in."""
    dn = site.add_directory_user(directory, "dana")
    remembered = [dav(browser, "dana") for _ in range(3)]
    binds = directory.binds(dn)
    right, bound = by_password(site, browser, "dana"), directory.binds(dn) - binds
    directory.stop()
    try:
        with SsoBrowser(site.server) as other:
            away, page = by_password(site, other, "dana"), other.get("/sign-in").status_code
            who = other.name()
    finally:
        directory.start()

    assert (remembered, right, bound) == ([207] * 3, 303, 1)
    assert (away, page, who) == (503, 200, None)


def dav(browser: SsoBrowser, name: str) -> int:
    """Ask WebDAV with the directory's password."""
    return browser.client.request("PROPFIND", "/dav/", auth=(name, PASSWORD), headers={"Depth": "0"}).status_code


@pytest.mark.parametrize(
    ("end", "words"),
    [(Status.DISABLED, "not_active"), (None, "not_linked")],
    ids=["disabled", "at another provider"],
)
def test_a_test_sign_in_says_who_could_not_come_in(
    site: PortalSite, browser: SsoBrowser, end: Status | None, words: str
) -> None:
    """An admin sees that the answer is good and the user is not, and why."""
    name = f"tried-{words.replace('_', '-')}"
    user = site.add_sso_user(name)
    change = SetMethod(user.id, Method.OIDC, "okta") if end is None else SetStatus(user.id, end)
    site.server.store.apply(change, actor="test")
    site.server.add_user("boss", password=PASSWORD, role=Role.ADMIN)
    browser.sign_in("boss", PASSWORD)
    page = browser.get(site.go(browser, name, start="test"))

    assert page.status_code == 200
    assert f"{words}. Nobody was signed in." in page.text
    assert "<td>FAILED</td><td>user</td>" in page.text
