"""Sizes, times and texts as people give them."""

from __future__ import annotations

import pytest

from server.cli import values
from server.cli.output import Failure, cell, printable

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1000", 1000),
        ("1K", 1024),
        ("1.5k", 1536),
        ("2 MB", 2 * 1024**2),
        ("3GiB", 3 * 1024**3),
        ("1T", 1024**4),
        ("none", None),
        (None, None),
    ],
)
def test_sizes(text: str | None, expected: int | None) -> None:
    """Units are 1024-based."""
    assert values.size(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "1P", "1e9", "K", "٣"])
def test_other_sizes_are_refused(text: str) -> None:
    """With the accepted forms."""
    with pytest.raises(Failure):
        values.size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12h", NOW + 12 * 3600),
        ("+30d", NOW + 30 * 86400),
        ("2w", NOW + 14 * 86400),
        ("1y", NOW + 365 * 86400),
        ("2027-01-15", NOW + 16 * 3600),
        ("2027-01-15T09:00:00", NOW + 3600),
        ("2027-01-15T09:00:00Z", NOW + 3600),
        ("2027-01-15T10:00+01:00", NOW + 3600),
        ("never", None),
        (None, None),
    ],
)
def test_moments(text: str | None, expected: float | None) -> None:
    """A date means the end of that day in UTC; a time without a zone is UTC."""
    assert values.expiry(text, NOW) == expected


@pytest.mark.parametrize("text", ["soon", "2027-13-01", "9999999999y", "2027-01-14", "2027-01-15T07:59Z", "9999-12-31"])
def test_other_moments_are_refused(text: str) -> None:
    """What cannot be read, cannot be represented, or has passed."""
    with pytest.raises(Failure):
        values.expiry(text, NOW)


def test_lists_are_joined() -> None:
    """Commas and repetition mean the same; doubles and blanks go."""
    assert values.texts(["a, b", "b", "", "c"]) == ("a", "b", "c")
    assert values.networks(["10.0.0.0/8,10.0.0.0/8", "::1"]) == ("10.0.0.0/8", "::1/128")


def test_cells() -> None:
    """How values look in a table."""
    shown = [cell(value) for value in (None, "", True, False, 7, ["a", "b"], [], {"root": "/x"})]

    assert shown == ["-", "-", "yes", "no", "7", "a; b", "-", "root=/x"]


def test_printable_keeps_letters_and_shows_the_rest() -> None:
    """Non-Latin letters and emoji stay; control, format and private characters become escapes."""
    assert printable("Ünï 漢 😀") == "Ünï 漢 😀"
    assert printable("\x1b[31m\n\u200f") == "\\x1b[31m\\n\\u200f"


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [("90", 90.0, "90s"), ("2 s", 2.0, "2s"), ("30m", 1800.0, "30m"), ("1.5h", 5400.0, "90m"), ("2d", 172800.0, "2d")],
)
def test_lengths_of_time(text: str, seconds: float, shown: str) -> None:
    """Seconds unless a unit is given, ``m`` for minutes; they are shown in the largest unit without a rest."""
    assert values.interval(text, "--sync-interval") == seconds
    assert values.shown_interval(seconds) == shown


@pytest.mark.parametrize("text", ["", "-1", "1w", "h", "1h30m", "soon"])
def test_other_lengths_of_time_are_refused(text: str) -> None:
    """With the option and the accepted forms."""
    with pytest.raises(Failure) as refused:
        values.interval(text, "--sync-interval")

    assert refused.value.then.startswith("--sync-interval: ")
