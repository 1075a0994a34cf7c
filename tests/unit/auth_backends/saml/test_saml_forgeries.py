"""Forged and wrapped responses against the verifier: none brings another person (S1 to S13)."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from auth_backends.saml.documents import DSIG, NAMES, SAMLP
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.saml_changes import assertion_of, set_attribute, set_text, value_of
from tests.support.saml_signer import (
    GROUPS,
    OBJECT_ID,
    certificate_der,
    signature_in,
)
from tests.unit.auth_backends.saml.conftest import REQUEST, Bench

MALLORY = "99999999-2222-4333-8444-555555555555"


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
