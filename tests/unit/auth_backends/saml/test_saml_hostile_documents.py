"""Comments, parser tricks, encryption and chance against the verifier (S18 to S22)."""

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

from auth_backends.saml.documents import DSIG, NAMES, SAML, XENC
from auth_backends.saml.parties import new_key_pair
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.saml_attacks.documents import DOCUMENTS, raw
from tests.support.saml_changes import assertion_of, value_of
from tests.support.saml_signer import (
    ISSUER,
    OBJECT_ID,
    OID,
    EntraSigner,
    decoded_again,
    encoded,
    encrypt,
)
from tests.unit.auth_backends.saml.conftest import REQUEST, Bench

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


@pytest.mark.parametrize("change", DOCUMENTS.values(), ids=DOCUMENTS)
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
