"""Providers that change certificates, are away, or come back: sign-in goes on where it can, all else always."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from auth_backends.api import Secret
from auth_backends.saml.parties import ServiceProvider, new_key_pair
from auth_backends.saml.requests import new_request_id
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider, SsoVendor
from server.providers import put_provider
from storage.database.records import Method, Owner
from tests.support.published import Published
from tests.support.saml_logouts import logout_request, posted
from tests.support.saml_signer import NAME, OBJECT_ID, TENANT, EntraSigner, idp_metadata
from tests.support.scim_client import issue_token
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser, saml_answer

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server() -> Iterator[QuaymasterServer]:
    """Two workers a front end, which start while no provider is there."""
    with QuaymasterServer(workers=2) as running:
        yield running


@pytest.fixture
def published() -> Iterator[Published]:
    """An address at which a test publishes metadata."""
    with Published() as one:
        yield one


def signer_for(server: QuaymasterServer, name: str) -> EntraSigner:
    """A provider with a key of its own."""
    base = f"https://localhost:{server.http_port}/sso/{name}"
    sp = ServiceProvider(f"{base}/metadata", f"{base}/acs", f"{base}/slo", Secret(""), "")
    return EntraSigner.fresh(sp, time.time())


def add(server: QuaymasterServer, name: str, published: Published, **fields: Any) -> None:
    """Add a provider that publishes its metadata, and lets newcomers in."""
    provider = SsoProvider(
        method=SsoMethod.SAML,
        vendor=SsoVendor.ENTRA,
        tenant=TENANT,
        jit=True,
        metadata_url=published.url,
        private_hosts=True,
        **fields,
    )
    server.store.apply(put_provider(name, provider, Settings()), actor="test")


def sign_in(browser: SsoBrowser, name: str, signer: EntraSigner, **claims: tuple[str, ...]) -> int:
    """The whole way; the status of the last answer."""
    query = browser.start(name)
    return browser.post(f"/sso/{name}/acs", saml_answer(signer, query, **claims), origin="null").status_code


def test_a_roll_over_loses_no_sign_in(server: QuaymasterServer, published: Published) -> None:
    """The new certificate in place of the old one, from one moment to the next; and no stranger's."""
    old = signer_for(server, "rolling")
    new = replace(old, pair=new_key_pair("idp", time.time()))
    published.body = idp_metadata(old)
    add(server, "rolling", published)
    with SsoBrowser(server) as browser:
        before = sign_in(browser, "rolling", old)
        published.body = idp_metadata(new)
        kept = server.store.sso_kept.of("rolling", published.url)
        assert kept is not None
        server.store.sso_kept.put("rolling", published.url, kept.body, time.time() - 120)  # looked at two minutes ago
        after = [sign_in(browser, "rolling", new) for _ in range(4)]
        removed = sign_in(browser, "rolling", old)
        asked = published.requests
        strangers = [sign_in(browser, "rolling", signer_for(server, "rolling")) for _ in range(4)]

    assert (before, after, removed) == (303, [303] * 4, 403)
    assert strangers == [403] * 4
    assert published.requests == asked  # nobody makes us ask the provider again and again
    events = server.store.audit.tail(kind="sso.new_certificate", subject="rolling")
    assert len(events) == 1


def test_a_roll_over_loses_no_sign_out(server: QuaymasterServer, published: Published) -> None:
    """The first message by the new certificate is a request to sign out; the old one counts no more."""
    old = signer_for(server, "leaving")
    new = replace(old, pair=new_key_pair("idp", time.time()))
    published.body = idp_metadata(old)
    add(server, "leaving", published)
    slo = old.acs_url.replace("/acs", "/slo")
    claims = {OBJECT_ID: ("o-6",), NAME: ("leaving@contoso.test",)}

    def sign_out(browser: SsoBrowser, signer: EntraSigner) -> int:
        message = posted(signer, logout_request(signer, slo, time.time(), "ann@contoso.test", new_request_id()))
        return browser.post("/sso/leaving/slo", {"SAMLRequest": message}, origin="https://login.example").status_code

    with SsoBrowser(server) as browser:
        sign_in(browser, "leaving", old, **claims)
        published.body = idp_metadata(new)
        kept = server.store.sso_kept.of("leaving", published.url)
        assert kept is not None
        server.store.sso_kept.put("leaving", published.url, kept.body, time.time() - 120)  # looked at two minutes ago
        before = browser.name()
        by_new = sign_out(browser, new)
        after = browser.name()

        assert (before, by_new, after) == ("leaving@contoso.test", 303, None)
        assert [sign_out(browser, one) for one in (old, signer_for(server, "leaving"))] == [400, 400]


def test_a_provider_that_is_away_takes_nothing_else_down(server: QuaymasterServer, published: Published) -> None:
    """Its page says so; passwords and keys work. Then it is there, and people sign in."""
    signer = signer_for(server, "away")
    add(server, "away", published)
    published.status = 503
    server.add_user("local-lola", password="right horse")
    with SsoBrowser(server) as browser:
        away = browser.get("/sso/away/start")
        page = browser.get("/sign-in")
        form = browser.form("/sign-in")
        local = browser.post("/sign-in", {"form": form, "name": "local-lola", "password": "right horse"})
        dav = browser.client.request(
            "PROPFIND", f"{browser.origin}/dav/", auth=("local-lola", "right horse"), headers={"Depth": "0"}
        )
        published.status, published.body = 200, idp_metadata(signer)
        server.store.sso_kept.failed("away", published.url, "away", time.time() - 60)
        back = sign_in(browser, "away", signer, **{OBJECT_ID: ("o-2",), NAME: ("away@contoso.test",)})

    assert away.status_code == 503
    assert "cannot be reached" in away.text
    assert "Sign in with away" in page.text
    assert (local.status_code, dav.status_code, back) == (303, 207, 303)


def test_the_last_good_copy_serves_while_the_provider_is_away(server: QuaymasterServer, published: Published) -> None:
    """Also after it answers nonsense, or metadata of somebody else: nothing good is thrown away."""
    signer = signer_for(server, "flaky")
    published.body = idp_metadata(signer)
    add(server, "flaky", published, idp_entity_id=signer.issuer)
    claims = {
        OBJECT_ID: ("o-3",),
        NAME: ("flaky@contoso.test",),
    }
    with SsoBrowser(server) as browser:
        first = sign_in(browser, "flaky", signer, **claims)
        later = []
        for body in (b"<html>", idp_metadata(replace(signer, issuer="https://evil.example/")), b"<!DOCTYPE x><x/>"):
            published.body = body
            server.store.sso_kept.failed("flaky", published.url, "", time.time() - 120)
            sign_in(browser, "flaky", signer_for(server, "flaky"))  # makes it look again
            kept = server.store.sso_kept.of("flaky", published.url)
            assert kept is not None
            assert kept.problem
            later.append(sign_in(browser, "flaky", signer, **claims))

    assert (first, later) == (303, [303] * 3)


def test_a_newcomer_is_made_unless_a_scim_client_makes_them(server: QuaymasterServer, published: Published) -> None:
    """JIT: a user with no privileges; none while the provider's SCIM client has a token."""
    signer = signer_for(server, "jit")
    published.body = idp_metadata(signer)
    add(server, "jit", published, default_group="newcomers")
    claims = {
        OBJECT_ID: ("o-4",),
        NAME: ("new@contoso.test",),
    }
    others = {
        OBJECT_ID: ("o-5",),
        NAME: ("newer@contoso.test",),
    }
    with SsoBrowser(server) as browser:
        made = sign_in(browser, "jit", signer, **claims)
        issue_token(server.store, "jit")
        with_scim = sign_in(browser, "jit", signer, **others)
        known = sign_in(browser, "jit", signer, **claims)
    user = server.store.users.by_name("new@contoso.test")
    assert user is not None

    assert (made, with_scim, known) == (303, 403, 303)
    assert (user.managed_by, user.method, user.provider) == (Owner.JIT, Method.SAML, "jit")
    assert [group.name for group in server.store.users.groups_of(user.id)] == ["newcomers"]
    assert server.store.users.by_name("newer@contoso.test") is None
