"""Emergency accounts and one-time codes at the portal, over HTTPS on two workers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from auth_backends.api import Secret
from auth_backends.totp import STEP_S, code_at, enrolment, new_secret
from config.settings import Settings
from storage.database.records import Role, User
from storage.database.sealing import ensure_site_key
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
PASSWORD = "right-horse-battery"


@pytest.fixture(scope="module")
def server() -> Iterator[QuaymasterServer]:
    """Two workers a front end."""
    with QuaymasterServer(workers=2) as running:
        yield running


@pytest.fixture
def browser(server: QuaymasterServer) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    with SsoBrowser(server) as one:
        yield one


def enrolled(server: QuaymasterServer, name: str, *, break_glass: bool) -> tuple[User, Secret]:
    """A user with an authenticator, whose code of two steps ago was used for the enrolment."""
    role = Role.ADMIN if break_glass else Role.USER
    user = server.add_user(name, password=PASSWORD, break_glass=break_glass, role=role)
    secret, then = new_secret(), time.time() - 2 * STEP_S
    key = ensure_site_key(Settings(data=server.data).site_key_file)
    change = enrolment(user, secret, Secret(code_at(secret, int(then // STEP_S))), key, then)
    assert change is not None
    server.store.apply(change, actor="test")
    return user, secret


def sign_in(browser: SsoBrowser, name: str, code: str = "") -> tuple[int, bool]:
    """Post the form; the status, and whether a code is asked for."""
    form = browser.form("/sign-in")
    page = browser.post("/sign-in", {"form": form, "name": name, "password": PASSWORD, "code": code})
    return page.status_code, 'name="code"' in page.text


@pytest.mark.parametrize("break_glass", [True, False], ids=["emergency account", "local user"])
def test_password_and_code_let_in_once(server: QuaymasterServer, browser: SsoBrowser, *, break_glass: bool) -> None:
    """The password alone asks for the code; a wrong one and a used one are refused; the emergency is told."""
    name = "emergency" if break_glass else "lola"
    _, secret = enrolled(server, name, break_glass=break_glass)
    asked = sign_in(browser, name)
    nobody = browser.name()
    wrong = sign_in(browser, name, "000000")
    code = code_at(secret, int(time.time() // STEP_S))
    right = sign_in(browser, name, code)
    somebody = browser.name()
    with SsoBrowser(server) as other:
        again = sign_in(other, name, code)

    assert (asked, wrong, right, again) == ((403, True), (403, True), (303, False), (403, True))
    assert (nobody, somebody) == (None, name)
    alarms = server.store.audit.tail(kind="break_glass.used", subject=name)
    assert len(alarms) == (1 if break_glass else 0)


def test_an_emergency_account_without_an_authenticator_stays_out(server: QuaymasterServer, browser: SsoBrowser) -> None:
    """Whatever code is sent."""
    server.add_user("careless", password=PASSWORD, break_glass=True, role=Role.ADMIN)

    assert sign_in(browser, "careless") == (403, True)
    assert sign_in(browser, "careless", "123456") == (403, True)
    assert browser.name() is None


def test_an_emergency_account_has_no_keys_of_its_own(server: QuaymasterServer, browser: SsoBrowser) -> None:
    """It signs in at the portal alone, with the alarm."""
    _, secret = enrolled(server, "keyless", break_glass=True)
    sign_in(browser, "keyless", code_at(secret, int(time.time() // STEP_S)))
    page = browser.get("/account")
    form = browser.form("/account")
    made = browser.post("/account/api-keys", {"form": form, "title": "x", "days": "1"})

    assert "Make an API key" not in page.text
    assert made.status_code == 400
