"""People sign in at SimpleSAMLphp and oidc-provider in a real browser, and out again."""

from __future__ import annotations

import pytest

from storage.database.records import Role
from tests.support.chromium import Chromium
from tests.support.identity_providers.simple_saml import certificate_in
from tests.support.identity_providers.site import ANN, JOE, NEA, RealProviders

pytestmark = pytest.mark.system

SIGNED_OUT = "You are signed out."
REFUSED = "You could not be signed in."


def test_a_person_signs_in_by_saml_lands_where_they_wanted_and_signs_out_everywhere(
    site: RealProviders, browser: Chromium
) -> None:
    """SP-initiated; by single logout the provider, too, asks for the password again."""
    site.sign_in_by_saml(browser, JOE, "/account?wanted")
    assert browser.text_of("#login") == "joe"
    browser.click_link("Sign out")
    browser.says(SIGNED_OUT)
    assert browser.address == f"{site.origin}/signed-out"
    browser.open(f"{site.origin}/account")
    browser.arrives(f"{site.origin}/sign-in")
    site.sign_in_by_saml(browser, JOE)  # which types the password
    assert site.server.store.sso_answers.list("saml", 10) == []


def test_a_provider_that_still_knows_the_person_asks_nothing(site: RealProviders, browser: Chromium) -> None:
    """Single sign-on is what it says; without it the sign-out above would show nothing."""
    site.sign_in_by_saml(browser, JOE)
    browser.driver.delete_all_cookies()
    browser.open(f"{site.origin}/account")
    browser.arrives(f"{site.origin}/sign-in")
    site.begin(browser, "Contoso")
    browser.arrives(f"{site.origin}/account")


def test_a_sign_out_at_the_saml_provider_ends_the_session_here(site: RealProviders, browser: Chromium) -> None:
    """The provider sends its request by the browser, and gets our answer: it goes on where it was told to."""
    site.sign_in_by_saml(browser, JOE)
    back = f"{site.saml.address}module.php/core/frontpage_welcome.php"
    browser.open(f"{site.saml.address}saml2/idp/initSLO.php?RelayState={back}")
    browser.arrives(back)
    browser.open(f"{site.origin}/account")
    browser.arrives(f"{site.origin}/sign-in")


def test_a_person_signs_in_by_openid_connect_lands_where_they_wanted_and_signs_out_everywhere(
    site: RealProviders, browser: Chromium
) -> None:
    """Code flow with PKCE; the provider asks whether to sign out there, too, and sends back."""
    site.sign_in_by_oidc(browser, ANN, "/account?wanted")
    assert browser.text_of("#login") == "ann"
    browser.click_link("Sign out")
    browser.click_link("Yes, sign me out")
    browser.says(SIGNED_OUT)
    assert browser.address.startswith(f"{site.origin}/signed-out")
    browser.open(f"{site.origin}/account")
    browser.arrives(f"{site.origin}/sign-in")
    site.sign_in_by_oidc(browser, ANN)
    assert site.server.store.sso_answers.list("oidc", 10) == []


def test_a_sign_out_at_the_openid_provider_ends_the_session_here(site: RealProviders, browser: Chromium) -> None:
    """Its server tells ours by the back channel; the browser brings nothing."""
    site.sign_in_by_oidc(browser, ANN)
    browser.open(f"{site.oidc.issuer}/session/end")
    browser.click_link("Yes, sign me out")
    browser.says("Sign-out Success")
    browser.open(f"{site.origin}/account")
    browser.arrives(f"{site.origin}/sign-in")


def test_who_types_a_name_of_the_providers_domain_goes_there_and_is_made_a_user(
    site: RealProviders, browser: Chromium
) -> None:
    """Just in time, without a privilege; the second time they are who they were."""
    browser.open(f"{site.origin}/sign-in")
    browser.type("input[name=name]", "nea@contoso.test", enter=True)
    site.give_password(browser, NEA)
    browser.arrives(f"{site.origin}/account")
    made = site.server.user("nea")
    browser.click_link("Sign out")
    browser.says(SIGNED_OUT)
    site.sign_in_by_saml(browser, NEA)
    assert (made.role, made.email, made.display_name) == (Role.USER, "nea@contoso.test", "Nea")
    assert site.server.user("nea").id == made.id


def test_encrypted_assertions(site: RealProviders, browser: Chromium) -> None:
    """By the key of our metadata; one encrypted for another is refused, which shows that these were encrypted."""
    ours = site.metadata()
    try:
        site.saml.trust(ours, encrypted_for=certificate_in(ours))
        site.sign_in_by_saml(browser, JOE)
        browser.driver.delete_all_cookies()
        site.saml.trust(ours, encrypted_for=site.saml.certificate)
        site.begin(browser, "Contoso")
        browser.says(REFUSED)
    finally:
        site.saml.trust(ours)
    assert [answer.reason for answer in site.server.store.sso_answers.list("saml", 10)] == ["not_decrypted"]


def test_what_a_provider_begins_counts_only_if_that_is_switched_on(site: RealProviders, browser: Chromium) -> None:
    """A tile of the provider's portal: refused, and let in once the admin said so."""
    tile = f"{site.saml.address}saml2/idp/SSOService.php?spentityid={site.origin}/sso/saml/metadata"
    browser.open(tile)
    site.give_password(browser, JOE)
    browser.says(REFUSED)
    try:
        site.cli("provider", "set", "saml", "--idp-initiated=on")
        browser.open(tile)
        browser.arrives(f"{site.origin}/account")
        assert browser.text_of("#login") == "joe"
    finally:
        site.cli("provider", "set", "saml", "--idp-initiated=off")


def test_an_admins_test_sign_in_shows_the_claims_and_signs_nobody_in(site: RealProviders, browser: Chromium) -> None:
    """With each check, and the user that it would have been."""
    site.server.add_user("root", password="Root's Passw0rd", role=Role.ADMIN)
    browser.open(f"{site.origin}/sign-in?return_to=/sso/saml/test")
    browser.type("input[name=name]", "root")
    browser.type("input[name=password]", "Root's Passw0rd", enter=True)
    site.give_password(browser, JOE)
    browser.says("objectidentifier")
    assert JOE.object_id in browser.text
    assert "joe" in browser.text
    browser.open(f"{site.origin}/account")
    assert browser.text_of("#login") == "root"
