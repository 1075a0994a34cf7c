"""Metadata: what an identity provider publishes of itself, and what we publish (saml-metadata-2.0-os)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from lxml import etree

from auth_backends.saml.documents import METADATA, NAMES, moment_of, parsed
from auth_backends.saml.parties import IdentityProvider, ServiceProvider
from auth_backends.saml.signatures import fingerprint_of
from auth_backends.sso import SsoRefused

MAX_METADATA = 1024 * 1024
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_PEM_LINES = re.compile(r"-----(?:BEGIN|END) CERTIFICATE-----|\s")


class MetadataInvalid(Exception):
    """The document describes no provider that people could sign in at; the text tells an admin why."""


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """A certificate that a provider signs with. ``der`` is the certificate; times are Unix seconds."""

    der: bytes
    not_before: float
    not_after: float

    @property
    def sha256(self) -> str:
        """The fingerprint, in lower-case hex."""
        return fingerprint_of(self.der)


@dataclass(frozen=True, slots=True)
class IdpMetadata:
    """What a provider says of itself. ``valid_until`` is Unix seconds, if it says one."""

    provider: IdentityProvider
    certificates: tuple[SigningCertificate, ...]
    valid_until: float | None


def read_metadata(xml: bytes, *, entity_id: str | None = None) -> IdpMetadata:
    """Read a provider's metadata; ``entity_id`` chooses one of several, and must be right where it is given.

    Raises MetadataInvalid. Certificates count from the day they appear, valid or not yet: a provider announces them.
    """
    try:
        root = parsed(xml, MAX_METADATA)
        entity = _entity(root, entity_id)
        descriptor = _descriptor(entity)
        until = entity.get("validUntil") or root.get("validUntil")
        valid_until = None if until is None else moment_of(until, "validUntil")
    except SsoRefused as refused:
        raise MetadataInvalid(f"The metadata cannot be used: {refused.detail}.") from None
    certificates = _certificates(descriptor)
    provider = IdentityProvider(
        entity_id=entity.get("entityID") or "",
        sso_url=_location(descriptor, "SingleSignOnService") or "",
        slo_url=_location(descriptor, "SingleLogoutService"),
        slo_response_url=_answers_at(descriptor, REDIRECT),
        slo_post_url=_location(descriptor, "SingleLogoutService", POST),
        slo_post_response_url=_answers_at(descriptor, POST),
        certificates=tuple(one.der for one in certificates),
    )
    if not provider.sso_url:
        raise MetadataInvalid("The metadata name no address for signing in by HTTP redirect.")
    for url in (
        *(provider.sso_url, provider.slo_url, provider.slo_response_url),
        *(provider.slo_post_url, provider.slo_post_response_url),
    ):
        _check_url(url)
    try:
        tenant = urlsplit(provider.entity_id)
    except ValueError:
        raise MetadataInvalid("The metadata's entity ID cannot be read as a name or an address.") from None
    if tenant.hostname == "sts.windows.net":  # Entra ID answers sign-outs under its other name (Microsoft Learn)
        issuer = f"https://login.microsoftonline.com{tenant.path}"
        provider = replace(provider, logout_issuers=frozenset({issuer}))
    return IdpMetadata(provider, certificates, valid_until)


def own_metadata(sp: ServiceProvider, *, by_fingerprint: bool = False) -> bytes:
    """Give our metadata for one provider; one that is known by fingerprints shall sign out by HTTP POST alone."""
    root = etree.Element(f"{{{METADATA}}}EntityDescriptor", nsmap={None: METADATA, "ds": NAMES["ds"]})
    root.set("entityID", sp.entity_id)
    described = etree.SubElement(root, f"{{{METADATA}}}SPSSODescriptor")
    described.set("AuthnRequestsSigned", "true")
    described.set("WantAssertionsSigned", "true")
    described.set("protocolSupportEnumeration", PROTOCOL)
    certificate = _PEM_LINES.sub("", sp.certificate_pem)
    for use in ("signing", "encryption"):
        key = etree.SubElement(described, f"{{{METADATA}}}KeyDescriptor", use=use)
        info = etree.SubElement(key, f"{{{NAMES['ds']}}}KeyInfo")
        data = etree.SubElement(info, f"{{{NAMES['ds']}}}X509Data")
        etree.SubElement(data, f"{{{NAMES['ds']}}}X509Certificate").text = certificate
    for binding in (POST,) if by_fingerprint else (REDIRECT, POST):
        etree.SubElement(described, f"{{{METADATA}}}SingleLogoutService", Binding=binding, Location=sp.slo_url)
    consumer = etree.SubElement(described, f"{{{METADATA}}}AssertionConsumerService", Binding=POST, Location=sp.acs_url)
    consumer.set("index", "0")
    consumer.set("isDefault", "true")
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _entity(root: etree._Element, entity_id: str | None) -> etree._Element:
    if root.tag == f"{{{METADATA}}}EntityDescriptor":
        found = [root]
    elif root.tag == f"{{{METADATA}}}EntitiesDescriptor":
        found = [
            one
            for one in root.iter(f"{{{METADATA}}}EntityDescriptor")
            if one.find("md:IDPSSODescriptor", NAMES) is not None
        ]
    else:
        raise MetadataInvalid("The document is no metadata of SAML 2.0.")
    named = [one for one in found if entity_id is None or one.get("entityID") == entity_id]
    if not named:
        there = ", ".join(sorted(one.get("entityID") or "-" for one in found)[:5])
        raise MetadataInvalid(f"The metadata are of {there or 'nobody'}, not of {entity_id}.")
    if len(named) > 1:
        raise MetadataInvalid("The metadata describe several providers; say which by its entity ID.")
    entity = named[0].get("entityID") or ""
    if not entity or "{" in entity:
        raise MetadataInvalid("The metadata are not of one tenant: use the address with the tenant's own id.")
    return named[0]


def _descriptor(entity: etree._Element) -> etree._Element:
    found = [
        one
        for one in entity.findall("md:IDPSSODescriptor", NAMES)
        if PROTOCOL in (one.get("protocolSupportEnumeration") or "").split()
    ]
    if len(found) != 1:
        raise MetadataInvalid("The metadata describe no identity provider of SAML 2.0.")
    return found[0]


def _location(
    descriptor: etree._Element, service: str, binding: str = REDIRECT, attribute: str = "Location"
) -> str | None:
    for one in descriptor.findall(f"md:{service}", NAMES):
        if one.get("Binding") == binding and one.get(attribute):
            return str(one.get(attribute))
    return None


def _answers_at(descriptor: etree._Element, binding: str) -> str | None:
    """Give where answers of single logout go: their own address, or that of requests (saml-metadata-2.0-os 2.2.2)."""
    own = _location(descriptor, "SingleLogoutService", binding, "ResponseLocation")
    return own or _location(descriptor, "SingleLogoutService", binding)


def _certificates(descriptor: etree._Element) -> tuple[SigningCertificate, ...]:
    found: dict[bytes, SigningCertificate] = {}
    for key in descriptor.findall("md:KeyDescriptor", NAMES):
        if key.get("use") not in {None, "signing"}:
            continue
        for shown in key.findall("ds:KeyInfo/ds:X509Data/ds:X509Certificate", NAMES):
            try:
                der = base64.b64decode("".join((shown.text or "").split()), validate=True)
                read = x509.load_der_x509_certificate(der)
                read.public_key()  # read only when it is asked for
                begins, ends = read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp()
            except (binascii.Error, ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
                raise MetadataInvalid("A signing certificate in the metadata cannot be read.") from None
            found[der] = SigningCertificate(der, begins, ends)
    if not found:
        raise MetadataInvalid("The metadata name no certificate that the provider signs with.")
    return tuple(found.values())


def _check_url(url: str | None) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
    except ValueError:
        raise MetadataInvalid("The metadata hold an address that cannot be read.") from None
    if parts.scheme == "https" and parts.hostname:
        return
    try:
        on_this_machine = ip_address(parts.hostname or "").is_loopback
    except ValueError:
        on_this_machine = parts.hostname == "localhost"
    if parts.scheme != "http" or not on_this_machine:
        raise MetadataInvalid(f"The metadata send people to {url}, which is not https.")
