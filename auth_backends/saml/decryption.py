"""Encrypted assertions (saml-core-2.0-os section 6.1; XML Encryption 1.1).

Our RSA key opens one key of AES, and that the assertion. xmlsec gets that one key and no store of keys: it looks for
nothing, and loads no authorities.
"""

from __future__ import annotations

import base64
import copy

import xmlsec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from auth_backends.saml.documents import NAMES, XENC, parsed, text_of
from auth_backends.saml.own_key import private_key
from auth_backends.saml.parties import ServiceProvider
from auth_backends.saml.signatures import check_encryption
from auth_backends.sso import SsoReason, SsoRefused

_XENC11 = "http://www.w3.org/2009/xmlenc11#"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MGF1P = f"{XENC}rsa-oaep-mgf1p"
_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    f"{NAMES['ds']}sha1": hashes.SHA1(),  # noqa: S303 - OAEP's default, where nothing rests on collisions (RFC 8017 B.1)
    f"{XENC}sha256": hashes.SHA256(),
    f"{_MORE}sha384": hashes.SHA384(),
    f"{XENC}sha512": hashes.SHA512(),
}
_MASKS: dict[str, hashes.HashAlgorithm] = {
    f"{_XENC11}mgf1sha1": hashes.SHA1(),  # noqa: S303 - as above
    f"{_XENC11}mgf1sha256": hashes.SHA256(),
    f"{_XENC11}mgf1sha384": hashes.SHA384(),
    f"{_XENC11}mgf1sha512": hashes.SHA512(),
}


def decrypted(root: etree._Element, sp: ServiceProvider) -> etree._Element:
    """Give a copy of a response with its assertion in the clear; itself where it is. Raises SsoRefused."""
    found = root.findall("saml:EncryptedAssertion", NAMES)
    if not found:
        return root
    if len(found) > 1 or root.find(".//saml:Assertion", NAMES) is not None:
        raise SsoRefused(SsoReason.SEVERAL_ASSERTIONS, "there is more than one assertion")
    check_encryption(found[0])
    whole = copy.deepcopy(root)  # the signature of the original stays whole
    (encrypted,) = whole.findall("saml:EncryptedAssertion", NAMES)
    (data,) = encrypted.findall("xenc:EncryptedData", NAMES)
    try:
        key = _opened(next(encrypted.iter(f"{{{XENC}}}EncryptedKey")), sp)
        encrypted[:] = [data]
        clear = _clear(data, key)
    except Exception:  # noqa: BLE001 - whatever the libraries say, it may speak of the key
        raise SsoRefused(SsoReason.NOT_DECRYPTED, "the assertion is not encrypted for our key") from None
    if list(encrypted) != [clear] or clear.tail:
        raise SsoRefused(SsoReason.SEVERAL_ASSERTIONS, "more than one assertion was encrypted")
    whole.replace(encrypted, clear)
    # Read anew: what was hidden is held to the same rules, and lxml does not find all that xmlsec has put into its
    # trees. The whole, as lxml 6.1 leaks some bytes when it writes a part that another library has made.
    return parsed(etree.tostring(whole))


def _opened(key: etree._Element, sp: ServiceProvider) -> bytes:
    """Give the key of AES that was encrypted for us by RSA-OAEP (XML Encryption 1.1 section 5.5.2)."""
    (method,) = key.findall("xenc:EncryptionMethod", NAMES)
    digest, mask = method.findall("ds:DigestMethod", NAMES), method.findall(f"{{{_XENC11}}}MGF")
    label = method.findall("xenc:OAEPparams", NAMES)
    is_old = method.get("Algorithm") == _MGF1P  # its mask is by SHA-1, whatever its digest
    algorithm = _DIGESTS[_algorithm(digest) or f"{NAMES['ds']}sha1"]
    masked_by = _MASKS[(None if is_old else _algorithm(mask)) or f"{_XENC11}mgf1sha1"]
    oaep = padding.OAEP(padding.MGF1(masked_by), algorithm, base64.b64decode(text_of(label[0])) if label else None)
    (value,) = key.findall("xenc:CipherData/xenc:CipherValue", NAMES)
    return private_key(sp).decrypt(base64.b64decode(text_of(value)), oaep)


def _clear(data: etree._Element, key: bytes) -> etree._Element:
    for info in data.findall("ds:KeyInfo", NAMES):  # it was read above; xmlsec shall follow nothing in it
        data.remove(info)
    context = xmlsec.EncryptionContext()
    context.key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataAes, key)
    clear: etree._Element = context.decrypt(data)
    return clear


def _algorithm(found: list[etree._Element]) -> str | None:
    if len(found) > 1:
        message = "a parameter comes twice"
        raise ValueError(message)
    return found[0].get("Algorithm") or "" if found else None
