"""What a person has after SAML sign-in, over the real HTTPS port, two workers: sessions, keys, the way out."""

from __future__ import annotations

import base64
import html
import re
import secrets
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from auth_backends.api import Secret
from auth_backends.saml.documents import NAMES, parsed, text_of
from auth_backends.saml.logout import SignedInAs, logout_request, logout_response
from auth_backends.saml.parties import ServiceProvider
from auth_backends.ssh_keys import generate_key_pair
from storage.database.changes import SetStatus
from storage.database.records import Role, Status
from tests.support.saml_signer import OID, EntraSigner
from tests.support.saml_site import SsoSite, answer, hostile, refused, running_saml_site, sign_in
from tests.support.sso_browser import SsoBrowser
from tests.support.waiting import eventually

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


@pytest.mark.parametrize("status", [Status.DISABLED, Status.DEPROVISIONED])
def test_a_leavers_session_ends_with_the_next_request(site: SsoSite, browser: SsoBrowser, status: Status) -> None:
    """On every worker, as each request is judged anew; and no new one begins."""
    sign_in(site, browser)
    before = browser.name()
    site.server.store.apply(SetStatus(site.ann.id, status), actor="test")
    try:
        after = [browser.name() for _ in range(4)]
        with SsoBrowser(site.server) as fresh:
            assert refused(site, fresh, sign_in(site, fresh)) == "not_active"
    finally:
        site.server.store.apply(SetStatus(site.ann.id, Status.ACTIVE), actor="test")

    assert (before, after) == ("ann", [None] * 4)
    assert browser.name() is None


def test_an_admin_cuts_a_session_of_the_portal(site: SsoSite, browser: SsoBrowser) -> None:
    """By ``session cut``, as any other."""
    sign_in(site, browser)
    session = site.server.store.sessions.live()[-1]
    site.server.cli("session", "cut", session.id)

    assert browser.name() is None


# Keys of one's own ---------------------------------------------------------------------------------


def test_keys_of_the_account_page_work_where_the_table_says(site: SsoSite, browser: SsoBrowser) -> None:
    """The API key on WebDAV and not at the portal; the password nowhere; a revoked key no more."""
    sign_in(site, browser)
    form = browser.form("/account")
    made = browser.post("/account/api-keys", {"form": form, "title": "backup", "days": "30"})
    secret = re.search(r'id="secret">([^<]+)<', made.text)
    assert secret is not None

    def on_webdav(word: str) -> int:
        with SsoBrowser(site.server) as one:
            try:
                return one.client.request("PROPFIND", "/dav/", auth=("ann", word), headers={"Depth": "0"}).status_code
            except httpx.RemoteProtocolError:  # cut in the middle
                return 0

    with_key, with_password = on_webdav(secret[1]), on_webdav("her password")
    key = site.server.store.credentials.api_keys_of(site.ann.id)[-1]
    browser.post("/account/api-keys/revoke", {"form": form, "id": key.id})
    eventually(lambda: {on_webdav(secret[1]) for _ in range(4)} == {401}, what="the key to be refused by all workers")

    assert (with_key, with_password) == (207, 401)
    assert key.expires_at == pytest.approx(time.time() + 30 * 86_400, abs=60)
    assert secret[1] not in browser.get("/account").text + site.server.log


def test_an_ssh_key_is_added_and_revoked(site: SsoSite, browser: SsoBrowser) -> None:
    """A weak or broken one is refused with the reason."""
    sign_in(site, browser)
    form = browser.form("/account")
    line = generate_key_pair("laptop").public.line
    added = browser.post("/account/keys", {"form": form, "key": line, "title": "laptop"})
    broken = browser.post("/account/keys", {"form": form, "key": "ssh-rsa AAAA", "title": ""})
    (key,) = site.server.store.credentials.ssh_keys_of(site.ann.id)
    browser.post("/account/keys/revoke", {"form": form, "id": key.id})

    assert (added.status_code, broken.status_code, key.title) == (303, 400, "laptop")
    assert site.server.store.credentials.ssh_keys_of(site.ann.id)[0].revoked_at is not None


def test_nobody_revokes_anothers_key_or_ends_anothers_session(site: SsoSite, browser: SsoBrowser) -> None:
    """Ids are no secret."""
    site.server.add_user("bob", password="right horse")
    with SsoBrowser(site.server) as bobs:
        bobs.post("/sign-in", {"form": bobs.form("/sign-in"), "name": "bob", "password": "right horse"})
        bobs.post("/account/api-keys", {"form": bobs.form("/account"), "title": "bob's", "days": "1"})
        bob = site.server.store.users.by_name("bob")
        assert bob is not None
        (key,) = site.server.store.credentials.api_keys_of(bob.id)
        session = next(row for row in site.server.store.sessions.live() if row.user_id == bob.id)
        sign_in(site, browser)
        form = browser.form("/account")
        stolen = browser.post("/account/api-keys/revoke", {"form": form, "id": key.id})
        ended = browser.post("/account/sessions/end", {"form": form, "id": session.id})

        assert (stolen.status_code, ended.status_code) == (400, 400)
        assert site.server.store.credentials.api_keys_of(bob.id)[0].revoked_at is None
        assert bobs.name() == "bob"


@pytest.mark.parametrize("path", ["/account/keys", "/account/api-keys", "/account/sessions/end", "/sign-out"])
def test_no_other_site_posts_for_a_person(site: SsoSite, browser: SsoBrowser, path: str) -> None:
    """Neither with a foreign origin nor without the token of the page."""
    sign_in(site, browser)
    form = browser.form("/account")
    fields = {"key": generate_key_pair("x").public.line, "title": "x", "days": "1", "id": "x"}
    count = len(site.server.store.credentials.api_keys_of(site.ann.id))
    browser.post(path, fields | {"form": form}, origin="https://evil.example")
    browser.post(path, fields | {"form": "0" * 64})

    assert browser.name() == "ann"
    assert len(site.server.store.credentials.api_keys_of(site.ann.id)) == count


# Single logout -------------------------------------------------------------------------------------


def test_signing_out_here_goes_on_to_the_provider(site: SsoSite, browser: SsoBrowser) -> None:
    """The session here is over whatever happens there; the provider's answer brings the browser back."""
    sign_in(site, browser)
    page = browser.post("/sign-out", {"form": browser.form("/account")})
    away = re.search(r'content="0;url=([^"]+)"', page.text)
    assert away is not None
    query = {name: values[0] for name, values in parse_qs(urlsplit(html.unescape(away[1])).query).items()}
    request = parsed(zlib.decompress(base64.b64decode(query["SAMLRequest"]), wbits=-15))
    us = replace(site.signer.idp(), slo_response_url=site.signer.acs_url.replace("/acs", "/slo"))
    back = logout_response(
        us,
        ServiceProvider(site.signer.issuer, "", "", site.signer.pair.private_key_pem, site.signer.pair.certificate_pem),
        in_response_to=str(request.get("ID")),
        relay_state=query["RelayState"],
        now=time.time(),
    )
    assert isinstance(back, str)
    landed = browser.get(f"/sso/entra/slo?{urlsplit(back).query}")

    assert browser.name() is None
    assert text_of(request.find("saml:NameID", NAMES)) == "ann@contoso.test"
    assert (landed.status_code, landed.headers["location"]) == (303, "/signed-out")


def provider_signs_out(site: SsoSite, name: str, signer: EntraSigner | None = None) -> str:
    """The query with which a provider signs somebody out."""
    maker = signer or site.signer
    us = replace(site.signer.idp(), slo_url=site.signer.acs_url.replace("/acs", "/slo"))
    url = logout_request(
        us,
        ServiceProvider(site.signer.issuer, "", "", maker.pair.private_key_pem, maker.pair.certificate_pem),
        SignedInAs(name, "", ""),
        request_id=f"id-{secrets.token_hex(8)}",
        relay_state="r",
        now=time.time(),
    )
    assert isinstance(url, str)
    return urlsplit(url).query


def test_the_provider_signs_a_person_out(site: SsoSite, browser: SsoBrowser) -> None:
    """All of the person's sessions here, but no key; the answer goes back to the provider."""
    sign_in(site, browser)
    with SsoBrowser(site.server) as other:
        sign_in(site, other)
        answered = other.get(f"/sso/entra/slo?{provider_signs_out(site, 'ann@contoso.test')}")

        assert answered.status_code == 303
        assert answered.headers["location"].startswith(site.signer.idp().slo_url or "?")
        assert (browser.name(), other.name()) == (None, None)


def test_nobody_else_signs_a_person_out(site: SsoSite, browser: SsoBrowser) -> None:
    """S26: unsigned, a stranger's, of another person, or a second time."""
    sign_in(site, browser)
    stranger = EntraSigner.fresh(ServiceProvider("", "", "", Secret(""), ""), time.time())
    query = provider_signs_out(site, "ann@contoso.test")
    unsigned = "&".join(part for part in query.split("&") if not part.startswith("Sig"))
    answers = [
        browser.get(f"/sso/entra/slo?{unsigned}"),
        browser.get(f"/sso/entra/slo?{provider_signs_out(site, 'ann@contoso.test', stranger)}"),
        browser.get("/sso/entra/slo"),
        browser.get("/sso/entra/slo?SAMLRequest=%ff&Signature=x&SigAlg=y"),
    ]
    of_another = browser.get(f"/sso/entra/slo?{provider_signs_out(site, 'bob@contoso.test')}")

    assert [one.status_code for one in answers] == [400] * 4
    assert of_another.status_code == 303
    assert browser.name() == "ann"
    browser.get(f"/sso/entra/slo?{query}")
    sign_in(site, browser)
    assert browser.get(f"/sso/entra/slo?{query}").status_code == 400
    assert browser.name() == "ann"


# For admins ----------------------------------------------------------------------------------------


def test_a_test_sign_in_shows_what_came_and_signs_nobody_in(site: SsoSite, browser: SsoBrowser) -> None:
    """The claims, each check, and which user it would be; also why an answer is not believed."""
    site.server.add_user("boss", password="right horse", role=Role.ADMIN)
    browser.sign_in("boss", "right horse")
    pages = []
    for good in (True, False):
        answered = browser.get("/sso/entra/test")
        query = {name: values[0] for name, values in parse_qs(urlsplit(answered.headers["location"]).query).items()}
        form = answer(site, query) if good else hostile(site, query)["audience"]
        pages.append(browser.post("/sso/entra/acs", form, origin="null"))
    right, wrong = pages

    assert (right.status_code, wrong.status_code) == (200, 200)
    assert OID in right.text
    assert "ann, active, method saml" in right.text
    assert "signature" in right.text
    assert "not https://localhost" in wrong.text
    assert browser.name() == "boss"


def test_only_admins_see_why_an_answer_is_not_believed(site: SsoSite, browser: SsoBrowser) -> None:
    """It would help whoever forges one."""
    stranger = browser.get("/sso/entra/test")
    sign_in(site, browser)
    person = browser.get("/sso/entra/test")

    assert (stranger.status_code, stranger.headers["location"]) == (303, "/sign-in?return_to=%2Fsso%2Fentra%2Ftest")
    assert person.status_code == 403


def test_our_metadata_are_there_for_the_provider(site: SsoSite, browser: SsoBrowser) -> None:
    """As every worker gives them: one key for the site."""
    documents = {browser.get("/sso/entra/metadata").content for _ in range(8)}

    assert len(documents) == 1
    root = parsed(documents.pop())
    assert root.get("entityID") == site.signer.sp_entity_id
    assert root.find(".//md:AssertionConsumerService", NAMES).get("Location") == site.signer.acs_url
