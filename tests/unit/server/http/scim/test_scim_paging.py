"""Which part of a list a client asks for."""

from __future__ import annotations

from typing import Any

import pytest

from server.http.scim.errors import ScimError
from server.http.scim.queries.paging import DEFAULT_COUNT, MAX_COUNT, MAX_OFFSET, Page, page_of


@pytest.mark.parametrize(
    ("start_index", "count", "expected"),
    [
        (None, None, Page(0, 100)),
        ("1", "2", Page(0, 2)),
        (1, 100, Page(0, 100)),
        ("101", "100", Page(100, 100)),
        ("0", "10", Page(0, 10)),
        ("-5", "10", Page(0, 10)),
        (-5, -1, Page(0, 0)),
        (None, "0", Page(0, 0)),
        (None, "-1", Page(0, 0)),
        (None, "501", Page(0, 500)),
        ("+3", " 7 ", Page(2, 7)),
        ("1000000001", None, Page(10**9, 100)),
        ("9" * 100_000, "9" * 100_000, Page(10**9, 500)),
        ("-" + "9" * 100_000, "-" + "9" * 100_000, Page(0, 0)),
        (10**400, 10**400, Page(10**9, 500)),
    ],
)
def test_pages(start_index: str | int | None, count: str | int | None, expected: Page) -> None:
    """RFC 7644 section 3.4.2.4: what is too small or too large is brought within the limits."""
    assert page_of(start_index, count) == expected


@pytest.mark.parametrize(
    "value", ["", " ", "one", "1.0", "1e3", "0x10", "1_000", "\u0661", "--1", "1 2", "NaN", True, 1.5, [1], {}]
)
def test_no_number(value: Any) -> None:
    """What is no whole number is refused, for both parameters."""
    for given in ((value, None), (None, value)):
        with pytest.raises(ScimError) as refused:
            page_of(*given)

        assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")


def test_the_limits() -> None:
    """A page has what clients are told, and no more than a list's greatest answer."""
    assert (DEFAULT_COUNT, MAX_COUNT, MAX_OFFSET) == (100, 500, 10**9)
    assert page_of("7", None).start_index == 7
