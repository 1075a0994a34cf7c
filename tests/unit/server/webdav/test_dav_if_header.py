"""The If header of RFC 4918 section 10.4."""

from __future__ import annotations

import time

import pytest

from server.webdav.if_header import NO_IF, MalformedIf, parse

TOKENS = {None: {"urn:a"}, "https://h/dav/other": {"urn:b"}}
ETAGS = {None: "e1", "https://h/dav/other": "e2"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("(<urn:a>)", True),
        ("(<urn:x>)", False),
        ("(<urn:x>) (<urn:a>)", True),
        ('(<urn:a> ["e1"])', True),
        ('(<urn:a> ["e9"])', False),
        ('(["e9"])(Not <urn:x> ["e1"])', True),
        ("(Not <urn:a>)", False),
        ("(not <DAV:no-lock>)", True),
        ("(<DAV:no-lock>)", False),
        ("<https://h/dav/other> (<urn:b>)", True),
        ("<https://h/dav/other> (<urn:a>)", False),
        ('<https://h/dav/other> (<urn:x>) (["e2"])', True),
        ('(["with ) inside"]) (<urn:a>)', True),
    ],
)
def test_lists_are_alternatives_and_conditions_hold_together(*, header: str, expected: bool) -> None:
    """One list is enough; within it every token and entity tag counts, about the resource that it names."""
    parsed = parse(header)

    assert expected is parsed.holds(lambda name: TOKENS.get(name, set()), ETAGS.get)


def test_every_token_counts_as_submitted() -> None:
    """RFC 4918 7.5: a token that stands anywhere in the header opens its lock."""
    assert {"urn:a", "urn:b"} == parse("(<urn:a>)<https://h/x>(Not <urn:b>)").tokens


def test_no_header_is_no_condition() -> None:
    """A request without If is judged by nothing."""
    assert [parse(None), parse("  ")] == [NO_IF, NO_IF]


@pytest.mark.parametrize(
    "header",
    ["()", "(", ")", "(<a>", "<a>", "<a> <b>", "x", "(<a>) x", "((<a>))", "(Not)", "(Not Not <a>)", "(<a>)<b>", "[e]"],
)
def test_malformed_headers_are_refused(header: str) -> None:
    """A header that cannot be read must not pass for one that holds."""
    with pytest.raises(MalformedIf):
        parse(header)


@pytest.mark.parametrize("header", ["(" * 50_000, "(<a>" * 20_000, "(" + "<a> " * 20_000 + ")", "(" + "[" * 50_000])
def test_long_headers_cost_little(header: str) -> None:
    """No text makes the parser go back and forth."""
    begun = time.process_time()
    with pytest.raises(MalformedIf):
        parse(header)

    assert time.process_time() - begun < 2
