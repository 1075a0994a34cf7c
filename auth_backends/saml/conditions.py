"""Whom an assertion is for, when, and in answer to what (saml-core-2.0-os 2.5, saml-profiles-2.0-os 4.1.4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from auth_backends.saml.documents import NAMES, moment_of, text_of
from auth_backends.sso import SsoReason, SsoRefused

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a bearer's confirmation must say. Times are Unix seconds; ``request_id`` None: no request was made."""

    acs_url: str
    request_id: str | None
    now: float
    skew_s: float


def audience(assertion: etree._Element, entity_id: str) -> None:
    """Refuse an assertion that was made for others. Every restriction must name us."""
    restrictions = assertion.findall("saml:Conditions/saml:AudienceRestriction", NAMES)
    if not restrictions:
        raise SsoRefused(SsoReason.WRONG_AUDIENCE, "the assertion is for nobody in particular")
    for restriction in restrictions:
        named = [text_of(one) for one in restriction.findall("saml:Audience", NAMES)]
        if entity_id not in named:
            raise SsoRefused(SsoReason.WRONG_AUDIENCE, f"the assertion is for {', '.join(named)}, not {entity_id}")


def time(assertion: etree._Element, now: float, skew_s: float) -> float:
    """Refuse an assertion out of its time, and give its end."""
    conditions = assertion.find("saml:Conditions", NAMES)
    if conditions is None:
        raise SsoRefused(SsoReason.OUT_OF_TIME, "the assertion has no conditions")
    if (begins := conditions.get("NotBefore")) is not None:
        _begun(moment_of(begins, "NotBefore"), now, skew_s)
    _begun(moment_of(assertion.get("IssueInstant"), "IssueInstant"), now, skew_s)
    return _not_over(moment_of(conditions.get("NotOnOrAfter"), "NotOnOrAfter"), now, skew_s)


def confirmation(assertion: etree._Element, expected: Confirmation) -> float:
    """Refuse an assertion that its bearer may not use here and now, and give until when it may."""
    bearers = [
        one for one in assertion.findall("saml:Subject/saml:SubjectConfirmation", NAMES) if one.get("Method") == BEARER
    ]
    if len(bearers) != 1:
        raise SsoRefused(SsoReason.WRONG_RECIPIENT, "the assertion has not exactly one confirmation for its bearer")
    data = bearers[0].find("saml:SubjectConfirmationData", NAMES)
    if data is None:
        raise SsoRefused(SsoReason.WRONG_RECIPIENT, "the confirmation says nothing")
    if data.get("Recipient") != expected.acs_url:
        raise SsoRefused(
            SsoReason.WRONG_RECIPIENT, f"the assertion is for {data.get('Recipient')}, not {expected.acs_url}"
        )
    if data.get("InResponseTo") != expected.request_id:
        reason = SsoReason.UNSOLICITED if expected.request_id is None else SsoReason.UNKNOWN_REQUEST
        raise SsoRefused(reason, "the assertion answers another request than the one that was made")
    if (begins := data.get("NotBefore")) is not None:
        _begun(moment_of(begins, "NotBefore"), expected.now, expected.skew_s)
    return _not_over(moment_of(data.get("NotOnOrAfter"), "NotOnOrAfter"), expected.now, expected.skew_s)


def session(assertion: etree._Element, now: float) -> str | None:
    """Refuse a sign-in whose session is over at the provider, and give the session's index there."""
    statements = assertion.findall("saml:AuthnStatement", NAMES)
    if len(statements) != 1:
        raise SsoRefused(SsoReason.MALFORMED, "the assertion does not speak of exactly one sign-in")
    ends = statements[0].get("SessionNotOnOrAfter")
    if ends is not None and now >= moment_of(ends, "SessionNotOnOrAfter"):
        raise SsoRefused(SsoReason.OUT_OF_TIME, "the session at the provider is over")
    index = statements[0].get("SessionIndex")
    return None if index is None else str(index)


def _begun(at: float, now: float, skew_s: float) -> None:
    if now + skew_s < at:
        raise SsoRefused(SsoReason.OUT_OF_TIME, f"it counts only in {at - now:.0f} s; compare the clocks")


def _not_over(at: float, now: float, skew_s: float) -> float:
    if now >= at + skew_s:
        raise SsoRefused(SsoReason.OUT_OF_TIME, f"it has run out {now - at:.0f} s ago; compare the clocks")
    return at
