"""The portal's own pages as a person uses them: in Chromium, without an identity provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from auth_backends.ssh_keys import generate_key_pair
from tests.support.chromium import Chromium
from tests.support.cli import Cli
from tests.support.one_time_codes import code_now, enrol
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system
PASSWORD = "right-horse-battery"


@pytest.fixture(scope="module")
def server() -> Iterator[QuaymasterServer]:
    """Two workers a front end."""
    with QuaymasterServer(workers=2) as running:
        yield running


def sign_in(server: QuaymasterServer, browser: Chromium, name: str, password: str = PASSWORD) -> None:
    """Fill in the form."""
    browser.open(f"https://localhost:{server.http_port}/account")
    browser.type("input[name=name]", name)
    browser.type("input[name=password]", password, enter=True)


def test_a_password_and_a_code(server: QuaymasterServer, browser: Chromium) -> None:
    """A wrong password is said; the right one asks for the code; both together let in."""
    server.add_user("lola", password=PASSWORD)
    enrol(Cli(server.data), "lola")
    sign_in(server, browser, "lola", "wrong")
    browser.says("Wrong user name or password.")
    sign_in(server, browser, "lola")
    browser.shown("input[name=code]")
    browser.type("input[name=password]", PASSWORD)
    browser.type("input[name=code]", code_now(+1), enter=True)

    assert browser.text_of("#login") == "lola"


def test_keys_and_sessions_are_made_and_ended_on_the_page(server: QuaymasterServer, browser: Chromium) -> None:
    """Each button does what it says, and a bad key is refused in words."""
    server.add_user("kim", password=PASSWORD)
    pair = generate_key_pair("laptop")
    sign_in(server, browser, "kim")
    with Chromium() as elsewhere:
        sign_in(server, elsewhere, "kim")
        elsewhere.shown("#login")
        browser.type("textarea[name=key]", "no key at all")
        browser.submit("form[action='/account/keys']")
        refused = browser.text_of("[role=alert]")
        browser.type("textarea[name=key]", pair.public.line)
        browser.submit("form[action='/account/keys']")
        browser.says(pair.public.fingerprint)
        browser.submit("form[action='/account/keys/revoke']")
        browser.gone("form[action='/account/keys/revoke']")
        browser.submit("form[action='/account/sessions/end']")
        browser.gone("form[action='/account/sessions/end']")
        told = server.store.audit.tail(kind="session.cut_requested", subject="kim")
        elsewhere.open(f"https://localhost:{server.http_port}/account")
        elsewhere.arrives(f"https://localhost:{server.http_port}/sign-in")

    assert "key" in refused
    assert [(event.actor, event.reason) for event in told] == [("kim", "ended_by_user")]
    assert pair.public.fingerprint not in browser.text
