"""The HTTP POST binding of single logout: signed messages in a form (saml-bindings-2.0-os section 3.5)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import xmlsec
from lxml import etree

from auth_backends.saml.documents import decoded, parsed
from auth_backends.saml.parties import IdentityProvider, ServiceProvider
from auth_backends.saml.redirects import MAX_MESSAGE, Message, kind_of
from auth_backends.saml.schema import check_schema
from auth_backends.saml.signatures import checked_signature, no_other_signatures
from auth_backends.saml.trust import canonical, check_signer
from auth_backends.sso import Form, SsoReason, SsoRefused

MAX_RELAY_STATE = 2048


def posted_message(fields: Mapping[str, str], idp: IdentityProvider) -> Message:
    """Read a message from a form, after its signature was verified as that of a response is. Raises SsoRefused.

    RelayState is not signed in this binding: it is a handle to compare, or goes back to where it came from.
    """
    kind = kind_of(fields)
    relay_state = fields.get("RelayState", "")
    if len(relay_state) > MAX_RELAY_STATE:
        raise SsoRefused(SsoReason.TOO_LARGE, f"RelayState has more than {MAX_RELAY_STATE} characters")
    root = parsed(decoded(fields[kind], MAX_MESSAGE), MAX_MESSAGE)
    signature = checked_signature(root)
    if signature is None:
        raise SsoRefused(SsoReason.NOT_SIGNED, "the message is not signed")
    no_other_signatures(root, [signature])
    check_schema(root)
    check_signer(root, signature, "/*/ds:Signature", idp)
    if root.get("Destination") is None:  # section 3.5.5.2: a signed message must name it
        raise SsoRefused(SsoReason.WRONG_DESTINATION, "the message does not say for which address it was made")
    return Message(kind, parsed(canonical(root)), relay_state)


def signed_form(url: str, kind: str, xml: bytes, relay_state: str, sp: ServiceProvider) -> Form:
    """Give the form that carries a message, signed by us inside with RSA and SHA-256, behind its Issuer."""
    root = etree.fromstring(xml)
    signature = xmlsec.template.create(root, xmlsec.constants.TransformExclC14N, xmlsec.constants.TransformRsaSha256)
    root.insert(1, signature)
    reference = xmlsec.template.add_reference(signature, xmlsec.constants.TransformSha256, uri=f"#{root.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(sp.private_key_pem.reveal(), xmlsec.constants.KeyDataFormatPem)
    context.key.load_cert_from_memory(sp.certificate_pem, xmlsec.constants.KeyDataFormatPem)
    xmlsec.tree.add_ids(root, ["ID"])
    context.sign(signature)
    fields = {kind: base64.b64encode(etree.tostring(root)).decode("ascii")}
    return Form(url, fields | ({"RelayState": relay_state} if relay_state else {}))
