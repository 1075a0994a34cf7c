"""What ends a session of the portal, with the next request and on every worker (the list "Broker", B1 and B3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from storage.database.changes import (
    DeleteUser,
    LinkIdentity,
    PutProvider,
    RenameUser,
    SetMethod,
    SetStatus,
    UnlinkIdentity,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Status, User
from storage.database.store import Store
from tests.support.directories.certificates import Authority
from tests.support.directories.slapd import PASSWORD, Slapd
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal
from tests.support.portal_site import PortalSite, everywhere, portal_site, seen_from
from tests.support.sso_browser import SsoBrowser
from tests.support.waiting import eventually

pytestmark = pytest.mark.system
NEW = "a-new-password-1"

Ending = Callable[[Store, User], object]


def apply(*changes: Callable[[User], object]) -> Ending:
    """Make these changes of a user."""

    def end(store: Store, user: User) -> None:
        for change in changes:
            store.apply(change(user), actor="test")  # type: ignore[arg-type]  # each is a Change

    return end


@pytest.fixture(scope="module")
def directory(authority: Authority) -> Iterator[Slapd]:
    """An OpenLDAP server with the people of these tests."""
    with Slapd(authority) as server:
        yield server


@pytest.fixture(scope="module")
def site(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    """Two workers a front end; short sessions only where a test says so."""
    with portal_site(tmp_path_factory.mktemp("site"), directory) as running:
        running.server.store.apply(PutProvider("okta", "sso", {"method": "oidc"}, {}), actor="test")
        yield running


@pytest.fixture
def browser(site: PortalSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    site.server.forget_failures()
    with SsoBrowser(site.server) as one:
        yield one


ENDINGS: dict[str, tuple[Ending, str]] = {
    "disabled": (apply(lambda user: SetStatus(user.id, Status.DISABLED)), "not_active"),
    "deprovisioned": (apply(lambda user: SetStatus(user.id, Status.DEPROVISIONED)), "not_active"),
    "deleted": (apply(lambda user: DeleteUser(user.id)), "unknown_user"),
    "expired": (apply(lambda user: UpdateUser(user.id, UserFields(expires_at=time.time() - 1))), "expired"),
    "another provider": (apply(lambda user: SetMethod(user.id, Method.OIDC, "okta")), "method_changed"),
    "a directory": (apply(lambda user: SetMethod(user.id, Method.LDAP, "corp")), "method_changed"),
    "local": (apply(lambda user: SetMethod(user.id, Method.LOCAL)), "method_changed"),
    "not at the portal": (
        apply(lambda user: UpdateUser(user.id, UserFields(protocols=frozenset({"sftp"})))),
        "front_end_not_allowed",
    ),
    "not from here": (
        apply(lambda user: UpdateUser(user.id, UserFields(networks=("192.0.2.0/24",)))),
        "network_not_allowed",
    ),
    "unlinked": (apply(lambda user: UnlinkIdentity(user.id, "op", f"sub-of-{user.name}")), "not_linked"),
    "linked to somebody else": (
        apply(
            lambda user: UnlinkIdentity(user.id, "op", f"sub-of-{user.name}"),
            lambda user: LinkIdentity(user.id, "op", f"another-{user.name}"),
        ),
        "not_linked",
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_session_ends_with_the_rights_that_it_had(site: PortalSite, browser: SsoBrowser, ending: str) -> None:
    """B1, and B3 for whoever is moved to another authority; it does not come back when the rights do."""
    name = f"ann-{list(ENDINGS).index(ending)}"
    user = site.add_sso_user(name)
    assert site.sign_in(browser, name).status_code == 303
    before = everywhere(browser)
    (session,) = [row for row in site.server.store.sessions.live() if row.user_id == user.id]
    end, reason = ENDINGS[ending]
    end(site.server.store, user)

    assert (before, everywhere(browser)) == ({name}, {None})
    eventually(lambda: registered_end(site, session.id), what="the registry to know")
    assert registered_end(site, session.id) == reason


def registered_end(site: PortalSite, session_id: str) -> str | None:
    """Why a session has ended, as the registry has it; None if it has not."""
    row = site.server.store.sessions.by_id(session_id)
    assert row is not None
    return row.end_reason


def test_a_session_goes_on_where_nothing_was_taken(site: PortalSite, browser: SsoBrowser) -> None:
    """A new name, a quota, a key: the epoch is higher, and the person stays, under the present name."""
    user = site.add_sso_user("bea")
    site.sign_in(browser, "bea")
    site.server.store.apply(UpdateUser(user.id, UserFields(quota_bytes=5, display_name="Bea")), actor="test")
    site.server.add_key("bea")
    site.server.store.apply(RenameUser(user.id, "beatrice"), actor="test")

    assert everywhere(browser) == {"beatrice"}
    assert site.server.user("beatrice").epoch > user.epoch


def test_a_cookie_that_was_carried_away_opens_nothing_elsewhere(site: PortalSite, browser: SsoBrowser) -> None:
    """Outside of the user's networks the session is over, also for who has it inside."""
    user = site.add_sso_user("cleo")
    site.server.store.apply(UpdateUser(user.id, UserFields(networks=("127.0.0.1/32",))), actor="test")
    site.sign_in(browser, "cleo")
    inside = everywhere(browser)

    assert (inside, seen_from(browser, "127.0.0.2"), everywhere(browser)) == ({"cleo"}, None, {None})


def test_everything_of_a_leaver_ends_together(site: PortalSite, browser: SsoBrowser) -> None:
    """Keys made at the portal, and the portal itself: on every protocol and worker, by one change."""
    user = site.add_sso_user("dora")
    site.sign_in(browser, "dora")
    form = browser.form("/account")
    token = browser.post("/account/api-keys", {"form": form, "title": "t", "days": "1"}).text
    secret = token.partition('id="secret">')[2].partition("<")[0]
    ways = [driver for driver in DRIVERS if came_in(driver, site, secret)]
    site.server.store.apply(SetStatus(user.id, Status.DISABLED), actor="test")

    assert [driver.front_end for driver in ways] == [driver.front_end for driver in DRIVERS]
    assert [driver for driver in DRIVERS if came_in(driver, site, secret)] == []
    assert everywhere(browser) == {None}


def came_in(driver: type[Driver], site: PortalSite, secret: str) -> bool:
    """Whether dora's key lets in there."""
    try:
        driver(site.server.driver_ports, Credential("dora", secret)).close()
    except Refusal:
        return False
    return True


def test_who_is_moved_to_a_provider_has_no_password_left(
    site: PortalSite, directory: Slapd, browser: SsoBrowser
) -> None:
    """B3: the session that the directory's password opened ends; the password is sent nowhere any more."""
    dn = site.add_directory_user(directory, "emil")
    browser.sign_in("emil", PASSWORD)
    before, binds = everywhere(browser), directory.binds(dn)
    user = site.server.user("emil")
    site.server.store.apply(SetMethod(user.id, Method.OIDC, "op"), actor="test")
    after = everywhere(browser)
    answers = {
        browser.post("/sign-in", {"form": browser.form("/sign-in"), "name": "emil", "password": word}).status_code
        for word in (PASSWORD, "wrong")
    }

    assert (before, after, answers) == ({"emil"}, {None}, {403})
    assert site.reasons("emil", 2) == ["sso_password_refused"] * 2
    assert directory.binds(dn) == binds


def test_a_new_password_ends_the_sessions_of_the_old_one(site: PortalSite, browser: SsoBrowser) -> None:
    """Of a local user, on every worker; those by the new one stay."""
    site.server.add_user("fritz", password=PASSWORD)
    browser.sign_in("fritz", PASSWORD)
    site.server.add_user("fritz", password=NEW)
    with SsoBrowser(site.server) as other:
        other.sign_in("fritz", NEW)

        assert (everywhere(browser), everywhere(other)) == ({None}, {"fritz"})
