"""The one rule for login, group and folder names, and for homes and client text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.database.errors import InvalidName
from storage.database.names import MAX_NAME_LENGTH, canonical_name, checked_home, shown, storable


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Alice", "alice"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("Jose\u0301", "jos\u00e9"),
        ("A.B+c@Example.ORG", "a.b+c@example.org"),
        ("o'brien", "o'brien"),
        ("domain users", "domain users"),
        ("\u212aelvin", "kelvin"),
        ("x" * MAX_NAME_LENGTH, "x" * MAX_NAME_LENGTH),
    ],
)
def test_one_person_has_one_name(typed: str, stored: str) -> None:
    """Case, composition and compatibility letters of one name give one stored form."""
    assert stored == canonical_name(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "a" * 129, "a" * 1000, "ß" * 65, "a/b", "a\\b", "a:b", "a*b", 'a"b', "-rf", ".ssh", "@api", " a", "a ",
        "a.", "a..", "a  b", "a\0b", "a\nb", "a\x7fb", "a\u200bb", "a\u202eb", "a\u00a0b", "a\u2028b", "\ud800",
        "a\ue000",
    ],
)  # fmt: skip
def test_what_cannot_be_a_name_is_refused(typed: str) -> None:
    """Separators, controls, invisible letters, options and dot files are no names."""
    with pytest.raises(InvalidName):
        canonical_name(typed)


@given(st.text(max_size=40))
def test_canonical_form_is_stable(typed: str) -> None:
    """The stored form of a stored form is itself, so that a look-up never misses."""
    try:
        name = canonical_name(typed)
    except InvalidName:
        return

    assert name == canonical_name(name)
    assert name == canonical_name(typed.upper()) or typed.upper().casefold() != typed.casefold()
    assert checked_home(name) == name or len(name.encode()) > 255


@pytest.mark.parametrize("home", ["", ".", "..", ".x", "-x", "a/b", "a\\b", "a\nb", "a\0", "\udc80", "é" * 128])
def test_a_home_is_one_path_segment(home: str) -> None:
    """A home that would leave the homes' root, or that no disk can hold, is refused."""
    with pytest.raises(InvalidName):
        checked_home(home)


def test_a_home_keeps_its_case() -> None:
    """A home is a folder of the disk: only its composition is made one."""
    assert checked_home("Jose\u0301 B") == "Jos\u00e9 B"


def test_hostile_text_is_made_fit_for_a_row() -> None:
    """Control characters and lone surrogates of a client never reach a log or the database."""
    assert shown("a\nb\udcffc") == "a\ufffdb\ufffdc"
    assert shown("abcdef", 4) == "abc…"
    assert [storable(text) for text in ("plain", "a\0", "\udcff")] == [True, False, False]
