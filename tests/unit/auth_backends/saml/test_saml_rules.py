"""Rules of the standard that few providers ever touch, each alone: what would be let through without it."""

from __future__ import annotations

import base64
import copy
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from auth_backends.api import Secret
from auth_backends.saml import conditions
from auth_backends.saml.algorithms import RSA_SHA256
from auth_backends.saml.documents import DSIG, MAX_MESSAGE, NAMES, decoded, moment_of, parsed
from auth_backends.saml.own_key import private_key
from auth_backends.saml.redirects import verified_message
from auth_backends.saml.requests import sign_in_url
from auth_backends.saml.signatures import checked_signature, fingerprint_of
from auth_backends.saml.verifier import SamlVerifier
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.saml_changes import assertion_of, set_attribute
from tests.support.saml_signer import OID, certificate_der, decoded_again, ec_key_pair, moment, signature_in
from tests.unit.auth_backends.saml.conftest import REQUEST, RULES, Bench

CONDITIONS = "saml:Assertion/saml:Conditions"
CONFIRMATION = "saml:Assertion/saml:Subject/saml:SubjectConfirmation"
Change = Callable[[Any], None]


def twice(path: str, **attributes: str) -> Change:
    """Put a copy of an element behind it, with these attributes."""

    def change(root: Any) -> None:
        one = root.find(path, NAMES)
        more = copy.deepcopy(one)
        one.addnext(more)
        for name, value in attributes.items():
            more.set(name, value)

    return change


def gone(path: str) -> Change:
    """Take an element away."""

    def change(root: Any) -> None:
        one = root.find(path, NAMES)
        one.getparent().remove(one)

    return change


def for_others_too(root: Any) -> None:
    """A second restriction, of which we are no part."""
    twice(f"{CONDITIONS}/saml:AudienceRestriction")(root)
    audiences = root.findall(f"{CONDITIONS}/saml:AudienceRestriction/saml:Audience", NAMES)
    audiences[-1].text = "https://other.example/"


def for_several(root: Any) -> None:
    """One restriction that names others before us."""
    audience = root.find(f"{CONDITIONS}/saml:AudienceRestriction/saml:Audience", NAMES)
    other = copy.deepcopy(audience)
    other.text = "https://other.example/"
    audience.addprevious(other)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (for_others_too, SsoReason.WRONG_AUDIENCE),
        (gone(f"{CONFIRMATION}/saml:SubjectConfirmationData"), SsoReason.WRONG_RECIPIENT),
        (twice(CONFIRMATION), SsoReason.WRONG_RECIPIENT),
        (gone(CONFIRMATION), SsoReason.WRONG_RECIPIENT),
        (gone("saml:Assertion/saml:AuthnStatement"), SsoReason.MALFORMED),
        (twice("saml:Assertion/saml:AuthnStatement", SessionIndex="_other"), SsoReason.MALFORMED),
        (gone(CONDITIONS), SsoReason.WRONG_AUDIENCE),
        (set_attribute(CONDITIONS, "NotOnOrAfter", None), SsoReason.MALFORMED),
        (set_attribute("saml:Assertion", "Version", "2.1"), SsoReason.SEVERAL_ASSERTIONS),
    ],
    ids=[
        *("audiences", "no data", "two bearers", "no bearer", "no sign-in", "two sign-ins", "no conditions"),
        *("no end", "version"),
    ],
)
def test_an_assertion_says_each_thing_once(bench: Bench, change: Change, reason: SsoReason) -> None:
    """All are rightly signed (saml-core-2.0-os 2.5.1.4, saml-profiles-2.0-os 4.1.4.2 and 4.1.4.3)."""
    assert bench.reason(bench.signer.response(REQUEST, bench.now, unsigned=change)) is reason


@pytest.mark.parametrize(
    "path", [CONDITIONS, f"{CONFIRMATION}/saml:SubjectConfirmationData"], ids=["conditions", "confirmation"]
)
def test_each_beginning_counts(bench: Bench, path: str) -> None:
    """One of them in the future is enough; within the skew of clocks it is not."""
    later = set_attribute(path, "NotBefore", moment(bench.now + 400))
    soon = set_attribute(path, "NotBefore", moment(bench.now + 100))

    assert bench.reason(bench.signer.response(REQUEST, bench.now, unsigned=later)) is SsoReason.OUT_OF_TIME
    assert bench.verify(bench.signer.response(REQUEST, bench.now, unsigned=soon)).person.subject == OID


@pytest.mark.parametrize(
    "change", [gone("saml:Issuer"), set_attribute(CONDITIONS, "NotBefore", None), for_several], ids=range(3)
)
def test_what_may_be_left_out_may_be(bench: Bench, change: Change) -> None:
    """The response's issuer and the beginning; and others may be named beside us."""
    assert bench.verify(bench.signer.response(REQUEST, bench.now, unsigned=change)).person.subject == OID


def test_no_conditions_are_no_time(bench: Bench) -> None:
    """Asked alone, as the audience is missed before."""
    root = bench.signer.document(REQUEST, bench.now)
    gone(CONDITIONS)(root)

    with pytest.raises(SsoRefused) as refused:
        conditions.time(assertion_of(root), bench.now, 180)
    assert refused.value.reason is SsoReason.OUT_OF_TIME


@pytest.mark.parametrize(
    "text",
    [
        *("2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "0000-01-01T00:00:00Z"),
        *("2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00", "2026-01-01", "٢٠٢٦-01-01T00:00:00Z", "", None),
    ],
)
def test_a_time_is_a_time_in_utc(text: str | None) -> None:
    """saml-core-2.0-os section 1.3.3; nothing is guessed."""
    with pytest.raises(SsoRefused) as refused:
        moment_of(text, "IssueInstant")
    assert refused.value.reason is SsoReason.MALFORMED


def test_a_time_may_have_parts_of_a_second() -> None:
    """As Entra ID writes it."""
    assert moment_of("1970-01-01T00:00:01.5Z", "IssueInstant") == 1.5


# Documents ----------------------------------------------------------------------------------------


def test_a_message_is_measured_after_its_decoding() -> None:
    """Lines may be broken; that is no way to bring more."""
    most = base64.encodebytes(b"x" * MAX_MESSAGE).decode()
    more = base64.b64encode(b"x" * (MAX_MESSAGE + 1)).decode()

    assert len(decoded(most)) == MAX_MESSAGE
    assert len(more) < len(most)
    with pytest.raises(SsoRefused) as refused:
        decoded(more)
    assert refused.value.reason is SsoReason.TOO_LARGE


def test_a_message_is_measured_before_its_decoding() -> None:
    """Blanks are left out, and cost memory all the same."""
    with pytest.raises(SsoRefused) as refused:
        decoded("PHgvPg==" + " " * 2 * MAX_MESSAGE)
    assert refused.value.reason is SsoReason.TOO_LARGE


def test_a_document_is_measured_before_it_is_read() -> None:
    """What an address answers has no other limit here."""
    with pytest.raises(SsoRefused) as refused:
        parsed(b"<x>" + b" " * 1000 + b"</x>", 1000)
    assert refused.value.reason is SsoReason.TOO_LARGE


SEVEN = "+ADwAIQ-DOCTYPE x+AD4APA-x/+AD4-"


@pytest.mark.parametrize(
    "head",
    [
        '<?xml version="1.0" encoding="UTF-7"?>',
        '<?xml version="1.0"' + " " * 300 + 'encoding="UTF-7"?>',
        "\ufeff<?xml version='1.0' encoding='UTF-7' ?>",
        '<?xml version="1.0" encoding="ISO-8859-1"?>',
        '<?xml version="1.0" ENCODING="ISO-8859-1"?>',
        '<?xml version="1.0" encoding=""?>',
    ],
    ids=range(6),
)
def test_a_document_is_read_in_the_encoding_that_was_looked_at(head: str) -> None:
    """Another would hide a DTD from who looks, and show it to who parses."""
    with pytest.raises(SsoRefused) as refused:
        parsed(f"{head}{SEVEN}".encode())
    assert refused.value.reason is SsoReason.FORBIDDEN_XML


@pytest.mark.parametrize(
    "head", ["", "\ufeff", '\ufeff<?xml version="1.0" encoding="utf-8"?>', "<?xml version='1.0'?>"]
)
def test_utf8_is_read_as_such(head: str) -> None:
    """With and without its mark and its name; the same words inside a document are words."""
    assert parsed(f"{head}<x>é encoding='UTF-7'?></x>".encode()).text == "é encoding='UTF-7'?>"


# Signatures ---------------------------------------------------------------------------------------


def test_a_right_signature_of_something_else_signs_nothing_here(bench: Bench) -> None:
    """The provider signed another element of the document; its signature stands in an assertion of the attacker's."""

    def wrap(root: Any) -> None:
        extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
        root.insert(1, extensions)
        other = etree.SubElement(extensions, "{urn:x}other", ID="_other")
        etree.SubElement(other, "{urn:x}said")
        assertion_of(root).insert(1, bench.signer.sign(other))

    with pytest.raises(SsoRefused, match="another element") as refused:
        bench.verify(bench.signer.response(REQUEST, bench.now, sign=(), unsigned=wrap))
    assert refused.value.reason is SsoReason.BAD_SIGNATURE


def by_fingerprint(bench: Bench) -> SamlVerifier:
    """A verifier that knows the provider by a fingerprint."""
    known = fingerprint_of(certificate_der(bench.signer.pair))
    idp = replace(bench.signer.idp(), certificates=(), fingerprints=frozenset({known}))
    return SamlVerifier(idp, bench.sp, RULES)


def _certificate(change: Callable[[Any], object]) -> Change:
    return lambda root: (change(next(signature_in(root).iter(f"{{{DSIG}}}X509Certificate"))), None)[1]


@pytest.mark.parametrize(
    "change",
    [
        _certificate(lambda one: one.addnext(copy.deepcopy(one))),
        _certificate(lambda one: one.getparent().remove(one)),
        _certificate(lambda one: setattr(one, "text", "%%%")),
        _certificate(lambda one: setattr(one, "text", None)),
    ],
    ids=["two", "none", "no base64", "empty"],
)
def test_a_fingerprint_needs_one_certificate(bench: Bench, change: Change) -> None:
    """Which of several would be the one that counts?"""
    response = bench.signer.response(REQUEST, bench.now, signed=change)
    with pytest.raises(SsoRefused) as refused:
        by_fingerprint(bench).verify(response, request_id=REQUEST, now=bench.now)

    assert refused.value.reason in {SsoReason.UNKNOWN_SIGNING_KEY, SsoReason.MALFORMED}


@pytest.mark.parametrize("path", ["ds:SignatureMethod", "ds:CanonicalizationMethod", "ds:Reference/ds:DigestMethod"])
def test_an_algorithm_has_no_parameters(bench: Bench, path: str) -> None:
    """A length of zero made any HMAC right (CVE-2009-0217); asked alone, as the schema knows some of them, too."""
    root = decoded_again(bench.signer.response(REQUEST, bench.now))
    method = signature_in(root).find(f"ds:SignedInfo/{path}", NAMES)
    etree.SubElement(method, f"{{{DSIG}}}HMACOutputLength").text = "0"

    with pytest.raises(SsoRefused, match="has parameters") as refused:
        checked_signature(assertion_of(root))
    assert refused.value.reason is SsoReason.FORBIDDEN_ALGORITHM


def test_a_query_that_does_not_inflate_is_refused(bench: Bench) -> None:
    """Though it is rightly signed."""
    key = private_key(replace(bench.sp, private_key_pem=bench.signer.pair.private_key_pem))
    packed = quote(base64.b64encode(zlib.compress(b"<x/>")).decode(), safe="")  # with a head of its own: not raw
    signed = f"SAMLRequest={packed}&SigAlg={quote(RSA_SHA256, safe='')}"
    signature = base64.b64encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    with pytest.raises(SsoRefused) as refused:
        verified_message(f"{signed}&Signature={quote(signature, safe='')}", bench.signer.idp())

    assert refused.value.reason is SsoReason.MALFORMED


@pytest.mark.parametrize("pem", ["", "no key", "of a curve"])
def test_our_key_is_an_rsa_key(bench: Bench, pem: str) -> None:
    """An admin is told; nobody sees an error."""
    text = ec_key_pair(bench.now).private_key_pem.reveal() if pem == "of a curve" else pem
    sp = replace(bench.sp, private_key_pem=Secret(text))
    with pytest.raises(SsoRefused) as refused:
        sign_in_url(bench.signer.idp(), sp, request_id="id-1", relay_state="x", now=bench.now)

    assert refused.value.reason is SsoReason.NOT_CONFIGURED
    assert urlsplit(sign_in_url(bench.signer.idp(), bench.sp, request_id="id-1", relay_state="x", now=bench.now)).query


def test_a_fault_of_ours_lets_nobody_in(bench: Bench) -> None:
    """Whatever a library raises becomes a refusal with its check."""
    broken = SamlVerifier(bench.signer.idp(), bench.sp, replace(RULES, subject_attribute=[]))  # type: ignore[arg-type]  # the fault
    with pytest.raises(SsoRefused) as refused:
        broken.verify(bench.signer.response(REQUEST, bench.now), request_id=REQUEST, now=bench.now)

    assert refused.value.reason is SsoReason.MALFORMED
    assert (refused.value.checks[-1].name, refused.value.checks[-1].passed) == ("person", False)
