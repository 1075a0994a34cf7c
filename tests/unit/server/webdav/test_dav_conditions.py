"""Preconditions decide as RFC 9110 section 13 says."""

from __future__ import annotations

import pytest

from server.webdav.conditions import Facts, Outcome, evaluate, range_still_valid

FACTS = Facts("v1", 1_000_000_000)
SAME = "Sun, 09 Sep 2001 01:46:40 GMT"
EARLIER = "Sun, 09 Sep 2001 01:46:39 GMT"


@pytest.mark.parametrize(
    ("headers", "facts", "safe", "expected"),
    [
        ({}, FACTS, False, Outcome.PROCEED),
        ({"HTTP_IF_MATCH": '"v1"'}, FACTS, False, Outcome.PROCEED),
        ({"HTTP_IF_MATCH": '"v0", "v1"'}, FACTS, False, Outcome.PROCEED),
        ({"HTTP_IF_MATCH": '"v2"'}, FACTS, False, Outcome.FAILED),
        ({"HTTP_IF_MATCH": 'W/"v1"'}, FACTS, False, Outcome.FAILED),
        ({"HTTP_IF_MATCH": "*"}, FACTS, False, Outcome.PROCEED),
        ({"HTTP_IF_MATCH": "*"}, None, False, Outcome.FAILED),
        ({"HTTP_IF_MATCH": '"v1"'}, None, False, Outcome.FAILED),
        ({"HTTP_IF_NONE_MATCH": "*"}, None, False, Outcome.PROCEED),
        ({"HTTP_IF_NONE_MATCH": "*"}, FACTS, False, Outcome.FAILED),
        ({"HTTP_IF_NONE_MATCH": 'W/"v1"'}, FACTS, True, Outcome.NOT_MODIFIED),
        ({"HTTP_IF_NONE_MATCH": '"v1"'}, FACTS, False, Outcome.FAILED),
        ({"HTTP_IF_NONE_MATCH": '"v2"', "HTTP_IF_MODIFIED_SINCE": SAME}, FACTS, True, Outcome.PROCEED),
        ({"HTTP_IF_MODIFIED_SINCE": SAME}, FACTS, True, Outcome.NOT_MODIFIED),
        ({"HTTP_IF_MODIFIED_SINCE": EARLIER}, FACTS, True, Outcome.PROCEED),
        ({"HTTP_IF_MODIFIED_SINCE": SAME}, FACTS, False, Outcome.PROCEED),
        ({"HTTP_IF_MODIFIED_SINCE": "no date"}, FACTS, True, Outcome.PROCEED),
        ({"HTTP_IF_UNMODIFIED_SINCE": EARLIER}, FACTS, False, Outcome.FAILED),
        ({"HTTP_IF_UNMODIFIED_SINCE": SAME}, FACTS, False, Outcome.PROCEED),
        ({"HTTP_IF_UNMODIFIED_SINCE": EARLIER, "HTTP_IF_MATCH": '"v1"'}, FACTS, False, Outcome.PROCEED),
    ],
)
def test_conditions(*, headers: dict[str, object], facts: Facts | None, safe: bool, expected: Outcome) -> None:
    """Each row of the RFC's table, among them If-Match on what is not there, which fails."""
    assert expected is evaluate(headers, facts, safe=safe)


@pytest.mark.parametrize(
    ("if_range", "expected"),
    [('"v1"', True), ('"v2"', False), ('W/"v1"', False), (SAME, True), (EARLIER, False), ("nonsense", False)],
)
def test_if_range_counts_only_for_the_very_same_file(*, if_range: str, expected: bool) -> None:
    """A resumed download must not join parts of two versions."""
    assert expected is range_still_valid(if_range, FACTS)
