"""A running server and a SAML signer in the test's process: sign-ins, refusals and forgeries over the HTTPS port."""

from __future__ import annotations

import base64
import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from auth_backends.api import Secret
from auth_backends.saml.documents import NAMES
from auth_backends.saml.parties import ServiceProvider
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider, SsoVendor
from server.providers import put_provider
from storage.database.changes import CreateUser, LinkIdentity
from storage.database.records import Method, User
from tests.support.saml_signer import OID, TENANT, EntraSigner, idp_metadata
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser, saml_answer, saml_request_id

REFUSED = "You could not be signed in."


@dataclass(frozen=True)
class SsoSite:
    """A running server, its signer, and a linked user."""

    server: QuaymasterServer
    signer: EntraSigner
    ann: User


@contextmanager
def running_saml_site(folder: Path) -> Iterator[SsoSite]:
    """Two workers a front end, the provider entra, whose metadata are in the folder, and ann, who is linked to it."""
    with QuaymasterServer(workers=2) as server:
        origin = f"https://localhost:{server.http_port}/sso/entra"
        sp = ServiceProvider(f"{origin}/metadata", f"{origin}/acs", f"{origin}/slo", Secret(""), "")
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


def hostile(site: SsoSite, query: dict[str, str]) -> dict[str, dict[str, str]]:
    """Forms that a stranger, or a provider gone wrong, might post; each for the same request."""
    number, now = saml_request_id(query), time.time()
    sp = ServiceProvider(site.signer.sp_entity_id, site.signer.acs_url, "", Secret(""), "")
    stranger = EntraSigner.fresh(sp, now)
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
