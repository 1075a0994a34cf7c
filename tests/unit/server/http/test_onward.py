"""Going on to a provider by a form: whom the page's policy lets it go to, and what stands in it."""

from __future__ import annotations

import pytest

from auth_backends.sso import Form
from server.http.portal.pages import HEADERS, Pages
from server.http.sso.onward import onward

POLICY = HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://login.example/slo?x=1", " https://login.example"),
        ("https://login.example:8443/slo", " https://login.example:8443"),
        ("http://[::1]:80/slo", " http://[::1]:80"),
        ("https://login.example; script-src *;/slo", " "),
        ("https://login.example 'unsafe-inline'/slo", " "),
        ("https://user@login.example/slo", " "),
        ("https://*/slo", " "),
    ],
    ids=range(7),
)
def test_a_form_may_go_to_that_provider_alone(address: str, allowed: str) -> None:
    """All else is as on every page; an address that would say more than a host in the policy adds nothing to it."""
    response = onward(Pages(), Form(address, {"SAMLRequest": "x"}))

    assert response.headers["content-security-policy"] == POLICY.replace(
        "form-action 'self'", f"form-action 'self'{allowed}"
    )


def test_what_a_provider_sent_is_text_on_the_page() -> None:
    """RelayState and the address come from elsewhere."""
    form = Form('https://login.example/"><b>', {"RelayState": '"><script>alert(1)</script>'})
    page = bytes(onward(Pages(), form).body).decode()

    assert "<script" not in page
    assert "<b>" not in page
    assert "&#34;&gt;&lt;script&gt;" in page


def test_an_address_needs_no_page() -> None:
    """The browser is sent there by GET."""
    response = onward(Pages(), "https://login.example/slo?SAMLResponse=x")

    assert (response.status_code, response.headers["location"]) == (303, "https://login.example/slo?SAMLResponse=x")
