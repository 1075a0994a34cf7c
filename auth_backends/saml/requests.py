"""Asking a provider to sign somebody in (saml-core-2.0-os section 3.4.1)."""

from __future__ import annotations

import secrets

from lxml import etree

from auth_backends.saml.documents import NAMES, SAML, SAMLP, moment_text
from auth_backends.saml.metadata import POST
from auth_backends.saml.parties import IdentityProvider, ServiceProvider
from auth_backends.saml.redirects import signed_address


def new_request_id() -> str:
    """Give an ID with 160 random bits. It begins with a letter: Entra ID refuses one that begins with a digit."""
    return f"id-{secrets.token_hex(20)}"


def sign_in_url(
    idp: IdentityProvider, sp: ServiceProvider, *, request_id: str, relay_state: str, now: float, force: bool = False
) -> str:
    """Give the address that asks the provider to sign somebody in; ``force`` asks for the credential again.

    It demands no way of signing in (RequestedAuthnContext): people without a password could not come in otherwise.
    """
    request = etree.Element(f"{{{SAMLP}}}AuthnRequest", nsmap={"samlp": SAMLP, "saml": SAML})
    request.set("ID", request_id)
    request.set("Version", "2.0")
    request.set("IssueInstant", moment_text(now))
    request.set("Destination", idp.sso_url)
    request.set("ProtocolBinding", POST)
    request.set("AssertionConsumerServiceURL", sp.acs_url)
    if force:
        request.set("ForceAuthn", "true")
    etree.SubElement(request, f"{{{NAMES['saml']}}}Issuer").text = sp.entity_id
    return signed_address(idp.sso_url, "SAMLRequest", etree.tostring(request), relay_state, sp)
