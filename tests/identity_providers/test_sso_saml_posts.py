"""Single logout by HTTP POST over the real HTTPS port, two workers; a provider with metadata and one by fingerprint."""

from __future__ import annotations

import base64
import html
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth_backends.api import Secret
from auth_backends.saml.documents import NAMES, parsed
from auth_backends.saml.logout import LogoutRequest, LogoutResponse, read_logout
from auth_backends.saml.metadata import POST, REDIRECT
from auth_backends.saml.parties import IdentityProvider, ServiceProvider
from auth_backends.saml.posts import posted_message
from auth_backends.saml.signatures import fingerprint_of
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider, SsoVendor
from server.providers import put_provider
from storage.database.changes import CreateUser, LinkIdentity
from storage.database.records import Method
from tests.support.saml_changes import set_text
from tests.support.saml_logouts import logout_answer, logout_request, posted, without_signature
from tests.support.saml_signer import OID, SSO_URL, TENANT, EntraSigner, certificate_der, idp_metadata
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser, saml_answer

pytestmark = pytest.mark.system
ANN = "ann@contoso.test"
THERE = "https://login.example:8443/slo"
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


@dataclass(frozen=True)
class PostSite:
    """A running server and a signer for one of its two providers."""

    server: QuaymasterServer
    name: str
    signer: EntraSigner

    @property
    def slo(self) -> str:
        """Our address for single logout."""
        return self.signer.acs_url.replace("/acs", "/slo")

    def sign_in(self, browser: SsoBrowser) -> None:
        """Sign ann in."""
        form = saml_answer(self.signer, browser.start(self.name))
        browser.post(f"/sso/{self.name}/acs", form, origin="null")
        assert browser.name() == f"ann-{self.name}"

    def post(self, browser: SsoBrowser, message: str, kind: str = "SAMLRequest", state: str = "back") -> httpx.Response:
        """Post a message as the provider's page does."""
        fields = {kind: message, "RelayState": state}
        return browser.post(f"/sso/{self.name}/slo", fields, origin="https://login.example")

    def request(self, **changes: Any) -> str:
        """A proper request to sign ann out, with changes."""
        root = logout_request(self.signer, self.slo, time.time(), ANN, f"id-{secrets.token_hex(8)}")
        return posted(self.signer, root, **changes)

    def read(self, browser: SsoBrowser, fields: dict[str, str]) -> LogoutRequest | LogoutResponse:
        """Read what we post there, as the provider does: by the certificate in our metadata."""
        root = parsed(browser.get(f"/sso/{self.name}/metadata").content)
        shown = next(root.iter(f"{{{NAMES['ds']}}}X509Certificate")).text
        us = IdentityProvider(self.signer.sp_entity_id, "", certificates=(base64.b64decode(shown),))
        them = ServiceProvider("", "", THERE, self.signer.pair.private_key_pem, "")
        return read_logout(posted_message(fields, us), us, them, time.time())


def settings_of(name: str, signer: EntraSigner, folder: Path) -> SsoProvider:
    """One provider whose metadata offer POST alone, and one that is known by a fingerprint."""
    common: dict[str, Any] = {"method": SsoMethod.SAML, "vendor": SsoVendor.ENTRA, "tenant": TENANT}
    if name == "pinned":
        pin = fingerprint_of(certificate_der(signer.pair))
        return SsoProvider(**common, fingerprints=frozenset({pin}), idp_entity_id=signer.issuer, idp_sso_url=SSO_URL)
    by_redirect = f'<SingleLogoutService Binding="{REDIRECT}" Location="{SSO_URL}"/>'
    by_post = f'<SingleLogoutService Binding="{POST}" Location="{THERE}"/>'
    (folder / "metadata.xml").write_text(idp_metadata(signer).decode().replace(by_redirect, by_post))
    return SsoProvider(**common, metadata_file=folder / "metadata.xml")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, PostSite]]:
    """Two workers a front end, both providers, and ann at each of them."""
    with QuaymasterServer(workers=2) as server:
        found = {}
        for name in ("posting", "pinned"):
            base = f"https://localhost:{server.http_port}/sso/{name}"
            sp = ServiceProvider(f"{base}/metadata", f"{base}/acs", f"{base}/slo", Secret(""), "")
            found[name] = PostSite(server, name, EntraSigner.fresh(sp, time.time()))
            provider = settings_of(name, found[name].signer, tmp_path_factory.mktemp(name))
            server.store.apply(put_provider(name, provider, Settings()), actor="test")
            ann = server.store.apply(CreateUser(f"ann-{name}", Method.SAML, provider=name), actor="test").subject_id
            server.store.apply(LinkIdentity(ann, name, OID), actor="test")
        yield found


@pytest.fixture
def posting(sites: dict[str, PostSite]) -> PostSite:
    """The provider whose metadata offer POST alone."""
    return sites["posting"]


@pytest.fixture
def browser(posting: PostSite) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    with SsoBrowser(posting.server) as one:
        yield one


def form_on(page: httpx.Response) -> dict[str, str]:
    """The form of a page that goes on to the provider: one, with a button, and no script on the page."""
    policy = page.headers["content-security-policy"]
    assert page.status_code == 200
    assert f'<form method="post" action="{THERE}">' in page.text
    assert page.text.count("<form") == page.text.count("<button") == 1
    assert "<script" not in page.text
    assert "form-action 'self' https://login.example:8443;" in policy
    assert policy.startswith("default-src 'none'")
    return {name: html.unescape(value) for name, value in HIDDEN.findall(page.text)}


def test_the_provider_signs_a_person_out(posting: PostSite, browser: SsoBrowser) -> None:
    """On all workers; our answer goes back by a form, signed, to the request's id, with what came as RelayState."""
    posting.sign_in(browser)
    with SsoBrowser(posting.server) as at_provider:
        page = posting.post(at_provider, posting.request(), state='<&">')
        fields = form_on(page)

    assert [browser.name() for _ in range(4)] == [None] * 4
    said = posting.read(browser, fields)
    assert isinstance(said, LogoutResponse)
    assert (said.succeeded, said.relay_state) == (True, '<&">')
    event = posting.server.store.audit.tail(kind="portal.single_logout", limit=1)[0]
    assert (event.subject, event.detail) == ("ann-posting", {"sessions": 1, "by": "single_logout"})


def test_signing_out_here_goes_on_by_a_form(posting: PostSite, browser: SsoBrowser) -> None:
    """The session here is over at once; the provider's posted answer brings the browser back."""
    posting.sign_in(browser)
    page = browser.post("/sign-out", {"form": browser.form("/account")})
    fields = form_on(page)
    asked = posting.read(browser, fields)
    assert isinstance(asked, LogoutRequest)
    who = browser.name()
    answer = posted(posting.signer, logout_answer(posting.signer, posting.slo, time.time(), asked.id))
    landed = posting.post(browser, answer, "SAMLResponse", fields["RelayState"])
    again = posting.post(browser, answer, "SAMLResponse", fields["RelayState"])

    assert (asked.name_id, who) == (ANN, None)
    assert (landed.status_code, landed.headers["location"]) == (303, "/signed-out")
    assert again.status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"signed": without_signature},
        {"signed": set_text("saml:Issuer", "https://sts.windows.net/other/")},
        {"unsigned": lambda root: root.set("Destination", "https://other.example/slo")},
        {"unsigned": lambda root: root.attrib.pop("Destination")},
    ],
    ids=["unsigned", "touched", "for others", "for nobody"],
)
def test_a_wrong_request_signs_nobody_out(
    posting: PostSite, browser: SsoBrowser, changes: dict[str, Callable[[Any], object]]
) -> None:
    """S26: one page for all reasons."""
    posting.sign_in(browser)
    page = posting.post(browser, posting.request(**changes))

    assert page.status_code == 400
    assert "This sign-out could not be carried out." in page.text
    assert browser.name() == "ann-posting"


def test_a_strangers_and_a_used_request_sign_nobody_out(posting: PostSite, browser: SsoBrowser) -> None:
    """Another key, or the same message again on whichever worker."""
    stranger = EntraSigner.fresh(ServiceProvider("", "", "", Secret(""), ""), time.time())
    request = posting.request()
    posting.sign_in(browser)
    first = posting.post(browser, request)
    posting.sign_in(browser)
    forged = posted(stranger, logout_request(posting.signer, posting.slo, time.time(), ANN))
    refused = [posting.post(browser, one) for one in [forged, *[request] * 4]]

    assert first.status_code == 200
    assert [one.status_code for one in refused] == [400] * 5
    assert browser.name() == "ann-posting"


def test_another_providers_message_signs_nobody_out(sites: dict[str, PostSite], browser: SsoBrowser) -> None:
    """Each counts at its own address alone."""
    posting, pinned = sites["posting"], sites["pinned"]
    posting.sign_in(browser)

    assert posting.post(browser, pinned.request()).status_code == 400
    assert browser.name() == "ann-posting"


def test_a_provider_by_fingerprint_signs_out_by_post(sites: dict[str, PostSite], browser: SsoBrowser) -> None:
    """By the certificate that the message shows, if it is the one; our metadata name no redirect."""
    pinned = sites["pinned"]
    stranger = replace(pinned.signer, pair=sites["posting"].signer.pair)
    pinned.sign_in(browser)
    refused = pinned.post(browser, posted(stranger, logout_request(pinned.signer, pinned.slo, time.time(), ANN)))
    before = browser.name()
    landed = pinned.post(browser, pinned.request())

    assert (refused.status_code, before) == (400, "ann-pinned")
    assert (landed.status_code, landed.headers["location"]) == (303, "/signed-out")
    assert browser.name() is None
    assert REDIRECT not in browser.get("/sso/pinned/metadata").text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"SAMLRequest=x&SAMLRequest=y", "application/x-www-form-urlencoded"),
        (b"SAMLRequest=" + b"A" * 200_000, "application/x-www-form-urlencoded"),
        (b"\xff" * 100, "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
    ],
    ids=range(5),
)
def test_what_is_no_form_is_refused(posting: PostSite, browser: SsoBrowser, body: bytes, kind: str) -> None:
    """No 500, whatever comes; nor at a provider that is none."""
    answers = [
        browser.client.post(f"/sso/{name}/slo", content=body, headers={"content-type": kind})
        for name in ("posting", "nobody")
    ]

    assert [one.status_code for one in answers] == [400, 400]
