"""What a signature may be made of, looked at before xmlsec computes anything.

XML Signature is a small programming language; here it may say one thing: this element, canonicalised exclusively
without comments, has this SHA-2 digest. (saml-core-2.0-os section 5.4; W3C XML Signature Best Practices.)
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from lxml import etree

from auth_backends.saml.algorithms import SIGNATURES
from auth_backends.saml.documents import DSIG, NAMES, SAML, XENC
from auth_backends.sso import SsoReason, SsoRefused

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DSIG}enveloped-signature"
DIGESTS = frozenset({f"{XENC}sha256", f"{XENC}sha512", "http://www.w3.org/2001/04/xmldsig-more#sha384"})
DATA_CIPHERS = frozenset(
    {f"{XENC}aes128-cbc", f"{XENC}aes256-cbc"}
    | {f"http://www.w3.org/2009/xmlenc11#{name}" for name in ("aes128-gcm", "aes256-gcm")}
)
KEY_CIPHERS = frozenset({f"{XENC}rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#rsa-oaep"})
_ELEMENT = f"{XENC}Element"
_ENCRYPTED_PARTS = (
    frozenset({f"{{{SAML}}}EncryptedAssertion", "{http://www.w3.org/2009/xmlenc11#}MGF"})
    | {
        f"{{{XENC}}}{name}"
        for name in (
            *("EncryptedData", "EncryptedKey", "EncryptionMethod", "CipherData", "CipherValue", "OAEPparams"),
            *("ReferenceList", "DataReference", "CarriedKeyName"),
        )
    }
    | {
        f"{{{DSIG}}}{name}"
        for name in (
            *("KeyInfo", "KeyName", "DigestMethod", "RetrievalMethod", "X509Data", "X509Certificate", "X509SKI"),
            *("X509IssuerSerial", "X509IssuerName", "X509SerialNumber", "X509SubjectName"),
        )
    }
)
_KEY_PARTS = frozenset(
    f"{{{DSIG}}}{name}"
    for name in (
        *("X509Data", "X509Certificate", "X509SKI", "X509IssuerSerial", "X509IssuerName", "X509SerialNumber"),
        *("X509SubjectName", "KeyName", "KeyValue", "RSAKeyValue", "Modulus", "Exponent"),
    )
)
_PARTS = frozenset({f"{{{DSIG}}}SignedInfo", f"{{{DSIG}}}SignatureValue", f"{{{DSIG}}}KeyInfo"})


def checked_signature(element: etree._Element) -> etree._Element | None:
    """Give the signature that stands directly in this element and signs it, or None. Raises SsoRefused."""
    found = element.findall("ds:Signature", NAMES)
    if not found:
        return None
    if len(found) > 1:
        raise _forbidden("an element is signed twice")
    (signature,) = found
    _check_parts(signature)
    info = _only(signature, "ds:SignedInfo")
    if _algorithm(info, "ds:CanonicalizationMethod") != EXCLUSIVE:
        raise _forbidden("the signature is not canonicalised exclusively")
    if (algorithm := _algorithm(info, "ds:SignatureMethod")) not in SIGNATURES:
        raise _forbidden(f"the signature is by {algorithm}")
    reference = _only(info, "ds:Reference")
    if not element.get("ID") or reference.get("URI") != f"#{element.get('ID')}":
        raise SsoRefused(SsoReason.BAD_SIGNATURE, "the signature speaks of another element than the one it stands in")
    if (digest := _algorithm(reference, "ds:DigestMethod")) not in DIGESTS:
        raise _forbidden(f"the digest is by {digest}")
    transforms = [one.get("Algorithm") for one in reference.findall("ds:Transforms/ds:Transform", NAMES)]
    if transforms != [ENVELOPED, EXCLUSIVE]:
        raise _forbidden("the signature has other transforms than the enveloped one and exclusive canonicalisation")
    value = _only(reference, "ds:DigestValue")
    if len(value):  # a comment that splits the value (CVE-2024-45409 and its kin)
        raise _forbidden("the digest has children")
    return signature


def _check_parts(signature: etree._Element) -> None:
    """Refuse what has no business in a signature; a reference to a key would be followed to files of this machine."""
    names = [child.tag for child in signature if isinstance(child.tag, str)]
    if len(names) != len(set(names)) or not set(names) <= _PARTS:
        raise _forbidden("a signature has parts that do not belong there")
    shown = signature.find("ds:KeyInfo", NAMES)
    if shown is not None and any(
        isinstance(one.tag, str) and one.tag not in _KEY_PARTS for one in shown.iterdescendants()
    ):
        raise _forbidden("the signature says of its key more than which it is")


def no_other_signatures(root: etree._Element, known: list[etree._Element]) -> None:
    """Refuse signatures that stand anywhere else. Raises SsoRefused."""
    if any(one not in known for one in root.iter(f"{{{DSIG}}}Signature")):
        raise SsoRefused(SsoReason.BAD_SIGNATURE, "a signature stands where none belongs")


def check_encryption(encrypted: etree._Element) -> None:
    """Refuse all but one element by AES, whose one key is by RSA-OAEP and stands in it or beside it. Raises SsoRefused.

    Nothing here is signed, and everybody has the certificate to encrypt for. xmlsec follows CipherReference and
    RetrievalMethod to files of this machine, so that what it may see is listed.
    """
    if any(isinstance(one.tag, str) and one.tag not in _ENCRYPTED_PARTS for one in encrypted.iter()):
        raise _forbidden("the encrypted assertion has parts that do not belong there")
    data, keys = list(encrypted.iter(f"{{{XENC}}}EncryptedData")), list(encrypted.iter(f"{{{XENC}}}EncryptedKey"))
    if len(data) != 1 or data[0].getparent() is not encrypted or data[0].get("Type") != _ELEMENT or len(keys) != 1:
        raise _forbidden("the encrypted assertion is not one encrypted element with one key")
    if _method_of(data[0]) not in DATA_CIPHERS:
        raise _forbidden("the assertion is encrypted by another cipher than AES")
    if _method_of(keys[0]) not in KEY_CIPHERS:
        raise _forbidden("the key of the assertion is encrypted by another cipher than RSA-OAEP")
    references = list(encrypted.iter(f"{{{DSIG}}}RetrievalMethod"))
    is_beside = keys[0].getparent() is encrypted  # then the references to it are not followed but taken out
    if references and not (is_beside and all(one.getparent().getparent() is data[0] for one in references)):
        raise _forbidden("the key of the assertion is to be fetched from elsewhere")


def certificate_in(signature: etree._Element) -> bytes | None:
    """Give the certificate (DER) that a signature shows, or None. It proves nothing by itself."""
    shown = signature.findall("ds:KeyInfo/ds:X509Data/ds:X509Certificate", NAMES)
    if len(shown) != 1:
        return None
    try:
        return base64.b64decode("".join((shown[0].text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def fingerprint_of(certificate: bytes) -> str:
    """Give the SHA-256 fingerprint of a certificate (DER) in lower-case hex."""
    return hashlib.sha256(certificate).hexdigest()


def _method_of(encrypted: etree._Element) -> str | None:
    found = encrypted.findall("xenc:EncryptionMethod", NAMES)
    return found[0].get("Algorithm") if len(found) == 1 else None


def _only(parent: etree._Element, path: str) -> etree._Element:
    found = parent.findall(path, NAMES)
    if len(found) != 1:
        raise _forbidden(f"the signature has not exactly one {path.removeprefix('ds:')}")
    return found[0]


def _algorithm(parent: etree._Element, path: str) -> str:
    method = _only(parent, path)
    if any(isinstance(child.tag, str) and not child.tag.endswith("InclusiveNamespaces") for child in method):
        raise _forbidden(f"{path.removeprefix('ds:')} has parameters")
    return method.get("Algorithm") or ""


def _forbidden(detail: str) -> SsoRefused:
    return SsoRefused(SsoReason.FORBIDDEN_ALGORITHM, detail)
