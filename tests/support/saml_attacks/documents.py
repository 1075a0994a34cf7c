"""S19 and S20: documents that parsers read in two ways, or never come to the end of."""

from __future__ import annotations

import base64
from collections.abc import Callable

BOMB = (
    b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>"""
)
XXE = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'

DOCUMENTS: dict[str, Callable[[bytes], bytes]] = {
    "S20 billion laughs": lambda xml: BOMB + xml,
    "S20 XXE": lambda xml: XXE + xml,
    "S20 external DTD": lambda xml: b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">' + xml,
    "S19 ATTLIST": lambda xml: b"<!DOCTYPE x [<!ATTLIST Assertion ID CDATA #FIXED '_x'>]>" + xml,
    "S19 UTF-16 said": lambda xml: b'<?xml version="1.0" encoding="UTF-16"?>' + xml,
    "S19 UTF-7 said": lambda xml: b'<?xml version="1.0" encoding="UTF-7"?>' + xml,
    "S19 UTF-16": lambda xml: xml.decode().encode("utf-16"),
    "S19 no UTF-8": lambda xml: b"\xff" + xml,
    "S19 instruction": lambda xml: xml.replace(b"<Subject>", b"<?php x ?><Subject>"),
    "S20 cut off": lambda xml: xml[:-20],
    "S20 two roots": lambda xml: xml + b"<more/>",
    "S20 nothing": lambda xml: xml[:0],
    "S20 other": lambda xml: xml[:0] + b"<x/>",
    "S20 comments": lambda xml: xml.replace(b"<samlp:Status>", b"<samlp:Status>" + b"<!--x-->" * 40_000),
    "S20 10k attributes": lambda xml: xml.replace(
        b"Version=", b" ".join(b"a%d='1'" % n for n in range(10_000)) + b" Version=", 1
    ),
    "S20 unclosed": lambda xml: xml[:0] + b"<a>" * 30_000,
    "S20 deep": lambda xml: xml[:0] + b"<a>" * 200 + b"</a>" * 200,
    "S20 5 MB": lambda xml: xml.replace(b"<samlp:Status>", b"<samlp:Status>" + b"<!--" + b"x" * 5_000_000 + b"-->"),
}
"""Changes of the octets of a response."""


def raw(response: str, change: Callable[[bytes], bytes]) -> str:
    """A posted response with its octets changed."""
    return base64.b64encode(change(base64.b64decode(response))).decode()
