"""Encrypted assertions as providers make them: ciphers, parameters of OAEP, and what needs no file or network."""

from __future__ import annotations

import base64
import resource
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from auth_backends.saml.documents import DSIG, NAMES, XENC
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.saml_changes import assertion_of, set_attribute
from tests.support.saml_signer import OID, decoded_again, encoded
from tests.unit.auth_backends.saml.conftest import REQUEST, Bench

XENC11 = "http://www.w3.org/2009/xmlenc11#"
OAEP, OAEP11 = f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep"
CIPHERS = {"Aes128Cbc": 128, "Aes256Cbc": 256, "Aes128Gcm": 128, "Aes256Gcm": 256}
Parameters = Callable[[Any], None]


def encrypted(bench: Bench, cipher: str, algorithm: str, parameters: Parameters) -> str:
    """A right response, encrypted by xmlsec with this cipher and way to send its key."""
    root = decoded_again(bench.signer.response(REQUEST, bench.now))
    data = xmlsec.template.encrypted_data_create(
        root, getattr(xmlsec.constants, f"Transform{cipher}"), type=xmlsec.constants.TypeEncElement, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
    key = xmlsec.template.add_encrypted_key(info, xmlsec.constants.TransformRsaOaep)
    xmlsec.template.encrypted_data_ensure_cipher_value(key)
    method = key.find("xenc:EncryptionMethod", NAMES)
    method.set("Algorithm", algorithm)
    parameters(method)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(bench.sp.certificate_pem, xmlsec.constants.KeyDataFormatCertPem))
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.constants.KeyDataAes, CIPHERS[cipher], xmlsec.constants.KeyDataTypeSession)
    wrapper = etree.Element(f"{{{NAMES['saml']}}}EncryptedAssertion")
    wrapper.append(context.encrypt_xml(data, decoded_again(encoded(assertion_of(root)))))
    root.replace(assertion_of(root), wrapper)
    return encoded(root)


def hiding(bench: Bench, hidden: bytes) -> str:
    """A response that hides these octets, though they may be no element; by hand, as xmlsec would refuse to."""
    key, vector = AESGCM.generate_key(256), b"v" * 12
    public = x509.load_pem_x509_certificate(bench.sp.certificate_pem.encode()).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - the standard's default
    opened, data = public.encrypt(key, oaep), vector + AESGCM(key).encrypt(vector, hidden, None)
    template = decoded_again(encrypted(bench, "Aes256Gcm", OAEP, says()))
    values = list(template.iter(f"{{{XENC}}}CipherValue"))
    for value, octets in zip(values, (opened, data), strict=True):
        value.text = base64.b64encode(octets).decode()
    return encoded(template)


def says(digest: str = "", mask: str = "", label: str = "") -> Parameters:
    """The parameters that are named; the others have their defaults."""

    def change(method: Any) -> None:
        if label:
            etree.SubElement(method, f"{{{XENC}}}OAEPparams").text = base64.b64encode(label.encode()).decode()
        if digest:
            etree.SubElement(method, f"{{{DSIG}}}DigestMethod", Algorithm=digest)
        if mask:
            etree.SubElement(method, f"{{{XENC11}}}MGF", Algorithm=mask)

    return change


@pytest.mark.parametrize("cipher", CIPHERS)
def test_each_cipher_of_the_list_is_read(bench: Bench, cipher: str) -> None:
    """AES in both sizes and modes."""
    assert bench.verify(encrypted(bench, cipher, OAEP, says())).person.subject == OID


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        (OAEP, says(digest=f"{DSIG}sha1")),
        (OAEP, says(digest=f"{XENC}sha256")),
        (OAEP, says(digest=f"{XENC}sha512", label="label")),
        (OAEP11, says()),
        (OAEP11, says(digest=f"{XENC}sha256", mask=f"{XENC11}mgf1sha256")),
        (OAEP11, says(digest=f"{XENC}sha512", mask=f"{XENC11}mgf1sha1", label="label")),
        (OAEP11, says(mask=f"{XENC11}mgf1sha512")),
    ],
    ids=range(7),
)
def test_each_way_to_send_the_key_is_read(bench: Bench, algorithm: str, parameters: Parameters) -> None:
    """XML Encryption 1.1 section 5.5.2: digest, mask and label, and their defaults."""
    assert bench.verify(encrypted(bench, "Aes256Gcm", algorithm, parameters)).person.subject == OID


def of_key(path: str, change: Callable[[Any], None]) -> Callable[[Any], None]:
    """A change of what stands at this path in the encrypted key."""
    return lambda root: change(next(root.iter(f"{{{XENC}}}EncryptedKey")).find(path, NAMES))


def _two_digests(method: Any) -> None:
    """The right one, and another behind it: which would count?"""
    for digest in (f"{DSIG}sha1", f"{XENC}sha256"):
        etree.SubElement(method, f"{{{DSIG}}}DigestMethod", Algorithm=digest)


@pytest.mark.parametrize(
    "change",
    [
        of_key("xenc:EncryptionMethod", says(digest="urn:x:none")),
        of_key("xenc:EncryptionMethod", says(digest=f"{XENC}sha256")),
        of_key("xenc:EncryptionMethod", says(label="another")),
        of_key("xenc:EncryptionMethod", _two_digests),
        of_key("xenc:CipherData/xenc:CipherValue", lambda value: setattr(value, "text", "AAAA")),
        of_key("xenc:CipherData/xenc:CipherValue", lambda value: setattr(value, "text", "%")),
        of_key("xenc:CipherData", lambda data: data.clear()),
        set_attribute(
            "saml:EncryptedAssertion/xenc:EncryptedData/xenc:EncryptionMethod", "Algorithm", f"{XENC}aes128-cbc"
        ),
        lambda root: root.find(".//xenc:EncryptedData/xenc:CipherData", NAMES).clear(),
    ],
    ids=[
        "unknown digest",
        "another digest",
        "another label",
        "two digests",
        "no RSA",
        "no base64",
        "no key",
        "a shorter key",
        "no data",
    ],
)
def test_what_does_not_fit_is_not_opened(bench: Bench, change: Callable[[Any], None]) -> None:
    """One reason for all: none tells what is inside."""
    root = decoded_again(encrypted(bench, "Aes256Cbc", OAEP, says()))
    change(root)

    assert bench.reason(encoded(root)) is SsoReason.NOT_DECRYPTED


@pytest.mark.parametrize("hidden", [2, 0], ids=["two", "a text"])
def test_one_assertion_is_hidden(bench: Bench, hidden: int) -> None:
    """And nothing beside it: it could be seen by one reader and not by another."""
    root = decoded_again(bench.signer.response(REQUEST, bench.now))
    xml = etree.tostring(assertion_of(root), with_tail=False)
    response = hiding(bench, xml * hidden if hidden else xml + b"text")

    assert bench.reason(response) is SsoReason.SEVERAL_ASSERTIONS
    assert bench.verify(hiding(bench, xml)).person.subject == OID


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        (b"<x/>", SsoReason.SEVERAL_ASSERTIONS),
        (b"<x>" * 100 + b"</x>" * 100, SsoReason.TOO_LARGE),
        (b"<x " + b" ".join(b"a%d='1'" % number for number in range(10_000)) + b"/>", SsoReason.TOO_LARGE),
        (b"<x>" + b"y" * 300_000 + b"</x>", SsoReason.TOO_LARGE),
        (b"<x ID='a'><y ID='a'/></x>", SsoReason.FORBIDDEN_XML),
        (b"<x><?php x ?></x>", SsoReason.FORBIDDEN_XML),
        (b"<x>&e;</x>", SsoReason.NOT_DECRYPTED),
        (b"<!DOCTYPE x [<!ENTITY e 'y'>]><x>&e;</x>", SsoReason.NOT_DECRYPTED),
        (b"no document", SsoReason.NOT_DECRYPTED),
        (b"", SsoReason.NOT_DECRYPTED),
    ],
    ids=["another", "deep", "wide", "large", "an ID twice", "instruction", "entity", "DTD", "text", "nothing"],
)
def test_what_was_hidden_is_held_to_the_same_rules(bench: Bench, hidden: bytes, expected: SsoReason) -> None:
    """Anybody can encrypt for us."""
    assert bench.reason(hiding(bench, hidden)) is expected


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process can open neither a file nor a socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            socket.socket()
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_nothing_is_opened_to_verify_a_response(bench: Bench, *, encrypted: bool) -> None:
    """Once the schema is read: no authorities of the system, no schema, no name that stands in the document."""
    key = bench.sp.certificate_pem if encrypted else None

    def name_a_schema(root: Any) -> None:
        xsi = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"
        assertion_of(root).set(xsi, f"{NAMES['saml']} http://127.0.0.1:1/evil.xsd urn:x file:///dev/zero")

    named = bench.signer.response(REQUEST, bench.now, unsigned=name_a_schema, encrypt_for=key)
    response = bench.signer.response(REQUEST, bench.now, encrypt_for=key)
    bench.verify(response)
    with no_more_files():
        subjects = [bench.verify(one).person.subject for one in (response, named)]

    assert subjects == [OID, OID]


def test_a_schema_that_a_document_names_is_not_fetched(bench: Bench) -> None:
    """A listener stays alone, the answer is judged by SAML's own schema, and so is the next one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/evil.xsd"

        def own_schema(root: Any) -> None:
            root.set(
                "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation",
                f"{NAMES['samlp']} {address} urn:x {address}",
            )
            root.append(etree.Element("{urn:x}more"))

        reason = bench.reason(bench.signer.response(REQUEST, bench.now, signed=own_schema))
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()

    assert reason is SsoReason.MALFORMED
    assert bench.verify(bench.signer.response(REQUEST, bench.now)).person.subject == OID


def test_threads_take_nothing_from_each_other(bench: Bench) -> None:
    """Right and wrong ones at once, plain and encrypted: each gets its own answer."""
    breaks = set_attribute("samlp:Status", "unknown", "x")
    key = bench.sp.certificate_pem
    responses = {
        bench.signer.response(REQUEST, bench.now): OID,
        bench.signer.response(REQUEST, bench.now, encrypt_for=key): OID,
        bench.signer.response(REQUEST, bench.now, unsigned=breaks): "malformed",
        bench.stranger.response(REQUEST, bench.now): "unknown_signing_key",
        bench.stranger.response(REQUEST, bench.now, encrypt_for=key): "unknown_signing_key",
        bench.signer.response("id-2", bench.now): "unknown_request",
    }

    def judged(response: str) -> str:
        try:
            return bench.verify(response).person.subject
        except SsoRefused as refused:
            return refused.reason.value

    asked = list(responses) * 40
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(judged, asked))

    assert answers == [responses[one] for one in asked]
