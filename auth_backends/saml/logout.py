"""Single logout, asked for by us or by the provider (saml-core-2.0-os section 3.7), by redirect or POST."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from auth_backends.saml.documents import NAMES, SAML, SAMLP, moment_of, moment_text, text_of
from auth_backends.saml.parties import MAX_SKEW_S, IdentityProvider, ServiceProvider
from auth_backends.saml.posts import signed_form
from auth_backends.saml.redirects import Message, signed_address
from auth_backends.saml.requests import new_request_id
from auth_backends.sso import Form, SsoReason, SsoRefused

MAX_AGE_S = 600.0
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"


@dataclass(frozen=True, slots=True)
class SignedInAs:
    """How the provider knows a session: what the assertion said."""

    name_id: str
    name_id_format: str
    session_index: str


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A provider's request; no session index means all sessions of the person. It counts until ``until``."""

    id: str
    name_id: str
    session_indexes: frozenset[str]
    relay_state: str
    until: float


@dataclass(frozen=True, slots=True)
class LogoutResponse:
    """A provider's answer to our request; ``succeeded`` is what it says itself."""

    in_response_to: str
    relay_state: str
    succeeded: bool


def logout_request(
    idp: IdentityProvider, sp: ServiceProvider, who: SignedInAs, *, request_id: str, relay_state: str, now: float
) -> str | Form | None:
    """Give the address or form that asks the provider to sign the person out, or None if it offers none."""

    def request(destination: str) -> bytes:
        root = _message("LogoutRequest", request_id, destination, sp, now)
        name = etree.SubElement(root, f"{{{SAML}}}NameID")
        name.text = who.name_id
        if who.name_id_format:
            name.set("Format", who.name_id_format)
        if who.session_index:
            etree.SubElement(root, f"{{{SAMLP}}}SessionIndex").text = who.session_index
        return bytes(etree.tostring(root))

    if not who.name_id:
        return None
    return _carried("SAMLRequest", request, (idp.slo_url, idp.slo_post_url), relay_state, sp)


def logout_response(
    idp: IdentityProvider, sp: ServiceProvider, *, in_response_to: str, relay_state: str, now: float
) -> str | Form | None:
    """Give the address or form that tells the provider that its request was carried out, or None if it wants none."""

    def response(destination: str) -> bytes:
        root = _message("LogoutResponse", new_request_id(), destination, sp, now)
        root.set("InResponseTo", in_response_to)
        status = etree.SubElement(root, f"{{{SAMLP}}}Status")
        etree.SubElement(status, f"{{{SAMLP}}}StatusCode", Value=SUCCESS)
        return bytes(etree.tostring(root))

    places = (idp.slo_response_url, idp.slo_post_response_url)
    return _carried("SAMLResponse", response, places, relay_state, sp)


def read_logout(
    message: Message, idp: IdentityProvider, sp: ServiceProvider, now: float
) -> LogoutRequest | LogoutResponse:
    """Read a message whose signature was verified. Raises SsoRefused."""
    root = message.root
    expected = "LogoutRequest" if message.kind == "SAMLRequest" else "LogoutResponse"
    if root.tag != f"{{{SAMLP}}}{expected}" or not root.get("ID") or root.get("Version") != "2.0":
        raise SsoRefused(SsoReason.MALFORMED, f"the message is no {expected}")
    issuer = text_of(root.find("saml:Issuer", NAMES))
    if issuer not in {idp.entity_id, *idp.logout_issuers}:
        raise SsoRefused(SsoReason.WRONG_ISSUER, f"the issuer is {issuer[:300]}, not {idp.entity_id}")
    if root.get("Destination") not in {None, sp.slo_url}:
        raise SsoRefused(SsoReason.WRONG_DESTINATION, "the message was made for another address")
    issued = moment_of(root.get("IssueInstant"), "IssueInstant")
    if not issued - MAX_SKEW_S <= now < issued + MAX_AGE_S:
        raise SsoRefused(SsoReason.OUT_OF_TIME, "the message is too old, or of the future")
    if expected == "LogoutResponse":
        code = root.find("samlp:Status/samlp:StatusCode", NAMES)
        succeeded = code is not None and code.get("Value") == SUCCESS
        return LogoutResponse(root.get("InResponseTo") or "", message.relay_state, succeeded)
    ends = root.get("NotOnOrAfter")
    if ends is not None and now >= moment_of(ends, "NotOnOrAfter") + MAX_SKEW_S:
        raise SsoRefused(SsoReason.OUT_OF_TIME, "the request has run out")
    name = text_of(root.find("saml:NameID", NAMES))
    if not name:
        raise SsoRefused(SsoReason.SUBJECT_MISSING, "the request names nobody in a form that is read here")
    indexes = frozenset(text_of(one) for one in root.findall("samlp:SessionIndex", NAMES))
    return LogoutRequest(root.get("ID") or "", name, indexes, message.relay_state, issued + MAX_AGE_S)


def _carried(
    kind: str,
    message_to: Callable[[str], bytes],
    places: tuple[str | None, str | None],
    relay_state: str,
    sp: ServiceProvider,
) -> str | Form | None:
    """By redirect where the provider has a place for it: it needs nobody to press a button."""
    by_redirect, by_post = places
    if by_redirect is not None:
        return signed_address(by_redirect, kind, message_to(by_redirect), relay_state, sp)
    return None if by_post is None else signed_form(by_post, kind, message_to(by_post), relay_state, sp)


def _message(kind: str, id: str, destination: str, sp: ServiceProvider, now: float) -> etree._Element:  # noqa: A002 - the standard's name
    root = etree.Element(f"{{{SAMLP}}}{kind}", nsmap={"samlp": SAMLP, "saml": SAML})
    root.set("ID", id)
    root.set("Version", "2.0")
    root.set("IssueInstant", moment_text(now))
    root.set("Destination", destination)
    etree.SubElement(root, f"{{{SAML}}}Issuer").text = sp.entity_id
    return root
