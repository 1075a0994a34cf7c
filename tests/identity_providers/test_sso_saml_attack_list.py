"""Every forgery of the attack list by the real endpoint, plain and encrypted, on two workers: one text, one status."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from lxml import etree

from auth_backends.api import Secret
from auth_backends.saml.parties import ServiceProvider, new_key_pair
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider, SsoVendor
from server.providers import put_provider
from storage.database.changes import Provision
from storage.database.records import Method, Owner
from tests.support.identity_providers.simple_saml import certificate_in
from tests.support.saml_attacks.documents import DOCUMENTS, raw
from tests.support.saml_attacks.signatures import OTHER_REFERENCES, SIGNATURE_TRICKS, TAMPERINGS
from tests.support.saml_attacks.wrappings import WRAPPINGS
from tests.support.saml_attacks.wrong_things import WRONG_THINGS
from tests.support.saml_changes import value_of
from tests.support.saml_signer import OBJECT_ID, OID, TENANT, EntraSigner, idp_metadata
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser, saml_request_id

pytestmark = pytest.mark.system

Make = Callable[["Site", str, float, "str | None"], str]
"""From the site, the request's ID, the time and the certificate to encrypt for, if any, to a response."""


@dataclass(frozen=True)
class Site:
    """A running server with the signer that it trusts, one that it does not, and the page of every refusal."""

    server: QuaymasterServer
    signer: EntraSigner
    stranger: EntraSigner
    certificate_pem: str
    page: str

    def post(self, browser: SsoBrowser, response: Callable[[str], str]) -> httpx.Response:
        """Begin a sign-in in this browser, and answer it."""
        query = browser.start("entra")
        form = {"SAMLResponse": response(saml_request_id(query)), "RelayState": query["RelayState"]}
        return browser.post("/sso/entra/acs", form, origin="null")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two workers a front end; ann is a user."""
    metadata = tmp_path_factory.mktemp("entra") / "metadata.xml"
    with QuaymasterServer(workers=2) as server, SsoBrowser(server) as browser:
        base, now = f"{browser.origin}/sso/entra", time.time()
        sp = ServiceProvider(f"{base}/metadata", f"{base}/acs", f"{base}/slo", Secret(""), "")
        signer = EntraSigner.fresh(sp, now)
        metadata.write_bytes(idp_metadata(signer))
        provider = SsoProvider(
            method=SsoMethod.SAML, vendor=SsoVendor.ENTRA, tenant=TENANT, metadata_file=metadata, jit=True
        )
        server.store.apply(put_provider("entra", provider, Settings()), actor="test")
        server.store.apply(Provision("entra", Owner.SCIM, Method.SAML, OID, "ann"), actor="test")
        ours = certificate_in(browser.get("/sso/entra/metadata").content)
        pem = f"-----BEGIN CERTIFICATE-----\n{ours}\n-----END CERTIFICATE-----\n"
        made = Site(server, signer, EntraSigner.fresh(sp, now), pem, "")
        yield replace(made, page=_without_number(made.post(browser, lambda _: "").text))


@pytest.fixture
def browser(site: Site) -> Iterator[SsoBrowser]:
    """A browser of its own for each test."""
    with SsoBrowser(site.server) as one:
        yield one


def _without_number(page: str) -> str:
    """A page without the number under which an admin finds the reason; too large a form has none."""
    assert "You could not be signed in." in page
    return re.sub(r"<p>Reference for your administrator: \d+</p>", "", page)


def _signed(change: Callable[[Any], object]) -> Make:
    return lambda site, number, now, key: site.signer.response(number, now, signed=change, encrypt_for=key)


def _before(change: Callable[[Any], object]) -> Make:
    return lambda site, number, now, key: site.signer.response(number, now, unsigned=change, encrypt_for=key)


def _weak(**fields: str) -> Make:
    return lambda site, number, now, key: replace(site.signer, **fields).response(number, now, encrypt_for=key)


def _at(seconds: float) -> Make:
    return lambda site, number, now, key: site.signer.response(number, now + seconds, encrypt_for=key)


FORGERIES: dict[str, Make] = {
    **{
        name: _signed(change) for name, change in (WRAPPINGS | TAMPERINGS | SIGNATURE_TRICKS | OTHER_REFERENCES).items()
    },
    **{name: _before(change) for name, (change, _) in WRONG_THINGS.items()},
    "S10 unsigned": lambda site, number, now, key: site.signer.response(number, now, sign=(), encrypt_for=key),
    "S10 only the response": lambda site, number, now, key: site.signer.response(
        number, now, sign=("response",), encrypt_for=key
    ),
    "S11 a stranger's key": lambda site, number, now, key: site.stranger.response(number, now, encrypt_for=key),
    "S13 SHA-1 signature": _weak(algorithm="RSA_SHA1"),
    "S13 SHA-1 digest": _weak(digest="SHA1"),
    "S15 run out": _at(-4200 - 6 * 60),
    "S15 not yet": _at(6 * 60),
    "S15 long ago": _at(-100_000),
}


def test_the_right_response_lets_in(site: Site, browser: SsoBrowser) -> None:
    """Plain and encrypted; without this the refusals below would show nothing."""
    for key in (None, site.certificate_pem):
        landed = site.post(browser, lambda number, key=key: site.signer.response(number, time.time(), encrypt_for=key))
        assert landed.status_code == 303
        assert browser.name() == "ann"


def _comment_in(name: str) -> Callable[[Any], None]:
    """A change that puts a comment into the middle of an attribute's value."""

    def change(root: Any) -> None:
        value = value_of(root, name)
        text = value.text
        value.text = text[:8]
        mark = etree.Comment("x")
        mark.tail = text[8:]
        value.append(mark)

    return change


def _is_refused(site: Site, browser: SsoBrowser, response: httpx.Response) -> str:
    """The kept reason of an answer that looks as any other refusal."""
    assert response.status_code == 403
    assert _without_number(response.text) == site.page
    assert "set-cookie" not in response.headers
    assert browser.name() is None
    return site.server.store.sso_answers.list("entra", 1)[0].reason


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("make", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_lets_nobody_in(site: Site, browser: SsoBrowser, make: Make, *, encrypted: bool) -> None:
    """S1 to S16, S22 and S23."""
    key = site.certificate_pem if encrypted else None
    refused = site.post(browser, lambda number: make(site, number, time.time(), key))

    assert _is_refused(site, browser, refused)


@pytest.mark.parametrize("when", ["unsigned", "signed"])
def test_a_comment_truncates_no_value(site: Site, browser: SsoBrowser, when: str) -> None:
    """S18: the object id is read whole, whether the comment came before the signature or after it."""
    changes = {when: _comment_in(OBJECT_ID)}
    landed = site.post(browser, lambda number: site.signer.response(number, time.time(), **changes))

    assert landed.status_code == 303
    assert browser.name() == "ann"


def test_a_comment_makes_nobody_of_a_longer_name(site: Site, browser: SsoBrowser) -> None:
    """S18: rightly signed for somebody whose object id begins as ann's; cut at the comment it would be hers."""

    def longer(root: Any) -> None:
        value = value_of(root, OBJECT_ID)
        mark = etree.Comment("x")
        mark.tail = "-and-more"
        value.append(mark)

    landed = site.post(browser, lambda number: site.signer.response(number, time.time(), unsigned=longer))

    assert landed.status_code == 303
    assert browser.name() == "ann@contoso.test"  # a new user: newcomers are let in here


@pytest.mark.parametrize("change", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_hostile_document_lets_nobody_in(site: Site, browser: SsoBrowser, change: Callable[[bytes], bytes]) -> None:
    """S19 and S20."""
    refused = site.post(browser, lambda number: raw(site.signer.response(number, time.time()), change))

    assert _is_refused(site, browser, refused)


def test_what_is_encrypted_for_another_lets_nobody_in(site: Site, browser: SsoBrowser) -> None:
    """S22."""
    other = new_key_pair("other", time.time()).certificate_pem
    refused = site.post(browser, lambda number: site.signer.response(number, time.time(), encrypt_for=other))

    assert _is_refused(site, browser, refused) == "not_decrypted"
