"""Single logout by HTTP POST in Chromium: a button, no script, and a policy that lets the form go there and back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from auth_backends.api import Secret
from auth_backends.saml.parties import ServiceProvider
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider, SsoVendor
from server.providers import put_provider
from storage.database.changes import CreateUser, LinkIdentity
from storage.database.records import Method
from tests.support.chromium import Chromium
from tests.support.saml_posting_provider import PostingProvider
from tests.support.saml_signer import OID, TENANT, EntraSigner
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system


def test_a_person_signs_out_at_a_provider_that_takes_forms(tmp_path: Path, browser: Chromium) -> None:
    """From the provider's page to the account and out again; the provider hears who, and brings the browser back."""
    with QuaymasterServer(workers=2) as server:
        origin = f"https://localhost:{server.http_port}"
        base = f"{origin}/sso/posting"
        sp = ServiceProvider(f"{base}/metadata", f"{base}/acs", f"{base}/slo", Secret(""), "")
        with PostingProvider(EntraSigner.fresh(sp, time.time())) as provider:
            (tmp_path / "metadata.xml").write_bytes(provider.metadata)
            settings = SsoProvider(
                method=SsoMethod.SAML,
                vendor=SsoVendor.ENTRA,
                tenant=TENANT,
                metadata_file=tmp_path / "metadata.xml",
            )
            server.store.apply(put_provider("posting", settings, Settings()), actor="test")
            ann = server.store.apply(CreateUser("ann", Method.SAML, provider="posting"), actor="test").subject_id
            server.store.apply(LinkIdentity(ann, "posting", OID), actor="test")
            browser.open(f"{base}/start")
            browser.arrives(f"{origin}/account")
            browser.click_link("Sign out")
            browser.says("One more step")
            before = list(provider.heard)
            browser.click_link("Continue")
            browser.arrives(f"{origin}/signed-out")

            assert (before, provider.heard) == ([], ["ann@contoso.test"])
            browser.open(f"{origin}/account")
            browser.arrives(f"{origin}/sign-in")
