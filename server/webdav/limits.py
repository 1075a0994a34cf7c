"""What one request may ask for. WsgiDAV itself sets no limit (4.4.0, util.parse_xml_body)."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from wsgidav.dav_error import DAVError
from wsgidav.util import parse_xml_body

MAX_XML_BYTES = 256 * 1024
MAX_XML_ELEMENTS = 4096
MAX_XML_DEPTH = 64
MAX_XML_NAME = 1024  # characters of a name or a namespace
MAX_NAMES_ASKED = 64 * 1024  # characters of all names in a PROPFIND, each with its namespace
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
    """Parse the XML body; None if it is empty.

    Raises DAVError: 400 malformed, with a document type, or too deep; 413 with too long a name.
    """
    body: bytes = environ["wsgi.input"].getvalue()
    if body:
        _check_names(body)
    root = parse_xml_body(environ, allow_empty=True)
    if root is None:
        return None
    level = [root]
    for _ in range(MAX_XML_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return root
    raise DAVError(400, "The XML is nested too deeply.")


def _check_names(body: bytes) -> None:
    """Refuse what would grow while it is parsed: every name is then held together with its namespace.

    4,000 elements of one namespace of 200 KB fit into a body of 256 KB and would be 800 MB.
    """

    def started(name: str, attributes: dict[str, str]) -> None:
        namespaces = [value for key, value in attributes.items() if key.startswith("xmlns")]
        if any(len(text) > MAX_XML_NAME for text in (name, *attributes, *namespaces)):
            raise DAVError(413, "A name in the XML is too long.")

    def declared(*_: object) -> None:
        raise DAVError(400, "The XML has a document type.")

    parser = expat.ParserCreate()
    parser.StartElementHandler = started
    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError):  # also of an encoding that Python does not know
        raise DAVError(400, "The XML is malformed.") from None


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
