"""The verifier against real signatures: what is believed, and every forgery of the attack list that concerns it."""

from __future__ import annotations

import base64
import copy
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from auth_backends.saml.documents import DSIG, NAMES, SAML, SAMLP, XENC
from auth_backends.saml.parties import ENTRA_RULES, new_key_pair
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.saml_signer import (
    DISPLAY,
    GROUPS,
    ISSUER,
    OBJECT_ID,
    OID,
    TENANT_ID,
    EntraSigner,
    certificate_der,
    decoded_again,
    encoded,
    encrypt,
    moment,
    signature_in,
)
from tests.unit.auth_backends.saml.conftest import REQUEST, Bench

MALLORY = "99999999-2222-4333-8444-555555555555"
HOUR_S = 3600.0


def assertion_of(root: Any) -> Any:
    """The assertion that stands where it belongs."""
    return root.find("saml:Assertion", NAMES)


def value_of(root: Any, name: str) -> Any:
    """The first value of an attribute."""
    return next(one for one in root.iter(f"{{{SAML}}}Attribute") if one.get("Name") == name)[0]


def set_text(path: str, text: str) -> Callable[[Any], None]:
    """A change that puts a text into an element."""

    def change(root: Any) -> None:
        root.find(path, NAMES).text = text

    return change


def set_attribute(path: str, name: str, value: str | None) -> Callable[[Any], None]:
    """A change that puts a value into an XML attribute, or takes it away."""

    def change(root: Any) -> None:
        element = root if not path else root.find(path, NAMES)
        if value is None:
            del element.attrib[name]
        else:
            element.set(name, value)

    return change


# Believed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("sign", [("assertion",), ("assertion", "response")], ids=["assertion", "both"])
def test_a_right_response_names_the_person(bench: Bench, sign: tuple[str, ...], *, encrypted: bool) -> None:
    """By the object id; with what single logout and the cache of used assertions need."""
    key = bench.sp.certificate_pem if encrypted else None
    found = bench.verify(bench.signer.response(REQUEST, bench.now, sign=sign, encrypt_for=key))

    assert (found.person.subject, found.person.login) == (OID, "ann@contoso.test")
    assert (found.person.display_name, found.person.email) == ("Ann Example", "ann@contoso.test")
    assert found.person.groups == frozenset({"g-1", "g-2"})
    assert found.in_response_to == REQUEST
    assert found.name_id == "ann@contoso.test"
    assert found.session_index
    assert found.not_on_or_after == pytest.approx(bench.now + 4200 + 180, abs=1)
    assert all(check.passed for check in found.checks)


def test_the_provider_may_begin_where_no_request_is_expected(bench: Bench) -> None:
    """Then nothing may claim to be an answer."""
    assert bench.verify(bench.signer.response(None, bench.now), request_id=None).in_response_to is None


def test_both_certificates_count_during_a_roll_over(bench: Bench) -> None:
    """S21: the old one, the new one, and no other."""
    new = replace(bench.signer, pair=new_key_pair("idp", bench.now))
    response = new.response(REQUEST, bench.now)

    assert bench.verify(response, more=(new.pair,)).person.subject == OID
    assert bench.verify(bench.signer.response(REQUEST, bench.now), more=(new.pair,)).person.subject == OID
    assert bench.reason(response) is SsoReason.UNKNOWN_SIGNING_KEY


def test_a_fingerprint_is_enough_where_it_was_chosen(bench: Bench) -> None:
    """The certificate in the signature counts if its SHA-256 is the admin's."""
    from auth_backends.saml.signatures import fingerprint_of
    from auth_backends.saml.verifier import SamlVerifier

    known = fingerprint_of(certificate_der(bench.signer.pair))
    idp = replace(bench.signer.idp(), certificates=(), fingerprints=frozenset({known}))
    verifier = SamlVerifier(idp, bench.sp, ENTRA_RULES)

    assert verifier.verify(bench.signer.response(REQUEST, bench.now), request_id=REQUEST, now=bench.now)
    with pytest.raises(SsoRefused) as refused:
        verifier.verify(bench.stranger.response(REQUEST, bench.now), request_id=REQUEST, now=bench.now)
    assert refused.value.reason is SsoReason.UNKNOWN_SIGNING_KEY


def test_too_many_groups_are_unknown_groups(bench: Bench) -> None:
    """Entra's overage, and no groups at all, are not "none"."""
    link = {"http://schemas.microsoft.com/claims/groups.link": ("https://graph.windows.net/x",), GROUPS: ()}
    overage = bench.signer.response(REQUEST, bench.now, **link)
    silent = bench.signer.response(REQUEST, bench.now, **{GROUPS: ()})

    assert bench.verify(overage).person.groups is None
    assert bench.verify(silent).person.groups is None


@pytest.mark.parametrize("skew", [-170.0, 170.0], ids=["their clock is behind", "their clock is ahead"])
def test_clocks_may_differ_by_three_minutes(bench: Bench, skew: float) -> None:
    """Both ways."""
    signer = replace(bench.signer, lifetime_s=1.0)

    assert bench.verify(signer.response(REQUEST, bench.now + skew)).person.subject == OID


# Wrapping and tampering ---------------------------------------------------------------------------


def forged(assertion: Any, *, same_id: bool = False, keep_signature: bool = False) -> Any:
    """A copy of an assertion that speaks of somebody else."""
    evil = copy.deepcopy(assertion)
    if not keep_signature:
        evil.remove(evil.find("ds:Signature", NAMES))
    if not same_id:
        evil.set("ID", "_evil")
    value_of(evil, OBJECT_ID).text = MALLORY
    return evil


def wrap_1(root: Any) -> None:
    """The response is a copy, and the signed original a child of its signature."""
    signature = signature_in(root)
    original = copy.deepcopy(root)
    for one in list(original.iter(f"{{{DSIG}}}Signature")):
        one.getparent().remove(one)
    root.set("ID", "_evil")
    value_of(root, OBJECT_ID).text = MALLORY
    signature.append(original)


def wrap_2(root: Any) -> None:
    """The signed original stands beside the signature in the copy."""
    original = copy.deepcopy(root)
    root.set("ID", "_evil")
    value_of(root, OBJECT_ID).text = MALLORY
    root.append(original)


def wrap_3(root: Any) -> None:
    """A forged assertion before the original."""
    root.insert(root.index(assertion_of(root)), forged(assertion_of(root)))


def wrap_4(root: Any) -> None:
    """The original inside a forged assertion."""
    original = assertion_of(root)
    evil = forged(original)
    root.replace(original, evil)
    evil.append(original)


def wrap_5(root: Any) -> None:
    """The forged assertion keeps the signature, and the original follows without one."""
    original = assertion_of(root)
    evil = forged(original, keep_signature=True)
    original.remove(original.find("ds:Signature", NAMES))
    root.insert(0, evil)


def wrap_6(root: Any) -> None:
    """The original inside the signature of the forged one."""
    original = assertion_of(root)
    evil = forged(original, keep_signature=True)
    root.replace(original, evil)
    original.remove(original.find("ds:Signature", NAMES))
    evil.find("ds:Signature", NAMES).append(original)


def wrap_7(root: Any) -> None:
    """A forged assertion inside an element for extensions."""
    extensions = etree.SubElement(root, f"{{{SAMLP}}}Extensions")
    extensions.append(forged(assertion_of(root), same_id=True))


def wrap_8(root: Any) -> None:
    """The original inside an Object of the forged one's signature."""
    original = assertion_of(root)
    evil = forged(original, keep_signature=True)
    root.replace(original, evil)
    original.remove(original.find("ds:Signature", NAMES))
    holder = etree.SubElement(evil.find("ds:Signature", NAMES), f"{{{DSIG}}}Object")
    holder.append(original)


def wrap_9(root: Any) -> None:
    """S9: two assertions of one ID."""
    root.append(forged(assertion_of(root), same_id=True))


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize(
    "wrap", [wrap_1, wrap_2, wrap_3, wrap_4, wrap_5, wrap_6, wrap_7, wrap_8, wrap_9], ids=lambda wrap: wrap.__name__
)
def test_no_wrapping_brings_another_person(bench: Bench, wrap: Callable[[Any], None], *, encrypted: bool) -> None:
    """S1-S9, also with what can be hidden in the encrypted part."""
    key = bench.sp.certificate_pem if encrypted else None

    assert bench.reason(bench.signer.response(REQUEST, bench.now, signed=wrap, encrypt_for=key))


def test_a_wrapped_response_signature_is_refused(bench: Bench) -> None:
    """S1 and S2 where the response is signed as well."""
    for wrap in (wrap_1, wrap_2):
        response = bench.signer.response(REQUEST, bench.now, sign=("assertion", "response"), signed=wrap)
        assert bench.reason(response)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_unsigned_is_refused(bench: Bench, *, encrypted: bool) -> None:
    """S10 and S22: also where it was encrypted, which anybody can do."""
    key = bench.sp.certificate_pem if encrypted else None

    assert bench.reason(bench.signer.response(REQUEST, bench.now, sign=(), encrypt_for=key)) is SsoReason.NOT_SIGNED


def test_a_signed_response_alone_is_not_enough_and_says_so(bench: Bench) -> None:
    """A setting at the provider that an admin must change."""
    with pytest.raises(SsoRefused, match="let the provider sign the assertion"):
        bench.verify(bench.signer.response(REQUEST, bench.now, sign=("response",)))


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_another_key_is_refused(bench: Bench, *, encrypted: bool) -> None:
    """S11 and S21: its own certificate beside the signature, under the same subject, proves nothing."""
    key = bench.sp.certificate_pem if encrypted else None
    response = bench.stranger.response(REQUEST, bench.now, encrypt_for=key)

    assert bench.reason(response) is SsoReason.UNKNOWN_SIGNING_KEY


def test_the_providers_certificate_beside_another_signature_is_refused(bench: Bench) -> None:
    """S11: the right certificate shown, the wrong key used."""

    def swap(root: Any) -> None:
        shown = next(root.iter(f"{{{DSIG}}}X509Certificate"))
        shown.text = base64.b64encode(certificate_der(bench.signer.pair)).decode()

    assert bench.reason(bench.stranger.response(REQUEST, bench.now, signed=swap)) is SsoReason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "change",
    [
        lambda root: setattr(value_of(root, OBJECT_ID), "text", MALLORY),
        lambda root: setattr(value_of(root, GROUPS), "text", "admins"),
        set_text("saml:Assertion/saml:Subject/saml:NameID", "mallory@contoso.test"),
        set_attribute("saml:Assertion/saml:Conditions", "NotOnOrAfter", "2099-01-01T00:00:00Z"),
    ],
    ids=["subject", "group", "NameID", "time"],
)
def test_what_is_signed_cannot_be_changed(bench: Bench, change: Callable[[Any], None]) -> None:
    """S12."""
    assert bench.reason(bench.signer.response(REQUEST, bench.now, signed=change)) is SsoReason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "weak", [{"algorithm": "RSA_SHA1"}, {"digest": "SHA1"}], ids=["signature by SHA-1", "digest by SHA-1"]
)
def test_sha1_is_refused(bench: Bench, weak: dict[str, str]) -> None:
    """S13."""
    response = replace(bench.signer, **weak).response(REQUEST, bench.now)  # type: ignore[arg-type]  # fields by name

    assert bench.reason(response) is SsoReason.FORBIDDEN_ALGORITHM


def _second_reference(signature: Any) -> None:
    info = signature.find("ds:SignedInfo", NAMES)
    info.append(copy.deepcopy(info.find("ds:Reference", NAMES)))


def _transform(algorithm: str) -> Callable[[Any], None]:
    def change(signature: Any) -> None:
        transforms = signature.find("ds:SignedInfo/ds:Reference/ds:Transforms", NAMES)
        etree.SubElement(transforms, f"{{{DSIG}}}Transform", Algorithm=algorithm)

    return change


def _method(algorithm: str) -> Callable[[Any], None]:
    return set_attribute("ds:SignedInfo/ds:SignatureMethod", "Algorithm", algorithm)


@pytest.mark.parametrize(
    "change",
    [
        _second_reference,
        _transform("http://www.w3.org/TR/1999/REC-xslt-19991116"),
        _transform("http://www.w3.org/TR/1999/REC-xpath-19991116"),
        _transform("http://www.w3.org/2002/06/xmldsig-filter2"),
        _method(f"{DSIG}hmac-sha1"),
        _method("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        _method(f"{DSIG}rsa-sha1"),
        _method(f"{DSIG}dsa-sha1"),
        set_attribute(
            "ds:SignedInfo/ds:CanonicalizationMethod",
            "Algorithm",
            "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        ),
        set_attribute(
            "ds:SignedInfo/ds:CanonicalizationMethod", "Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
        ),
        lambda signature: signature.find("ds:SignedInfo/ds:Reference/ds:DigestValue", NAMES).append(etree.Comment("x")),
        lambda signature: signature.append(copy.deepcopy(signature.find("ds:SignedInfo", NAMES))),
        lambda signature: etree.SubElement(signature, f"{{{DSIG}}}Object"),
        lambda signature: signature.find("ds:SignedInfo/ds:Reference", NAMES).append(
            copy.deepcopy(signature.find("ds:SignedInfo/ds:Reference/ds:DigestValue", NAMES))
        ),
        lambda signature: signature.getparent().append(copy.deepcopy(signature)),
        lambda signature: etree.SubElement(
            signature.find("ds:KeyInfo", NAMES), f"{{{DSIG}}}RetrievalMethod", URI="file:///dev/zero"
        ),
    ],
    ids=[
        "two references",
        "XSLT",
        "XPath",
        "XPath filter",
        "HMAC-SHA1",
        "HMAC-SHA256",
        "RSA-SHA1",
        "DSA",
        "comments canonicalised",
        "inclusive canonicalisation",
        "a comment in the digest",
        "two SignedInfo",
        "an Object",
        "two digests",
        "two signatures",
        "a key from elsewhere",
    ],
)
def test_a_signature_says_one_plain_thing(bench: Bench, change: Callable[[Any], None]) -> None:
    """S13 and S19: refused before anything is computed."""

    def signed(root: Any) -> None:
        change(assertion_of(root).find("ds:Signature", NAMES))

    assert bench.reason(bench.signer.response(REQUEST, bench.now, signed=signed)) in {
        SsoReason.FORBIDDEN_ALGORITHM,
        SsoReason.MALFORMED,
    }


@pytest.mark.parametrize("uri", ["", "#_other", None], ids=["empty", "another", "none"])
def test_a_signature_speaks_of_the_element_it_stands_in(bench: Bench, uri: str | None) -> None:
    """An empty reference would sign whatever the document is."""
    change = set_attribute("saml:Assertion/ds:Signature/ds:SignedInfo/ds:Reference", "URI", uri)

    assert bench.reason(bench.signer.response(REQUEST, bench.now, signed=change)) is SsoReason.BAD_SIGNATURE


# Made for others, at another time, to another request ---------------------------------------------

CONFIRMATION = "saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData"
AUDIENCE = "saml:Assertion/saml:Conditions/saml:AudienceRestriction"


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_text(f"{AUDIENCE}/saml:Audience", "https://other.example/"), SsoReason.WRONG_AUDIENCE),
        (
            set_text(f"{AUDIENCE}/saml:Audience", "https://files.example/sso/entra/metadata2"),
            SsoReason.WRONG_AUDIENCE,
        ),
        (lambda root: root.find(AUDIENCE, NAMES).getparent().clear(), SsoReason.WRONG_AUDIENCE),
        (set_attribute(CONFIRMATION, "Recipient", "https://other.example/acs"), SsoReason.WRONG_RECIPIENT),
        (set_attribute(CONFIRMATION, "Recipient", None), SsoReason.WRONG_RECIPIENT),
        (
            set_attribute(f"{CONFIRMATION}/..", "Method", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"),
            SsoReason.WRONG_RECIPIENT,
        ),
        (set_attribute("", "Destination", "https://other.example/acs"), SsoReason.WRONG_DESTINATION),
        (set_attribute("", "Destination", "https://files.example/sso/entra/acs/more"), SsoReason.WRONG_DESTINATION),
        (set_attribute("", "Destination", None), SsoReason.WRONG_DESTINATION),
        (set_text("saml:Assertion/saml:Issuer", "https://sts.windows.net/other/"), SsoReason.WRONG_ISSUER),
        (set_text("saml:Issuer", "https://sts.windows.net/other/"), SsoReason.WRONG_ISSUER),
        (lambda root: setattr(value_of(root, TENANT_ID), "text", "another-tenant"), SsoReason.WRONG_TENANT),
        (lambda root: value_of(root, TENANT_ID).getparent().set("Name", "x"), SsoReason.WRONG_TENANT),
        (set_attribute(CONFIRMATION, "InResponseTo", "id-2"), SsoReason.UNKNOWN_REQUEST),
        (set_attribute(CONFIRMATION, "InResponseTo", None), SsoReason.UNKNOWN_REQUEST),
        (set_attribute("", "InResponseTo", "id-2"), SsoReason.UNKNOWN_REQUEST),
        (set_attribute("", "InResponseTo", None), SsoReason.UNSOLICITED),
        (set_attribute("", "Version", "1.1"), SsoReason.MALFORMED),
        (set_attribute(CONFIRMATION, "NotOnOrAfter", None), SsoReason.MALFORMED),
        (set_attribute("saml:Assertion/saml:Conditions", "NotOnOrAfter", "soon"), SsoReason.MALFORMED),
        (lambda root: value_of(root, OBJECT_ID).getparent().set("Name", "x"), SsoReason.SUBJECT_MISSING),
        (lambda root: setattr(value_of(root, OBJECT_ID), "text", ""), SsoReason.SUBJECT_MISSING),
        (lambda root: value_of(root, DISPLAY).getparent().set("Name", OBJECT_ID), SsoReason.SUBJECT_MISSING),
    ],
    ids=range(23),
)
def test_each_wrong_thing_alone_is_refused(
    bench: Bench, change: Callable[[Any], None], reason: SsoReason, *, encrypted: bool
) -> None:
    """S14, S16 and what a person is found by; all rightly signed."""
    key = bench.sp.certificate_pem if encrypted else None

    assert bench.reason(bench.signer.response(REQUEST, bench.now, unsigned=change, encrypt_for=key)) is reason


@pytest.mark.parametrize(
    "at", [-6 * 60.0, 4200.0 + 6 * 60, 48 * HOUR_S, -48 * HOUR_S], ids=["6 min early", "6 min late", "old", "future"]
)
def test_an_assertion_has_its_time(bench: Bench, at: float) -> None:
    """S15: six minutes of skew are too many."""
    response = bench.signer.response(REQUEST, bench.now)

    assert bench.reason(response, now=bench.now + at) is SsoReason.OUT_OF_TIME


def test_a_session_that_is_over_there_begins_none_here(bench: Bench) -> None:
    """SessionNotOnOrAfter."""
    over = set_attribute("saml:Assertion/saml:AuthnStatement", "SessionNotOnOrAfter", moment(bench.now - 1))

    assert bench.reason(bench.signer.response(REQUEST, bench.now, unsigned=over)) is SsoReason.OUT_OF_TIME


def test_an_answer_is_no_beginning(bench: Bench) -> None:
    """S16: where the provider begins, no request may be named."""
    assert bench.reason(bench.signer.response(REQUEST, bench.now), request_id=None) is SsoReason.UNSOLICITED


def test_a_provider_that_says_no_is_heard(bench: Bench) -> None:
    """S23: with the words that it gives."""
    responder = set_attribute("samlp:Status/samlp:StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")

    response = bench.signer.response(REQUEST, bench.now, unsigned=responder)
    assert bench.reason(response) is SsoReason.PROVIDER_SAID_NO


# Comments and parser tricks -----------------------------------------------------------------------


def test_a_comment_truncates_no_value(bench: Bench) -> None:
    """S18: before signing it is the provider's text; after it, canonicalisation takes no notice, nor do we."""

    def comment(root: Any) -> None:
        value = value_of(root, OBJECT_ID)
        value.text, tail = OID[:8], OID[8:]
        mark = etree.Comment("x")
        mark.tail = tail
        value.append(mark)

    for when in ("unsigned", "signed"):
        found = bench.verify(bench.signer.response(REQUEST, bench.now, **{when: comment}))  # type: ignore[arg-type]
        assert found.person.subject == OID


def test_a_comment_cuts_no_issuer(bench: Bench) -> None:
    """S18: signed by a trusted key under a longer name, and cut to ours by a comment that no signature covers."""

    def cut(root: Any) -> None:
        for issuer in root.iter(f"{{{SAML}}}Issuer"):
            issuer.text = ISSUER
            mark = etree.Comment("x")
            mark.tail = "another"
            issuer.append(mark)

    longer = replace(bench.signer, issuer=f"{ISSUER}another")

    assert bench.reason(longer.response(REQUEST, bench.now, signed=cut)) is SsoReason.WRONG_ISSUER


def raw(response: str, change: Callable[[bytes], bytes]) -> str:
    """A posted response with its octets changed."""
    return base64.b64encode(change(base64.b64decode(response))).decode()


BOMB = (
    b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>"""
)
XXE = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    "change",
    [
        lambda xml: BOMB + xml,
        lambda xml: XXE + xml,
        lambda xml: b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">' + xml,
        lambda xml: b"<!DOCTYPE x [<!ATTLIST Assertion ID CDATA #FIXED '_x'>]>" + xml,
        lambda xml: b'<?xml version="1.0" encoding="UTF-16"?>' + xml,
        lambda xml: b'<?xml version="1.0" encoding="UTF-7"?>' + xml,
        lambda xml: xml.decode().encode("utf-16"),
        lambda xml: b"\xff" + xml,
        lambda xml: xml.replace(b"<Subject>", b"<?php x ?><Subject>"),
        lambda xml: xml[:-20],
        lambda xml: xml + b"<more/>",
        lambda xml: xml[:0],
        lambda xml: xml[:0] + b"<x/>",
        lambda xml: xml.replace(b"<samlp:Status>", b"<samlp:Status>" + b"<!--x-->" * 40_000),
        lambda xml: xml.replace(b"Version=", b" ".join(b"a%d='1'" % n for n in range(10_000)) + b" Version=", 1),
        lambda xml: xml[:0] + b"<a>" * 30_000,
        lambda xml: xml[:0] + b"<a>" * 200 + b"</a>" * 200,
        lambda xml: xml.replace(b"<samlp:Status>", b"<samlp:Status>" + b"<!--" + b"x" * 5_000_000 + b"-->"),
    ],
    ids=[
        *("billion laughs", "XXE", "external DTD", "ATTLIST", "UTF-16 said", "UTF-7 said", "UTF-16", "no UTF-8"),
        *("instruction", "cut off", "two roots", "nothing", "other", "comments", "10k attributes", "unclosed"),
        *("deep", "5 MB"),
    ],
)
def test_hostile_documents_are_refused_quickly(bench: Bench, change: Callable[[bytes], bytes]) -> None:
    """S19 and S20: well below a tenth of a second each, and never another exception than the refusal."""
    response = raw(bench.signer.response(REQUEST, bench.now), change)
    began = time.process_time()

    assert bench.reason(response)
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize("response", ["", "!!!", "PHg+", "\ud800", "A" * 2_000_000], ids=range(5))
def test_what_is_no_document_is_refused(bench: Bench, response: str) -> None:
    """Whatever a form brings."""
    assert bench.reason(response)


# Encryption ---------------------------------------------------------------------------------------


def test_an_assertion_for_another_key_is_refused(bench: Bench) -> None:
    """S22."""
    other = new_key_pair("other", bench.now)
    response = bench.signer.response(REQUEST, bench.now, encrypt_for=other.certificate_pem)

    assert bench.reason(response) is SsoReason.NOT_DECRYPTED


def test_a_leaking_cipher_is_refused(bench: Bench) -> None:
    """RSA with the padding of PKCS #1 v1.5 tells who asks often enough what it hides."""
    root = decoded_again(bench.signer.response(REQUEST, bench.now))
    encrypt(root, bench.sp.certificate_pem, key_transform="RsaPkcs1")

    assert bench.reason(encoded(root)) is SsoReason.FORBIDDEN_ALGORITHM


def encrypted_with(bench: Bench, change: Callable[[Any], None], **fields: str) -> str:
    """A right response, encrypted for us, whose encrypted part anybody may have changed."""
    root = decoded_again(bench.signer.response(REQUEST, bench.now))
    encrypt(root, bench.sp.certificate_pem, **fields)
    root = decoded_again(encoded(root))
    change(root)
    return encoded(root)


def key_beside_data(root: Any) -> None:
    """The key as a sibling of what it opens, with a reference to it (saml-core-2.0-os section 6.1)."""
    key = next(root.iter(f"{{{XENC}}}EncryptedKey"))
    info = key.getparent()
    info.remove(key)
    key.set("Id", "_key")
    etree.SubElement(info, f"{{{DSIG}}}RetrievalMethod", URI="#_key", Type=f"{XENC}EncryptedKey")
    root.find("saml:EncryptedAssertion", NAMES).append(key)


def test_a_key_beside_what_it_opens_is_found(bench: Bench) -> None:
    """Both places are of the standard."""
    assert bench.verify(encrypted_with(bench, key_beside_data)).person.subject == OID


@pytest.mark.parametrize("element", ["EncryptedKey", "EncryptedData"])
def test_no_file_is_read_for_a_stranger(bench: Bench, tmp_path: Path, element: str) -> None:
    """Not signed by anybody: xmlsec would open any path, and read one without an end until the memory is full."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # so that who opens it does not wait
    writer = os.open(pipe, os.O_WRONLY)
    os.write(writer, b"AAAA")
    os.close(writer)

    def refer(root: Any) -> None:
        cipher = next(
            one for one in root.iter(f"{{{XENC}}}CipherData") if one.getparent().tag == f"{{{XENC}}}{element}"
        )
        cipher.clear()
        etree.SubElement(cipher, f"{{{XENC}}}CipherReference", URI=f"file://{pipe}")

    assert bench.reason(encrypted_with(bench, refer)) is SsoReason.FORBIDDEN_ALGORITHM
    assert os.read(reader, 4) == b"AAAA"  # nobody has taken it
    os.close(reader)


def _key_elsewhere(root: Any) -> None:
    key_beside_data(root)
    next(root.iter(f"{{{DSIG}}}RetrievalMethod")).set("URI", "file:///dev/zero")
    data = root.find("saml:EncryptedAssertion/xenc:EncryptedData", NAMES)
    data.find("ds:KeyInfo", NAMES).append(next(root.iter(f"{{{XENC}}}EncryptedKey")))


def _second_key(root: Any) -> None:
    info = next(root.iter(f"{{{DSIG}}}KeyInfo"))
    info.append(copy.deepcopy(info[0]))
    info[-1].find("xenc:EncryptionMethod", NAMES).set("Algorithm", f"{XENC}rsa-oaep-mgf1p")


def _second_method(root: Any) -> None:
    data = next(root.iter(f"{{{XENC}}}EncryptedData"))
    data.insert(0, copy.deepcopy(data.find("xenc:EncryptionMethod", NAMES)))


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (_key_elsewhere, {}),
        (_second_key, {"key_transform": "RsaPkcs1"}),
        (_second_method, {}),
        (lambda root: next(root.iter(f"{{{XENC}}}EncryptedData")).attrib.pop("Type"), {}),
        (lambda root: next(root.iter(f"{{{XENC}}}EncryptionMethod")).set("Algorithm", f"{XENC}tripledes-cbc"), {}),
        (lambda root: etree.SubElement(next(root.iter(f"{{{XENC}}}CipherData")), f"{{{DSIG}}}Transforms"), {}),
    ],
    ids=["key elsewhere", "weak key before a good one", "two methods", "no type", "triple DES", "transforms"],
)
def test_an_encrypted_assertion_says_one_plain_thing(
    bench: Bench, change: Callable[[Any], None], fields: dict[str, str]
) -> None:
    """Refused before anything is decrypted or followed."""
    assert bench.reason(encrypted_with(bench, change, **fields)) is SsoReason.FORBIDDEN_ALGORITHM


def test_a_clear_assertion_beside_an_encrypted_one_is_refused(bench: Bench) -> None:
    """Which of the two would count?"""
    root = decoded_again(bench.signer.response(REQUEST, bench.now))
    clear = copy.deepcopy(assertion_of(root))
    encrypt(root, bench.sp.certificate_pem)
    root.append(clear)

    assert bench.reason(encoded(root)) is SsoReason.SEVERAL_ASSERTIONS


# Any change at all --------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), octet=st.integers(0, 255), cut=st.integers(0, 40))
def test_no_change_of_octets_makes_another_person(bench: Bench, at: float, octet: int, cut: int) -> None:
    """Refused, or the same person."""
    xml = base64.b64decode(bench.signer.response(REQUEST, bench.now))
    place = int(at * len(xml))
    changed = xml[:place] + bytes([octet]) + xml[place + cut :]
    try:
        found = bench.verify(base64.b64encode(changed).decode())
    except SsoRefused:
        return
    assert found.person.subject == OID


def test_a_signer_of_another_provider_is_another(bench: Bench) -> None:
    """What one provider signs is nothing at another."""
    other = EntraSigner.fresh(bench.sp, bench.now, issuer="https://sts.windows.net/other/")

    assert bench.reason(other.response(REQUEST, bench.now)) is SsoReason.WRONG_ISSUER
