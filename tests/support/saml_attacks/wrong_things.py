"""S14, S16 and what a person is found by: rightly signed by the provider, and wrong in one thing."""

from __future__ import annotations

from typing import Any

from auth_backends.saml.documents import NAMES
from auth_backends.sso import SsoReason
from tests.support.saml_changes import set_attribute, set_text, value_of
from tests.support.saml_signer import DISPLAY, OBJECT_ID, TENANT_ID, Change

CONFIRMATION = "saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData"
AUDIENCE = "saml:Assertion/saml:Conditions/saml:AudienceRestriction"
CONDITIONS = "saml:Assertion/saml:Conditions"


def _longer_audience(root: Any) -> None:
    audience = root.find(f"{AUDIENCE}/saml:Audience", NAMES)
    audience.text += "2"


def _longer_destination(root: Any) -> None:
    root.set("Destination", f"{root.get('Destination')}/more")


WRONG_THINGS: dict[str, tuple[Change, SsoReason]] = {
    "S14 audience": (set_text(f"{AUDIENCE}/saml:Audience", "https://other.example/"), SsoReason.WRONG_AUDIENCE),
    "S14 longer audience": (_longer_audience, SsoReason.WRONG_AUDIENCE),
    "S14 no conditions": (lambda root: root.find(CONDITIONS, NAMES).clear(), SsoReason.WRONG_AUDIENCE),
    "S14 recipient": (set_attribute(CONFIRMATION, "Recipient", "https://other.example/acs"), SsoReason.WRONG_RECIPIENT),
    "S14 no recipient": (set_attribute(CONFIRMATION, "Recipient", None), SsoReason.WRONG_RECIPIENT),
    "S14 no bearer": (
        set_attribute(f"{CONFIRMATION}/..", "Method", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"),
        SsoReason.WRONG_RECIPIENT,
    ),
    "S14 destination": (set_attribute("", "Destination", "https://other.example/acs"), SsoReason.WRONG_DESTINATION),
    "S14 longer destination": (_longer_destination, SsoReason.WRONG_DESTINATION),
    "S14 no destination": (set_attribute("", "Destination", None), SsoReason.WRONG_DESTINATION),
    "S14 issuer": (set_text("saml:Assertion/saml:Issuer", "https://sts.windows.net/other/"), SsoReason.WRONG_ISSUER),
    "S14 issuer of the response": (set_text("saml:Issuer", "https://sts.windows.net/other/"), SsoReason.WRONG_ISSUER),
    "S14 tenant": (lambda root: setattr(value_of(root, TENANT_ID), "text", "another"), SsoReason.WRONG_TENANT),
    "S14 no tenant": (lambda root: value_of(root, TENANT_ID).getparent().set("Name", "x"), SsoReason.WRONG_TENANT),
    "S16 confirmation of another request": (
        set_attribute(CONFIRMATION, "InResponseTo", "id-2"),
        SsoReason.UNKNOWN_REQUEST,
    ),
    "S16 confirmation of no request": (set_attribute(CONFIRMATION, "InResponseTo", None), SsoReason.UNKNOWN_REQUEST),
    "S16 another request": (set_attribute("", "InResponseTo", "id-2"), SsoReason.UNKNOWN_REQUEST),
    "S16 no request": (set_attribute("", "InResponseTo", None), SsoReason.UNSOLICITED),
    "version": (set_attribute("", "Version", "1.1"), SsoReason.MALFORMED),
    "S15 no end": (set_attribute(CONFIRMATION, "NotOnOrAfter", None), SsoReason.MALFORMED),
    "S15 no time": (set_attribute(CONDITIONS, "NotOnOrAfter", "soon"), SsoReason.MALFORMED),
    "no object id": (lambda root: value_of(root, OBJECT_ID).getparent().set("Name", "x"), SsoReason.SUBJECT_MISSING),
    "empty object id": (lambda root: setattr(value_of(root, OBJECT_ID), "text", ""), SsoReason.SUBJECT_MISSING),
    "two object ids": (
        lambda root: value_of(root, DISPLAY).getparent().set("Name", OBJECT_ID),
        SsoReason.SUBJECT_MISSING,
    ),
    "S23 status": (
        set_attribute("samlp:Status/samlp:StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder"),
        SsoReason.PROVIDER_SAID_NO,
    ),
}
"""Changes before signing, and why each is refused."""
