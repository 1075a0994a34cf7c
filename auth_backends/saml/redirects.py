"""The HTTP redirect binding: messages in a query, signed over its raw octets (saml-bindings-2.0-os section 3.4)."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from auth_backends.saml.algorithms import RSA_SHA256, SIGNATURES, is_signed_by
from auth_backends.saml.documents import decoded, parsed
from auth_backends.saml.own_key import private_key
from auth_backends.saml.parties import IdentityProvider, ServiceProvider
from auth_backends.sso import SsoReason, SsoRefused

MAX_MESSAGE = 64 * 1024
MAX_QUERY = 96 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose signature was verified. ``kind`` is SAMLRequest or SAMLResponse."""

    kind: str
    root: etree._Element
    relay_state: str


def signed_address(url: str, kind: str, xml: bytes, relay_state: str, sp: ServiceProvider) -> str:
    """Give the address with a message in its query, signed by us with RSA and SHA-256."""
    deflate = zlib.compressobj(wbits=-15)
    packed = base64.b64encode(deflate.compress(xml) + deflate.flush()).decode("ascii")
    query = f"{kind}={quote(packed, safe='')}"
    if relay_state:
        query += f"&RelayState={quote(relay_state, safe='')}"
    query += f"&SigAlg={quote(RSA_SHA256, safe='')}"
    signature = private_key(sp).sign(query.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
    signed = f"{query}&Signature={quote(base64.b64encode(signature).decode('ascii'), safe='')}"
    return f"{url}{'&' if '?' in url else '?'}{signed}"


def verified_message(query: str, idp: IdentityProvider) -> Message:
    """Read a message from a raw query, after its signature was verified. Raises SsoRefused."""
    if len(query) > MAX_QUERY:
        raise SsoRefused(SsoReason.TOO_LARGE, "the query is too long")
    raw: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in raw:
            raise SsoRefused(SsoReason.MALFORMED, f"{name} stands twice in the query")
        raw[name] = value
    kind = kind_of(raw)
    if "Signature" not in raw or "SigAlg" not in raw:
        raise SsoRefused(SsoReason.NOT_SIGNED, "the message is not signed")
    algorithm = unquote_plus(raw["SigAlg"])
    if algorithm not in SIGNATURES:
        raise SsoRefused(SsoReason.FORBIDDEN_ALGORITHM, f"the message is signed by {algorithm[:200]}")
    signed = "&".join(f"{name}={raw[name]}" for name in (kind, "RelayState", "SigAlg") if name in raw)
    _verify(decoded(unquote_plus(raw["Signature"])), signed.encode("utf-8", "replace"), algorithm, idp)
    return Message(kind, parsed(_inflated(decoded(unquote_plus(raw[kind])))), unquote_plus(raw.get("RelayState", "")))


def kind_of(fields: Mapping[str, str]) -> str:
    """Say which of the two messages stands in a query or form. Raises SsoRefused where none does, or both."""
    kinds = [name for name in ("SAMLRequest", "SAMLResponse") if name in fields]
    if len(kinds) != 1:
        raise SsoRefused(SsoReason.MALFORMED, "there is no message, or two")
    return kinds[0]


def _verify(signature: bytes, signed: bytes, algorithm: str, idp: IdentityProvider) -> None:
    if not idp.certificates:  # a query shows no certificate that could be held against a fingerprint
        raise SsoRefused(SsoReason.UNKNOWN_SIGNING_KEY, "the provider is known by fingerprints: let it use HTTP POST")
    for certificate in idp.certificates:
        key = x509.load_der_x509_certificate(certificate).public_key()
        if is_signed_by(key, algorithm, signature, signed):
            return
    raise SsoRefused(SsoReason.BAD_SIGNATURE, "the message is signed by no certificate of the provider")


def _inflated(packed: bytes) -> bytes:
    inflate = zlib.decompressobj(wbits=-15)
    try:
        xml = inflate.decompress(packed, MAX_MESSAGE)
    except zlib.error:
        raise SsoRefused(SsoReason.MALFORMED, "the message is not compressed as it should be") from None
    if inflate.unconsumed_tail:
        raise SsoRefused(SsoReason.TOO_LARGE, f"the message has more than {MAX_MESSAGE} bytes")
    return xml
