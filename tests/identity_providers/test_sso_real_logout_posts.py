"""Single logout by HTTP POST with SimpleSAMLphp, in a real browser: no page of ours has a script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.chromium import Chromium
from tests.support.identity_providers.simple_saml import POST
from tests.support.identity_providers.site import JOE, RealProviders

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def site() -> Iterator[RealProviders]:
    """Providers whose metadata, and ours at them, know HTTP POST alone."""
    with RealProviders(logout=POST) as running:
        yield running


def test_a_person_signs_out_here_and_then_there(site: RealProviders, browser: Chromium) -> None:
    """A button takes our request there, its page brings the answer; then it asks for the password again."""
    site.sign_in_by_saml(browser, JOE)
    browser.click_link("Sign out")
    browser.submit(f"form[action^='{site.saml.address}']")
    browser.says("You are signed out.")
    site.sign_in_by_saml(browser, JOE)


def test_a_sign_out_at_the_provider_ends_the_session_here(site: RealProviders, browser: Chromium) -> None:
    """Its page posts the request, and our button takes the answer there."""
    site.sign_in_by_saml(browser, JOE)
    back = f"{site.saml.address}module.php/core/frontpage_welcome.php"
    browser.open(f"{site.saml.address}saml2/idp/initSLO.php?RelayState={back}")
    browser.submit(f"form[action^='{site.saml.address}']")
    browser.arrives(back)
    browser.open(f"{site.origin}/account")
    browser.arrives(f"{site.origin}/sign-in")
