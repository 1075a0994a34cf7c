"""Range and Content-Range."""

from __future__ import annotations

import pytest

from server.webdav.ranges import MalformedContentRange, Span, Unsatisfiable, requested_span, resumed_span


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=2-5", Span(2, 6)),
        ("bytes=2-", Span(2, 10)),
        ("bytes=2-99", Span(2, 10)),
        ("bytes=-3", Span(7, 10)),
        ("bytes=-99", Span(0, 10)),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("bytes=-", None),
        ("lines=1-2", None),
        ("nonsense", None),
    ],
)
def test_one_range_is_served_and_the_rest_ignored(header: str, expected: Span | None) -> None:
    """RFC 9110 14.2: a server may ignore several ranges, and must ignore what it cannot read."""
    assert expected == requested_span(header, 10)


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_a_range_without_any_byte_is_refused(header: str, size: int) -> None:
    """416, so that a client that resumes a finished file notices."""
    with pytest.raises(Unsatisfiable):
        requested_span(header, size)


def test_the_last_part_of_an_upload_is_taken() -> None:
    """Both ways to write that the part reaches the end."""
    assert [Span(5, 10), Span(5, 10)] == [resumed_span("bytes 5-9/*"), resumed_span("bytes 5-9/10")]


@pytest.mark.parametrize("header", ["bytes 5-9/20", "bytes 9-5/*", "bytes */10", "5-9/10", "bytes 0-4/4"])
def test_other_parts_are_refused(header: str) -> None:
    """After a part that is not the last, an unfinished file would stand under the final name."""
    with pytest.raises(MalformedContentRange):
        resumed_span(header)
