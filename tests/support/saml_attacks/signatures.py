"""S12, S13 and S19: what was signed is changed, or a signature says more than one plain thing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from lxml import etree

from auth_backends.saml.documents import DSIG, NAMES
from tests.support.saml_attacks.wrappings import MALLORY
from tests.support.saml_changes import assertion_of, set_attribute, set_text, value_of
from tests.support.saml_signer import GROUPS, OBJECT_ID, Change

TAMPERINGS: dict[str, Change] = {
    "S12 subject": lambda root: setattr(value_of(root, OBJECT_ID), "text", MALLORY),
    "S12 group": lambda root: setattr(value_of(root, GROUPS), "text", "admins"),
    "S12 NameID": set_text("saml:Assertion/saml:Subject/saml:NameID", "mallory@contoso.test"),
    "S12 time": set_attribute("saml:Assertion/saml:Conditions", "NotOnOrAfter", "2099-01-01T00:00:00Z"),
}
"""Changes of a response after it was signed."""


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


_TRICKS: dict[str, Change] = {
    "S13 two references": _second_reference,
    "S13 XSLT": _transform("http://www.w3.org/TR/1999/REC-xslt-19991116"),
    "S13 XPath": _transform("http://www.w3.org/TR/1999/REC-xpath-19991116"),
    "S13 XPath filter": _transform("http://www.w3.org/2002/06/xmldsig-filter2"),
    "S13 HMAC-SHA1": _method(f"{DSIG}hmac-sha1"),
    "S13 HMAC-SHA256": _method("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
    "S13 RSA-SHA1": _method(f"{DSIG}rsa-sha1"),
    "S13 DSA": _method(f"{DSIG}dsa-sha1"),
    "S13 comments canonicalised": set_attribute(
        "ds:SignedInfo/ds:CanonicalizationMethod",
        "Algorithm",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    ),
    "S13 inclusive canonicalisation": set_attribute(
        "ds:SignedInfo/ds:CanonicalizationMethod", "Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    ),
    "S19 a comment in the digest": lambda signature: signature.find(
        "ds:SignedInfo/ds:Reference/ds:DigestValue", NAMES
    ).append(etree.Comment("x")),
    "S13 two SignedInfo": lambda signature: signature.append(copy.deepcopy(signature.find("ds:SignedInfo", NAMES))),
    "S13 an Object": lambda signature: etree.SubElement(signature, f"{{{DSIG}}}Object"),
    "S19 two digests": lambda signature: signature.find("ds:SignedInfo/ds:Reference", NAMES).append(
        copy.deepcopy(signature.find("ds:SignedInfo/ds:Reference/ds:DigestValue", NAMES))
    ),
    "S13 two signatures": lambda signature: signature.getparent().append(copy.deepcopy(signature)),
    "S13 a key from elsewhere": lambda signature: etree.SubElement(
        signature.find("ds:KeyInfo", NAMES), f"{{{DSIG}}}RetrievalMethod", URI="file:///dev/zero"
    ),
}


def _of_the_assertion(change: Change) -> Change:
    return lambda root: change(assertion_of(root).find("ds:Signature", NAMES))


SIGNATURE_TRICKS: dict[str, Change] = {name: _of_the_assertion(change) for name, change in _TRICKS.items()}
"""Changes of a response after it was signed, each of the assertion's signature."""

OTHER_REFERENCES: dict[str, Change] = {
    f"S13 {name} reference": set_attribute("saml:Assertion/ds:Signature/ds:SignedInfo/ds:Reference", "URI", uri)
    for name, uri in (("an empty", ""), ("another", "#_other"), ("no", None))
}
"""Changes of a response after it was signed: what the signature speaks of."""
