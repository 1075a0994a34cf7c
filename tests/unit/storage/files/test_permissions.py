"""Rights: the deepest path decides, grants at one path add up, and a denial wins."""

from __future__ import annotations

import pytest

from storage.files.permissions import ALL_RIGHTS, NO_RIGHTS, PRESETS, Right, Rule, decide, parse_rights, rights_at
from tests.support.trees import P


def _at(path: str, *rules: Rule) -> frozenset[Right]:
    return rights_at(decide(rules), P(path))


def test_without_a_rule_nothing_is_allowed() -> None:
    """No rule at or above a path means no right."""
    assert _at("/a") == NO_RIGHTS
    assert _at("/a", Rule(P("/b"), ALL_RIGHTS)) == NO_RIGHTS


def test_a_rule_holds_for_everything_below() -> None:
    """A rule counts at its path and below it, not beside it."""
    rule = Rule(P("/a"), PRESETS["read-only"])

    assert _at("/a", rule) == _at("/a/b/c", rule) == PRESETS["read-only"]
    assert _at("/ab", rule) == _at("/", rule) == NO_RIGHTS


def test_the_deepest_path_decides_alone() -> None:
    """A deeper rule replaces what is above it, to widen as well as to narrow."""
    rules = [Rule(P("/"), PRESETS["read-only"]), Rule(P("/in"), PRESETS["upload-only"]), Rule(P("/in/x"), NO_RIGHTS)]

    assert _at("/f", *rules) == PRESETS["read-only"]
    assert _at("/in/f", *rules) == PRESETS["upload-only"]
    assert _at("/in/x/f", *rules) == NO_RIGHTS


def test_rules_at_one_path_add_up_and_denial_wins() -> None:
    """Two groups' grants at one path join; what either denies is gone, in any order."""
    rules = [
        Rule(P("/a"), frozenset({Right.READ}), frozenset({Right.DELETE})),
        Rule(P("/a"), frozenset({Right.LIST, Right.DELETE})),
    ]

    assert _at("/a", *rules) == _at("/a", *reversed(rules)) == frozenset({Right.READ, Right.LIST})


def test_a_denial_does_not_reach_below_a_deeper_rule() -> None:
    """A denial above is overridden by a rule at a deeper path."""
    rules = [Rule(P("/"), ALL_RIGHTS, ALL_RIGHTS), Rule(P("/a"), frozenset({Right.READ}))]

    assert _at("/", *rules) == NO_RIGHTS
    assert _at("/a", *rules) == frozenset({Right.READ})


@pytest.mark.parametrize(
    ("words", "rights"),
    [
        (["read", "LIST"], {Right.READ, Right.LIST}),
        (["make_directory", " set-times "], {Right.MAKE_DIRECTORY, Right.SET_TIMES}),
        (["read-only", "create"], {Right.READ, Right.LIST, Right.CREATE}),
        (["full"], ALL_RIGHTS),
        (["none"], NO_RIGHTS),
        ([], NO_RIGHTS),
    ],
)
def test_words_are_read(words: list[str], rights: frozenset[Right]) -> None:
    """Names of rights and presets are read in any case and join."""
    assert parse_rights(words) == rights


def test_an_unknown_word_is_named() -> None:
    """An unknown right is refused with its name and the known ones."""
    with pytest.raises(ValueError, match=r"'fly'.*read-only.*delete"):
        parse_rights(["read", "fly"])


def test_presets_nest() -> None:
    """Full allows all, read-write all but deleting, upload-only neither reading nor listing."""
    assert PRESETS["full"] == ALL_RIGHTS
    assert PRESETS["read-write"] == ALL_RIGHTS - {Right.DELETE}
    assert not PRESETS["upload-only"] & {Right.READ, Right.LIST, Right.OVERWRITE, Right.DELETE}
