"""Messages of single logout as a provider makes them, signed by real xmlsec or with mistakes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lxml import etree

from auth_backends.saml.documents import NAMES, SAML, SAMLP
from tests.support.saml_signer import EntraSigner, decoded_again, encoded, moment

Change = Callable[[Any], object]


def logout_request(signer: EntraSigner, to: str, now: float, name: str, id: str = "id-9") -> Any:  # noqa: A002 - the standard's name
    """A request to sign somebody out, not signed yet."""
    return etree.fromstring(
        f'<samlp:LogoutRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="{id}" Version="2.0" '
        f'IssueInstant="{moment(now)}" Destination="{to}"><saml:Issuer>{signer.issuer}</saml:Issuer>'
        f"<saml:NameID>{name}</saml:NameID></samlp:LogoutRequest>"
    )


def logout_answer(signer: EntraSigner, to: str, now: float, answers: str) -> Any:
    """An answer to our request, not signed yet."""
    return etree.fromstring(
        f'<samlp:LogoutResponse xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="id-10" Version="2.0" '
        f'IssueInstant="{moment(now)}" Destination="{to}" InResponseTo="{answers}">'
        f"<saml:Issuer>{signer.issuer}</saml:Issuer><samlp:Status><samlp:StatusCode "
        f'Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:LogoutResponse>'
    )


def posted(signer: EntraSigner, root: Any, *, unsigned: Change | None = None, signed: Change | None = None) -> str:
    """A message as it stands in a form; ``unsigned`` changes it before it is signed, ``signed`` after."""
    if unsigned is not None:
        unsigned(root)
    signer.sign(root)
    root = decoded_again(encoded(root))
    if signed is not None:
        changed = signed(root)
        root = root if changed is None else changed
    return encoded(root)


def wrapped(root: Any) -> Any:
    """Signature wrapping: the signed message inside another that names somebody else."""
    evil = decoded_again(encoded(root))
    evil.set("ID", "evil")
    evil.find("saml:NameID", NAMES).text = "mallory@contoso.test"
    signature = evil.find("ds:Signature", NAMES)
    holder = etree.SubElement(signature, f"{{{NAMES['ds']}}}Object")
    holder.append(root)
    return evil


def without_signature(root: Any) -> None:
    """Take the signature out."""
    root.remove(root.find("ds:Signature", NAMES))


def weak(signer: EntraSigner, *, algorithm: str = "RSA_SHA256", digest: str = "SHA256") -> EntraSigner:
    """The same signer with other algorithms."""
    return replace(signer, algorithm=algorithm, digest=digest)


def readable(form_value: str) -> Any:
    """The document of a form's value."""
    return etree.fromstring(base64.b64decode(form_value))
