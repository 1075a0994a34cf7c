"""Whether an element was signed by the provider: its certificates, or one whose fingerprint an admin has named."""

from __future__ import annotations

import base64
import copy

from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from auth_backends.saml.parties import IdentityProvider
from auth_backends.saml.signatures import certificate_in, fingerprint_of
from auth_backends.sso import SsoReason, SsoRefused


def check_signer(root: etree._Element, signature: etree._Element, path: str, idp: IdentityProvider) -> None:
    """Verify a signature that ``checked_signature`` has passed and that stands at this XPath alone. Raises SsoRefused.

    A certificate that the signature shows is looked at only where the provider is known by fingerprints.
    """
    shown = certificate_in(signature)
    trusted = list(idp.certificates)
    if not trusted and shown is not None and fingerprint_of(shown) in idp.fingerprints:
        trusted = [shown]
    if not trusted:
        raise SsoRefused(SsoReason.UNKNOWN_SIGNING_KEY, "no certificate of the provider is known that fits")
    for certificate in trusted:
        pem = OneLogin_Saml2_Utils.format_cert(base64.b64encode(certificate).decode("ascii"))
        document = copy.deepcopy(root)
        if OneLogin_Saml2_Utils.validate_sign(document, cert=pem, xpath=path, raise_exceptions=False):
            return
    if shown is not None and shown not in trusted:
        detail = f"it is signed by a certificate that is not the provider's (SHA-256 {fingerprint_of(shown)})"
        raise SsoRefused(SsoReason.UNKNOWN_SIGNING_KEY, detail)
    raise SsoRefused(SsoReason.BAD_SIGNATURE, "the signature does not fit what is signed")


def canonical(element: etree._Element) -> bytes:
    """Give what a signature of this element covers: its canonical form, without comments."""
    return bytes(etree.tostring(element, method="c14n", exclusive=True, with_comments=False))
