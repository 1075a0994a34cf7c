"""From a SAML response to a person, or a refusal with its reason.

python3-saml checks the schema and, by xmlsec, the signatures, and decrypts. What it lets pass is refused here, before
and after it: size, DTDs, more than one assertion, weak algorithms, unsolicited responses, other tenants. The rules are
those of the Web Browser SSO profile (saml-profiles-2.0-os section 4.1.4) and saml-core-2.0-os.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from lxml import etree

from auth_backends.saml import conditions
from auth_backends.saml.decryption import decrypted
from auth_backends.saml.documents import NAMES, SAML, SAMLP, decoded, parsed, text_of
from auth_backends.saml.parties import IdentityProvider, Rules, ServiceProvider
from auth_backends.saml.persons import person_of
from auth_backends.saml.schema import check_schema
from auth_backends.saml.signatures import checked_signature, no_other_signatures
from auth_backends.saml.trust import canonical, check_signer
from auth_backends.sso import Check, Person, SsoReason, SsoRefused

log = structlog.get_logger(__name__)

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_ASSERTION_SIGNATURE = "/samlp:Response/saml:Assertion/ds:Signature"
_RESPONSE_SIGNATURE = "/samlp:Response/ds:Signature"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """What a verified response says. Times are Unix seconds.

    ``not_on_or_after`` is when it can be accepted no more: until then the cache of used ones must know it.
    """

    person: Person
    assertion_id: str
    in_response_to: str | None
    not_on_or_after: float
    name_id: str
    name_id_format: str
    session_index: str | None
    checks: tuple[Check, ...]


class SamlVerifier:
    """Pure and thread-safe: no I/O after the first message, and the time is a parameter."""

    def __init__(self, idp: IdentityProvider, sp: ServiceProvider, rules: Rules) -> None:
        self._idp = idp
        self._sp = sp
        self._rules = rules

    def verify(self, response: str, *, request_id: str | None, now: float) -> VerifiedAssertion:
        """Verify a response as it was posted (base64). ``request_id`` None means that the provider began.

        Raises SsoRefused, and nothing else.
        """
        steps = _Steps()
        try:
            return self._verified(steps, response, request_id, now)
        except SsoRefused as refused:
            raise SsoRefused(refused.reason, refused.detail, steps.failed(refused)) from None
        except Exception as error:
            log.exception("saml.verifier_failed", error=type(error).__name__)
            unknown = SsoRefused(SsoReason.MALFORMED, f"the response cannot be read ({type(error).__name__})")
            raise SsoRefused(unknown.reason, unknown.detail, steps.failed(unknown)) from None

    def _verified(self, steps: _Steps, response: str, request_id: str | None, now: float) -> VerifiedAssertion:
        root = steps.take("form", lambda: parsed(decoded(response)))
        steps.take("response", lambda: _response(root))
        steps.take("status", lambda: _status(root))
        steps.take("answer to our request", lambda: self._answers(root, request_id))
        steps.take("destination", lambda: self._destination(root))
        whole = steps.take("decryption", lambda: decrypted(root, self._sp))
        assertion = steps.take("one assertion", lambda: _one_assertion(whole))
        steps.take("schema", lambda: check_schema(whole))
        steps.take("issuer", lambda: self._issuer(whole, assertion))
        signed = steps.take("signature", lambda: self._signed(root, whole, assertion))
        steps.take("audience", lambda: conditions.audience(signed, self._sp.entity_id))
        ends = steps.take("time", lambda: conditions.time(signed, now, self._rules.max_skew_s))
        expected = conditions.Confirmation(self._sp.acs_url, request_id, now, self._rules.max_skew_s)
        until = steps.take("confirmation", lambda: conditions.confirmation(signed, expected))
        session = steps.take("session", lambda: conditions.session(signed, now))
        person = steps.take("person", lambda: person_of(signed, self._rules))
        name_id = signed.find("saml:Subject/saml:NameID", NAMES)
        return VerifiedAssertion(
            person=person,
            assertion_id=signed.get("ID") or "",
            in_response_to=root.get("InResponseTo"),
            not_on_or_after=max(ends, until) + self._rules.max_skew_s,
            name_id=text_of(name_id),
            name_id_format="" if name_id is None else name_id.get("Format") or "",
            session_index=session,
            checks=steps.passed(),
        )

    # The steps --------------------------------------------------------------------------------------

    def _answers(self, root: etree._Element, request_id: str | None) -> None:
        said = root.get("InResponseTo")
        if request_id is None and said is not None:
            raise SsoRefused(SsoReason.UNSOLICITED, "the response is to a request that nobody here made")
        if request_id is not None and said is None:
            raise SsoRefused(SsoReason.UNSOLICITED, "the response names no request, and one was made")
        if said != request_id:
            raise SsoRefused(SsoReason.UNKNOWN_REQUEST, "the response is to another request")

    def _destination(self, root: etree._Element) -> None:
        said = root.get("Destination")
        if said != self._sp.acs_url:
            raise SsoRefused(SsoReason.WRONG_DESTINATION, f"the response was made for {said}, not {self._sp.acs_url}")

    def _issuer(self, whole: etree._Element, assertion: etree._Element) -> None:
        for element, is_required in ((whole, False), (assertion, True)):
            said = element.find("saml:Issuer", NAMES)
            if said is None and not is_required:
                continue
            if text_of(said) != self._idp.entity_id:
                raise SsoRefused(SsoReason.WRONG_ISSUER, f"the issuer is {text_of(said)}, not {self._idp.entity_id}")

    def _signed(self, root: etree._Element, whole: etree._Element, assertion: etree._Element) -> etree._Element:
        """Verify all signatures and give the signed assertion anew: its canonical form, without comments."""
        outer, inner = checked_signature(root), checked_signature(assertion)
        if inner is None:
            detail = "only the response is signed; let the provider sign the assertion" if outer is not None else ""
            raise SsoRefused(SsoReason.NOT_SIGNED, detail or "nothing is signed")
        no_other_signatures(whole, [one for one in (whole.find("ds:Signature", NAMES), inner) if one is not None])
        if outer is not None:
            no_other_signatures(
                root, [one for one in (outer, root.find("saml:Assertion/ds:Signature", NAMES)) if one is not None]
            )
            check_signer(root, outer, _RESPONSE_SIGNATURE, self._idp)
        check_signer(whole, inner, _ASSERTION_SIGNATURE, self._idp)
        return parsed(canonical(assertion))


class _Steps:
    """Takes one check after the other and remembers them."""

    def __init__(self) -> None:
        self._passed: list[Check] = []
        self._name = ""

    def take(self, name: str, step: Callable[[], T]) -> T:
        self._name = name
        result = step()
        self._passed.append(Check(name, passed=True))
        return result

    def passed(self) -> tuple[Check, ...]:
        return tuple(self._passed)

    def failed(self, refused: SsoRefused) -> tuple[Check, ...]:
        return (*self._passed, Check(self._name, passed=False, detail=refused.detail))


def _response(root: etree._Element) -> None:
    if root.tag != f"{{{SAMLP}}}Response" or root.get("Version") != "2.0" or not root.get("ID"):
        raise SsoRefused(SsoReason.MALFORMED, "the message is no response of SAML 2.0")


def _status(root: etree._Element) -> None:
    code = root.find("samlp:Status/samlp:StatusCode", NAMES)
    said = None if code is None else code.get("Value")
    if said == SUCCESS:
        return
    inner = None if code is None else code.find("samlp:StatusCode", NAMES)
    more = "" if inner is None else f", {inner.get('Value')}"
    message = text_of(root.find("samlp:Status/samlp:StatusMessage", NAMES))[:300]
    raise SsoRefused(SsoReason.PROVIDER_SAID_NO, f"the provider says {said}{more} {message}".strip())


def _one_assertion(whole: etree._Element) -> etree._Element:
    everywhere = list(whole.iter(f"{{{SAML}}}Assertion"))
    if len(everywhere) != 1 or next(whole.iter(f"{{{SAML}}}EncryptedAssertion"), None) is not None:
        raise SsoRefused(SsoReason.SEVERAL_ASSERTIONS, f"there are {len(everywhere)} assertions, not one")
    (assertion,) = everywhere
    if assertion.getparent() is not whole or not assertion.get("ID") or assertion.get("Version") != "2.0":
        raise SsoRefused(SsoReason.SEVERAL_ASSERTIONS, "the assertion does not stand where it belongs")
    return assertion
