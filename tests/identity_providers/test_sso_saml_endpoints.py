"""SAML sign-in over the real HTTPS port, two workers, by a signer in the test's process."""

from __future__ import annotations

import base64
import copy
import html
import re
import secrets
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from auth_backends.saml.documents import NAMES, parsed, text_of
from auth_backends.saml.logout import SignedInAs, logout_request, logout_response
from auth_backends.saml.parties import ServiceProvider
from auth_backends.ssh_keys import generate_key_pair
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider, SsoVendor
from server.providers import put_provider
from storage.database.changes import CreateUser, LinkIdentity, SetStatus
from storage.database.records import Method, Role, Status, User
from tests.support.saml_signer import EMAIL, NAME, OBJECT_ID, OID, TENANT, EntraSigner, idp_metadata
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser, saml_answer, saml_request_id

pytestmark = pytest.mark.system
REFUSED = "You could not be signed in."


@dataclass(frozen=True)
class SsoSite:
    """A running server, its signer, and a linked user."""

    server: QuaymasterServer
    signer: EntraSigner
    ann: User


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SsoSite]:
    """Two workers a front end."""
    folder = tmp_path_factory.mktemp("sso")
    with QuaymasterServer(workers=2) as server:
        origin = f"https://localhost:{server.http_port}/sso/entra"
        sp = ServiceProvider(f"{origin}/metadata", f"{origin}/acs", f"{origin}/slo", None, "")  # type: ignore[arg-type]
        signer = EntraSigner.fresh(sp, time.time())
        (folder / "metadata.xml").write_bytes(idp_metadata(signer))
        provider = SsoProvider(
            method=SsoMethod.SAML,
            vendor=SsoVendor.ENTRA,
            tenant=TENANT,
            metadata_file=folder / "metadata.xml",
            domains=frozenset({"contoso.test"}),
        )
        server.store.apply(put_provider("entra", provider, Settings()), actor="test")
        ann = server.store.users.by_id(
            server.store.apply(CreateUser("ann", Method.SAML, provider="entra"), actor="test").subject_id
        )
        assert ann is not None
        server.store.apply(LinkIdentity(ann.id, "entra", OID), actor="test")
        yield SsoSite(server, signer, ann)


@pytest.fixture
def browser(site: SsoSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    with SsoBrowser(site.server) as one:
        yield one


def answer(site: SsoSite, query: dict[str, str], **fields: object) -> dict[str, str]:
    """The form that the provider's page posts."""
    return saml_answer(site.signer, query, **fields)


def sign_in(site: SsoSite, browser: SsoBrowser, **fields: object) -> httpx.Response:
    """The whole way, from the button to the answer."""
    query = browser.start("entra", "/account?x=1")
    return browser.post("/sso/entra/acs", answer(site, query, **fields), origin="https://login.example")


def refused(site: SsoSite, browser: SsoBrowser, response: httpx.Response) -> str:
    """The kept reason of a refusal that looked like any other and let nobody in."""
    assert response.status_code == 403
    assert REFUSED in response.text
    assert "set-cookie" not in response.headers
    assert browser.name() is None
    return site.server.store.sso_answers.list("entra", 1)[0].reason


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


# What is refused ----------------------------------------------------------------------------------


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


def hostile(site: SsoSite, query: dict[str, str]) -> dict[str, dict[str, str]]:
    """Forms that a stranger, or a provider gone wrong, might post; each for the same request."""
    number, now = saml_request_id(query), time.time()
    stranger = EntraSigner.fresh(
        ServiceProvider(site.signer.sp_entity_id, site.signer.acs_url, "", None, ""),
        now,  # type: ignore[arg-type]
    )
    other = EntraSigner(site.signer.pair, site.signer.sp_entity_id, site.signer.acs_url, tenant="other")
    good = site.signer.response(number, now)
    raw = base64.b64decode(good)
    dtd = b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
    elsewhere = replace(site.signer, sp_entity_id="https://other.example/")
    bodies = {
        "unsigned": site.signer.response(number, now, sign=()),
        "response only": site.signer.response(number, now, sign=("response",)),
        "stranger": stranger.response(number, now),
        "SHA-1": replace(site.signer, algorithm="RSA_SHA1").response(number, now),
        "audience": elsewhere.response(number, now),
        "tenant": other.response(number, now),
        "old": site.signer.response(number, now - 100_000),
        "future": site.signer.response(number, now + 1000),
        "another request": site.signer.response("id-other", now),
        "no request": site.signer.response(None, now),
        "DTD": base64.b64encode(dtd + raw).decode(),
        "tampered": base64.b64encode(raw.replace(OID.encode(), b"9" * 36)).decode(),
        "wrapped": site.signer.response(number, now, signed=_wrap),
        "large": "A" * 400_000,
        "empty": "",
        "no base64": "%%%",
    }
    return {name: {"SAMLResponse": body, "RelayState": query["RelayState"]} for name, body in bodies.items()}


def _wrap(root: Any) -> None:
    evil = copy.deepcopy(root.find("saml:Assertion", NAMES))
    evil.set("ID", "_evil")
    root.insert(0, evil)


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


# Whose account it is ------------------------------------------------------------------------------


def test_another_persons_address_links_nobody(site: SsoSite, browser: SsoBrowser) -> None:
    """O14 (nOAuth): name and e-mail are what the provider's user chose; the object id counts."""
    claims = {OBJECT_ID: ("99999999-0000-4000-8000-000000000000",), NAME: ("ann",), EMAIL: ("ann@contoso.test",)}
    response = sign_in(site, browser, **claims)

    assert refused(site, browser, response) == "not_linked"


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


# Keys of one's own --------------------------------------------------------------------------------


def test_keys_of_the_account_page_work_where_the_table_says(site: SsoSite, browser: SsoBrowser) -> None:
    """The API key on WebDAV and not at the portal; the password nowhere; a revoked key no more."""
    sign_in(site, browser)
    form = browser.form("/account")
    made = browser.post("/account/api-keys", {"form": form, "title": "backup", "days": "30"})
    secret = re.search(r'id="secret">([^<]+)<', made.text)
    assert secret is not None
    dav = f"{browser.origin}/dav/"
    with_key = browser.client.request("PROPFIND", dav, auth=("ann", secret[1]), headers={"Depth": "0"})
    with_password = browser.client.request("PROPFIND", dav, auth=("ann", "her password"), headers={"Depth": "0"})
    key = site.server.store.credentials.api_keys_of(site.ann.id)[-1]
    browser.post("/account/api-keys/revoke", {"form": form, "id": key.id})
    revoked = browser.client.request("PROPFIND", dav, auth=("ann", secret[1]), headers={"Depth": "0"})

    assert (with_key.status_code, with_password.status_code, revoked.status_code) == (207, 401, 401)
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


# Single logout ------------------------------------------------------------------------------------


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
    stranger = EntraSigner.fresh(ServiceProvider("", "", "", None, ""), time.time())  # type: ignore[arg-type]
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


# For admins ---------------------------------------------------------------------------------------


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


def test_nothing_is_kept_under_a_made_up_name(site: SsoSite, browser: SsoBrowser) -> None:
    """A stranger could fill the disk with them."""
    events = len(site.server.store.audit.tail(limit=1000))
    for number in range(5):
        browser.post(f"/sso/made-up-{number}/acs", {"SAMLResponse": "x", "RelayState": "y"})
        browser.get(f"/sso/made-up-{number}/callback?state=x&code=y")

    assert site.server.store.sso_answers.list("made-up-0", 5) == []
    assert len(site.server.store.audit.tail(limit=1000)) == events


def test_our_metadata_are_there_for_the_provider(site: SsoSite, browser: SsoBrowser) -> None:
    """As every worker gives them: one key for the site."""
    documents = {browser.get("/sso/entra/metadata").content for _ in range(8)}

    assert len(documents) == 1
    root = parsed(documents.pop())
    assert root.get("entityID") == site.signer.sp_entity_id
    assert root.find(".//md:AssertionConsumerService", NAMES).get("Location") == site.signer.acs_url
