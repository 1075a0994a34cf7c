"""What one request may ask for. WsgiDAV itself sets no limit (4.4.0, util.parse_xml_body)."""

from __future__ import annotations

from typing import Any

from wsgidav.dav_error import DAVError
from wsgidav.util import parse_xml_body

MAX_XML_BYTES = 256 * 1024
MAX_XML_ELEMENTS = 4096
MAX_XML_DEPTH = 64
MAX_DESCENDANTS = 200_000
MAX_LOCK_OWNER_BYTES = 4096
MIN_LOCK_S = 600.0
MAX_LOCK_S = 3600.0
READ_BLOCK = 256 * 1024
WRITE_BLOCK = 1024 * 1024


def too_large(body: bytes) -> bool:
    """Whether an XML body is over the limits, judged before it is parsed.

    Every element has at least one ``<``, in UTF-8 and UTF-16 alike; a closed one has two.
    """
    return len(body) > MAX_XML_BYTES or body.count(b"<") > 2 * MAX_XML_ELEMENTS


def parsed_body(environ: dict[str, Any]) -> Any:
    """Parse the XML body; None if it is empty. Raises DAVError: 400 malformed, with entities, or too deep."""
    root = parse_xml_body(environ, allow_empty=True)
    if root is None:
        return None
    level = [root]
    for _ in range(MAX_XML_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return root
    raise DAVError(400, "The XML is nested too deeply.")


def lock_timeout_s(header: str | None) -> float:
    """Read a Timeout header (RFC 4918 section 10.7): what is asked for, but 10 minutes to 1 hour."""
    for wish in (header or "").split(","):
        text = wish.strip().lower()
        if text == "infinite":
            return MAX_LOCK_S
        digits = text.removeprefix("second-")
        if digits != text and digits.isascii() and digits.isdigit():
            return min(max(float(digits[:12]), MIN_LOCK_S), MAX_LOCK_S)
    return MIN_LOCK_S
