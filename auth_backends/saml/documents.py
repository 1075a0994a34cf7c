"""Reading XML from strangers: small, without a DTD, in UTF-8, and with each ID once.

Everything here runs before a signature is looked at. libxml2 is told to load and expand nothing, and what a parser
could be tricked by is refused outright (see CVE-2025-25291 and CVE-2025-25292: two parsers that disagree).
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

from lxml import etree

from auth_backends.sso import SsoReason, SsoRefused

MAX_MESSAGE = 256 * 1024
MAX_NODES = 10_000
MAX_DEPTH = 64
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
NAMES = {"samlp": SAMLP, "saml": SAML, "md": METADATA, "ds": DSIG, "xenc": XENC}
_ID_NAMES = ("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
_ENCODING = re.compile(r"encoding\s*=\s*[\"']([^\"']*)", re.IGNORECASE)


def decoded(text: str, limit: int = MAX_MESSAGE) -> bytes:
    """Decode base64 as it comes in a form. Raises SsoRefused."""
    if len(text) > limit * 4 // 3 + limit // 16:
        raise SsoRefused(SsoReason.TOO_LARGE, f"the message has more than {limit} bytes")
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise SsoRefused(SsoReason.MALFORMED, "the message is not base64") from None
    if len(raw) > limit:
        raise SsoRefused(SsoReason.TOO_LARGE, f"the message has more than {limit} bytes")
    return raw


def parsed(raw: bytes, limit: int = MAX_MESSAGE) -> etree._Element:
    """Parse a document and give its root. Raises SsoRefused."""
    if len(raw) > limit:
        raise SsoRefused(SsoReason.TOO_LARGE, f"the message has more than {limit} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise SsoRefused(SsoReason.FORBIDDEN_XML, "the message is not UTF-8") from None
    if _encoding_named(text) not in {"utf-8", "utf8", "us-ascii"}:
        raise SsoRefused(SsoReason.FORBIDDEN_XML, "the message names another encoding than UTF-8")
    if "<!DOCTYPE" in text or "<!ENTITY" in text or "<!ATTLIST" in text or "<!ELEMENT" in text:
        raise SsoRefused(SsoReason.FORBIDDEN_XML, "the message has a DTD")
    parser = etree.XMLParser(  # in the encoding that was looked at, whatever the message says
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise SsoRefused(SsoReason.MALFORMED, "the message is not XML") from None
    _bounded(root)
    return root


def _encoding_named(text: str) -> str:
    """Give the encoding that an XML declaration names, in lower case; ``utf-8`` where there is none."""
    head = text.lstrip("\ufeff \t\r\n")
    if not head.startswith("<?xml"):
        return "utf-8"
    named = _ENCODING.search(head, 0, head.find("?>"))
    return "utf-8" if named is None else named[1].lower()


def _bounded(root: etree._Element) -> None:
    ids: set[str] = set()
    nodes = 0
    for element in root.iter():
        attributes = len(element.attrib)
        nodes += 1 + attributes
        if nodes > MAX_NODES:
            raise SsoRefused(SsoReason.TOO_LARGE, f"the message has more than {MAX_NODES} elements and attributes")
        if isinstance(element, etree._ProcessingInstruction | etree._Entity):  # noqa: SLF001 - lxml has no other names for them
            raise SsoRefused(SsoReason.FORBIDDEN_XML, "the message has processing instructions or entities")
        for name in _ID_NAMES if attributes else ():
            value = element.get(name)
            if value is None:
                continue
            if value in ids:
                raise SsoRefused(SsoReason.FORBIDDEN_XML, "an ID stands twice in the message")
            ids.add(value)
    if _depth(root) > MAX_DEPTH:
        raise SsoRefused(SsoReason.TOO_LARGE, "the message is nested too deeply")


def _depth(root: etree._Element) -> int:
    deepest, level = 0, 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        level += 1 if event == "start" else -1
        deepest = max(deepest, level)
    return deepest


def text_of(element: etree._Element | None) -> str:
    """Give the whole text of an element, whatever comments stand in it; empty for none."""
    if element is None:
        return ""
    if not len(element):  # nothing stands in it, no comment either
        return (element.text or "").strip()
    return str(element.xpath("string()")).strip()  # itertext() would stop at a comment


def moment_of(text: str | None, what: str) -> float:
    """Read a time of SAML (saml-core-2.0-os section 1.3.3: UTC) as Unix seconds. Raises SsoRefused."""
    if text is None or not _MOMENT.fullmatch(text):
        raise SsoRefused(SsoReason.MALFORMED, f"{what} is no time in UTC")
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        at = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise SsoRefused(SsoReason.MALFORMED, f"{what} is no time in UTC") from None
    return at + (float(f"0.{fraction}") if fraction else 0.0)


def moment_text(at: float) -> str:
    """Write a time for SAML."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
