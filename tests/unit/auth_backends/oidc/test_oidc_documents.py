"""JSON of strangers, and their texts."""

from __future__ import annotations

import pytest

from auth_backends.oidc.documents import json_object, printable, same_text
from auth_backends.sso import SsoReason, SsoRefused


def test_an_object_is_read() -> None:
    """From bytes and from text."""
    assert json_object(b'{"a": ["\xc3\xa9"]}', "x") == {"a": ["é"]} == json_object('{"a": ["é"]}', "x")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b'{"a": 1',
        b'{"a": 1, "a": 2}',
        b'{"b": {"a": 1, "a": 2}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\xff"}',
        b'{"a":' + b"[" * 100_000,
        b'{"a":' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_no_plain_object_is_refused(raw: bytes) -> None:
    """A name that stands twice is read differently by different programs; depth and digits have an end."""
    with pytest.raises(SsoRefused) as refused:
        json_object(raw, "the document")

    assert refused.value.reason is SsoReason.MALFORMED
    assert refused.value.detail.startswith("the document ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\r\x1b[31m", "two lines  [31m"),
        ("\ud800half", "half"),
        ("x" * 20, "x" * 10),
        (None, ""),
        (["a"], ""),
        (7, ""),
    ],
)
def test_a_text_is_shown_on_one_line(value: object, shown: str) -> None:
    """Nothing in it moves a cursor, begins a line in a log, or cannot be written as UTF-8."""
    limit = 10 if value == "x" * 20 else 300

    assert printable(value, limit) == shown


@pytest.mark.parametrize(
    ("value", "expected", "same"),
    [
        ("abc", "abc", True),
        ("abc", "abd", False),
        ("abc", "ABC", False),
        ("", "", False),
        (None, "abc", False),
        (["abc"], "abc", False),
        ("\ud800", "abc", False),
        ("é", "é", True),
    ],
)
def test_texts_are_compared_whole(value: object, expected: str, same: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """Other kinds and halves of characters are unequal and no error; nothing equals an empty expectation."""
    assert same_text(value, expected) is same
