"""Requests of the portal at the same time, on two workers and each kind of database: what counts once counts once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import httpx
import pytest

from auth_backends.api import Secret
from auth_backends.saml.parties import ServiceProvider
from auth_backends.totp import STEP_S, code_at, enrolment, new_secret
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider, SsoVendor
from server.providers import put_provider
from storage.database.changes import CreateUser, LinkIdentity, SetStatus
from storage.database.records import Method, Owner, Role, Status
from storage.database.sealing import ensure_site_key
from tests.support.portal_site import PortalSite, portal_site, seen_from
from tests.support.postgres import PostgresServer
from tests.support.saml_signer import OID, TENANT, EntraSigner, idp_metadata
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
PASSWORD = "right-horse-battery"
AT_ONCE = 8
"""Each over a connection of its own; that one worker gets them all happens once in 128 times."""

Ask = Callable[[SsoBrowser], httpx.Response]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    """Two workers a front end."""
    environment = {"QUAYMASTER_AUTH__MAX_FAILURES_PER_NETWORK": "10000"}
    if request.param == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        environment["QUAYMASTER_DATABASE__URL"] = postgres.new_database("portal")
    with portal_site(tmp_path_factory.mktemp("site"), environment=environment) as running:
        running.add_provider("open", jit=True)
        yield running


def at_once(server: QuaymasterServer, asks: Sequence[tuple[SsoBrowser, Ask]]) -> list[httpx.Response]:
    """Let each browser ask over a new connection, all at the same moment; it gets the cookies of the answer."""
    start = Barrier(len(asks), timeout=30)

    def one(browser: SsoBrowser, ask: Ask) -> httpx.Response:
        with SsoBrowser(server) as connection:
            connection.client.cookies.update(browser.client.cookies)
            connection.client.head("/signed-out")  # the connection is there before the others begin
            start.wait()
            answer = ask(connection)
        browser.client.cookies.update(answer.cookies)
        return answer

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(one, *zip(*asks, strict=True)))


def going_to(address: str) -> Ask:
    """Ask for a page."""
    return lambda browser: browser.get(address)


def posting(address: str, fields: dict[str, str]) -> Ask:
    """Post a form from a page of ours."""
    return lambda browser: browser.post(address, fields)


@pytest.fixture
def browsers(site: PortalSite) -> Iterator[list[SsoBrowser]]:
    """Browsers of different people, or of one person with many."""
    with ExitStack() as stack:
        yield [stack.enter_context(SsoBrowser(site.server)) for _ in range(AT_ONCE)]


def test_one_answer_of_a_provider_opens_one_session(site: PortalSite) -> None:
    """B6 and O12: of eight requests with the same state and code one is let in, and the code is sent away once."""
    user = site.add_sso_user("ann")
    with SsoBrowser(site.server) as browser:
        back = site.go(browser, "ann")
        before = site.provider.hits["/token"]
        answers = at_once(site.server, [(browser, going_to(back))] * AT_ONCE)

    assert sorted(answer.status_code for answer in answers) == [303] + [403] * (AT_ONCE - 1)
    assert site.provider.hits["/token"] == before + 1
    assert len(site.server.store.portal.of_user(user.id)) == 1


def test_one_assertion_lets_in_once(site: PortalSite, tmp_path_factory: pytest.TempPathFactory) -> None:
    """S17: an assertion that nobody had asked for, where that is allowed, is used on one worker."""
    server = site.server
    base = f"https://localhost:{server.http_port}/sso/idp"
    sp = ServiceProvider(f"{base}/metadata", f"{base}/acs", f"{base}/slo", Secret(""), "")
    signer = EntraSigner.fresh(sp, time.time())
    metadata = tmp_path_factory.mktemp("idp") / "metadata.xml"
    metadata.write_bytes(idp_metadata(signer))
    provider = SsoProvider(
        method=SsoMethod.SAML,
        vendor=SsoVendor.ENTRA,
        tenant=TENANT,
        metadata_file=metadata,
        idp_initiated=True,
    )
    server.store.apply(put_provider("idp", provider, Settings()), actor="test")
    bob = server.store.apply(CreateUser("bob", Method.SAML, provider="idp"), actor="test").subject_id
    server.store.apply(LinkIdentity(bob, "idp", OID), actor="test")
    fields = {"SAMLResponse": signer.response(None, time.time()), "RelayState": ""}
    with SsoBrowser(server) as browser:
        answers = at_once(server, [(browser, posting("/sso/idp/acs", fields))] * AT_ONCE)

    assert sorted(answer.status_code for answer in answers) == [303] + [403] * (AT_ONCE - 1)
    assert len(server.store.portal.of_user(bob)) == 1


def test_a_newcomer_in_many_browsers_is_one_user(site: PortalSite, browsers: list[SsoBrowser]) -> None:
    """Made once, and let in everywhere."""
    asks = [(browser, going_to(site.go(browser, "newcomer", "open"))) for browser in browsers]
    answers = at_once(site.server, asks)

    assert [answer.status_code for answer in answers] == [303] * AT_ONCE
    made = site.server.store.audit.tail(kind="user.created", subject="newcomer")
    assert len(made) == 1
    user = site.server.user("newcomer")
    assert (user.managed_by, user.role, user.method) == (Owner.JIT, Role.USER, Method.OIDC)
    assert len(site.server.store.portal.of_user(user.id)) == AT_ONCE


def test_of_two_newcomers_of_one_name_one_has_it(site: PortalSite, browsers: list[SsoBrowser]) -> None:
    """The other stays out, and is never let in as the first."""
    backs = [
        site.go(browser, f"twin-{number}", "open", preferred_username="twin")
        for number, browser in enumerate(browsers[:2])
    ]
    answers = at_once(site.server, list(zip(browsers, map(going_to, backs), strict=False)))

    assert sorted(answer.status_code for answer in answers) == [303, 403]
    winner = f"sub-of-twin-{[answer.status_code for answer in answers].index(303)}"
    user = site.server.store.users.by_identity("open", winner)
    assert user is not None
    assert user.name == "twin"
    assert len(site.server.store.portal.of_user(user.id)) == 1


def test_one_code_of_an_authenticator_opens_one_session(site: PortalSite) -> None:
    """RFC 6238 section 5.2: a code is accepted once, whichever worker sees it first."""
    user = site.server.add_user("tess", password=PASSWORD)
    secret, then = new_secret(), time.time() - 2 * STEP_S
    key = ensure_site_key(Settings(data=site.server.data).site_key_file)
    change = enrolment(user, secret, Secret(code_at(secret, int(then // STEP_S))), key, then)
    assert change is not None
    site.server.store.apply(change, actor="test")
    code = code_at(secret, int(time.time() // STEP_S))
    with SsoBrowser(site.server) as browser:
        form = {"form": browser.form("/sign-in"), "name": "tess", "password": PASSWORD, "code": code}
        answers = at_once(site.server, [(browser, posting("/sign-in", form))] * AT_ONCE)

    assert [answer.status_code for answer in answers].count(303) == 1
    assert len(site.server.store.portal.of_user(user.id)) == 1


def test_who_is_disabled_in_the_middle_has_no_session_left(site: PortalSite, browsers: list[SsoBrowser]) -> None:
    """B1: seven sign-ins of one person, and the end of the person in between: none of them is of use afterwards."""
    user = site.add_sso_user("uwe")
    asks = [(browser, going_to(site.go(browser, "uwe"))) for browser in browsers[1:]]

    def end(browser: SsoBrowser) -> httpx.Response:
        answer = browser.get("/signed-out")
        site.server.store.apply(SetStatus(user.id, Status.DISABLED), actor="test")
        return answer

    _, *answers = at_once(site.server, [(browsers[0], end), *asks])

    assert {answer.status_code for answer in answers} <= {303, 403}
    assert {seen_from(browser) for browser in browsers} == {None}
    assert site.server.store.portal.of_user(user.id) == []
