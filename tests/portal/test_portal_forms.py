"""Every form of the portal counts only from a page of the same browser and session (cross-site request forgery)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from auth_backends.ssh_keys import generate_key_pair
from storage.database.store import Store
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
PASSWORD = "right-horse-battery"
SESSION, BROWSER = "__Host-qm_session", "__Host-qm_browser"

FORMS: dict[str, Callable[[Store, str], dict[str, str]]] = {
    "/sign-out": lambda _store, _user: {},
    "/account/keys": lambda _store, _user: {"key": generate_key_pair("x").public.line, "title": "x"},
    "/account/keys/revoke": lambda store, user: {"id": store.credentials.ssh_keys_of(user)[0].id},
    "/account/api-keys": lambda _store, _user: {"title": "x", "days": "1"},
    "/account/api-keys/revoke": lambda store, user: {"id": store.credentials.api_keys_of(user)[0].id},
    "/account/sessions/end": lambda store, user: {"id": store.portal.of_user(user)[0].id},
}

Forge = Callable[[SsoBrowser, str, str, dict[str, str]], httpx.Response]


def sent(browser: SsoBrowser, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
    """Post a form with exactly these headers."""
    return browser.client.post(path, data=fields, headers=headers)


FORGERIES: dict[str, Forge] = {
    "another site": lambda one, path, form, fields: sent(
        one, path, {**fields, "form": form}, Origin="https://evil.example"
    ),
    "a sandbox": lambda one, path, form, fields: sent(one, path, {**fields, "form": form}, Origin="null"),
    "no origin": lambda one, path, form, fields: sent(one, path, {**fields, "form": form}),
    "plain http": lambda one, path, form, fields: sent(
        one, path, {**fields, "form": form}, Origin=one.origin.replace("https", "http")
    ),
    "a neighbour's name": lambda one, path, form, fields: sent(
        one, path, {**fields, "form": form}, Origin=f"{one.origin}.evil.example"
    ),
    "no token": lambda one, path, _form, fields: sent(one, path, fields, Origin=one.origin),
    "an empty token": lambda one, path, _form, fields: sent(one, path, {**fields, "form": ""}, Origin=one.origin),
    "another's token": lambda one, path, _form, fields: sent(
        one, path, {**fields, "form": others_form(one.server)}, Origin=one.origin
    ),
    "the browser's token": lambda one, path, _form, fields: sent(
        one, path, {**fields, "form": sign_in_form(one)}, Origin=one.origin
    ),
    "a token in the address": lambda one, path, form, fields: sent(
        one, f"{path}?form={form}", fields, Origin=one.origin
    ),
}


def others_form(server: QuaymasterServer) -> str:
    """The token of another person's page."""
    with SsoBrowser(server) as other:
        other.sign_in("mallory", PASSWORD)
        return other.form("/account")


def sign_in_form(browser: SsoBrowser) -> str:
    """The token that this browser's sign-in page has; that of its session is another."""
    with SsoBrowser(browser.server) as same:
        same.client.cookies.set(BROWSER, browser.client.cookies[BROWSER])
        return same.form("/sign-in")


@pytest.fixture(scope="module")
def server() -> Iterator[QuaymasterServer]:
    """Two workers a front end; lola with keys, and mallory."""
    with QuaymasterServer(workers=2) as running:
        for name in ("lola", "mallory"):
            running.add_user(name, password=PASSWORD)
        running.add_key("lola")
        running.issue_api_key("lola")
        yield running


@pytest.fixture
def browser(server: QuaymasterServer) -> Iterator[SsoBrowser]:
    """Lola's, who is signed in here and in another one."""
    server.forget_failures()
    with SsoBrowser(server) as elsewhere, SsoBrowser(server) as one:
        elsewhere.sign_in("lola", PASSWORD)
        one.sign_in("lola", PASSWORD)
        yield one


def state(server: QuaymasterServer) -> tuple[object, ...]:
    """All that a form could change of lola."""
    user, store = server.user("lola"), server.store
    keys = [(key.id, key.revoked_at) for key in store.credentials.ssh_keys_of(user.id)]
    api_keys = [(key.id, key.revoked_at) for key in store.credentials.api_keys_of(user.id)]
    return keys, api_keys, [one.id for one in store.portal.of_user(user.id)]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_form_changes_nothing(server: QuaymasterServer, browser: SsoBrowser, path: str, forgery: str) -> None:
    """And whoever was signed in stays so."""
    fields = FORMS[path](server.store, server.user("lola").id)
    form, before = browser.form("/account"), state(server)
    answer = FORGERIES[forgery](browser, path, form, fields)

    assert answer.status_code in {303, 400}
    assert (state(server), browser.name()) == (before, "lola")


@pytest.mark.parametrize("path", FORMS)
def test_the_same_form_from_its_page_counts(server: QuaymasterServer, browser: SsoBrowser, path: str) -> None:
    """The forgeries above differ from it by one thing each."""
    fields = FORMS[path](server.store, server.user("lola").id)
    form, before = browser.form("/account"), state(server)
    browser.post(path, {**fields, "form": form})

    assert state(server) != before
    if path.endswith("revoke"):  # for the next one there must be another
        server.add_key("lola")
        server.issue_api_key("lola")


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_nobody_signs_a_person_in_as_somebody_else(server: QuaymasterServer, origin: str) -> None:
    """Login forgery: a form of another site, or with a token of another browser's page, opens no session."""
    with SsoBrowser(server) as victim, SsoBrowser(server) as attacker:
        own, foreign = victim.form("/sign-in"), attacker.form("/sign-in")
        fields = {"name": "mallory", "password": PASSWORD}
        answers = [
            victim.post("/sign-in", {**fields, "form": own}, origin=origin),
            victim.post("/sign-in", {**fields, "form": foreign}),
            victim.post("/sign-in", fields),
        ]

        assert [answer.status_code for answer in answers] == [400] * 3
        assert victim.name() is None
        assert victim.post("/sign-in", {**fields, "form": own}).status_code == 303


def test_the_cookies_are_of_this_host_alone(server: QuaymasterServer) -> None:
    """Flags, size and number; only the browser's goes along with other sites' forms, as a SAML provider's answer is."""
    with SsoBrowser(server) as browser:
        page = browser.get("/sign-in")
        form = {"form": browser.form("/sign-in"), "name": "lola", "password": PASSWORD}
        landed = browser.post("/sign-in", form)
        left = browser.post("/sign-out", {"form": browser.form("/account")})
    (first,) = page.headers.get_list("set-cookie")
    (second,) = landed.headers.get_list("set-cookie")
    (third,) = left.headers.get_list("set-cookie")

    assert flags(first) == (BROWSER, 43, {"httponly", "secure", "path=/", "samesite=none", "max-age=2592000"})
    assert flags(second) == (SESSION, 43, {"httponly", "secure", "path=/", "samesite=lax"})
    assert third.startswith(f'{SESSION}="";')
    assert "Max-Age=0" in third


def flags(header: str) -> tuple[str, int, set[str]]:
    """The name of a cookie, the length of its value, and what is said of it."""
    cookie, *said = header.split("; ")
    name, _, value = cookie.partition("=")
    return name, len(value), {one.lower() for one in said}
