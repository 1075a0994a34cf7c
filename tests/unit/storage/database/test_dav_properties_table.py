"""The table of dead WebDAV properties, on both databases."""

from __future__ import annotations

import pytest

from storage.database.properties import MAX_NAME_BYTES, MAX_PER_PLACE, MAX_VALUE_BYTES, PropertiesTooLarge
from storage.database.store import Store

TREE = "home:u"
P, Q = "{urn:x}p", "{urn:x}q"


def test_changes_are_made_in_order(store: Store) -> None:
    """The last word on a name counts; removing what is not there is no error."""
    store.properties.change(TREE, "/a", [(P, "1"), (Q, "2"), (P, None), (P, "3"), ("{}gone", None)])
    assert store.properties.at(TREE, "/a") == {P: "3", Q: "2"}
    store.properties.change(TREE, "/a", [(Q, None), (P, "4")])

    assert store.properties.at(TREE, "/a") == {P: "4"}
    assert store.properties.at("home:v", "/a") == {}


@pytest.mark.parametrize(
    "changes",
    [
        [(P, "x" * (MAX_VALUE_BYTES + 1))],
        [("n" * (MAX_NAME_BYTES + 1), "x")],
        [(str(number), "x") for number in range(MAX_PER_PLACE + 1)],
        [(str(number), "x" * 60_000) for number in range(5)],
    ],
)
def test_one_place_holds_only_so_much(store: Store, changes: list[tuple[str, str | None]]) -> None:
    """Too much changes nothing."""
    store.properties.change(TREE, "/a", [(Q, "old")])
    with pytest.raises(PropertiesTooLarge):
        store.properties.change(TREE, "/a", changes)

    assert store.properties.at(TREE, "/a") == {Q: "old"}


def test_members_are_found_in_one_query_and_only_direct_ones(store: Store) -> None:
    """Also at the root, and in every script."""
    for path in ("/", "/ä", "/ä/b", "/ä/b/c", "/äb", "/ä/日 %_"):
        store.properties.change(TREE, path, [(P, path)])

    assert store.properties.of_members(TREE, "/ä") == {"/ä/b": {P: "/ä/b"}, "/ä/日 %_": {P: "/ä/日 %_"}}
    assert {"/ä", "/äb"} == set(store.properties.of_members(TREE, "/"))


def test_a_subtree_moves_with_all_below(store: Store) -> None:
    """The target's own are gone; neighbours stay."""
    for path in ("/a", "/a/b", "/ab", "/t", "/t/old"):
        store.properties.change(TREE, path, [(P, path)])

    store.properties.move(TREE, "/a", "folder:f", "/x/y")
    store.properties.move("folder:f", "/x/y", TREE, "/t")

    assert {"/ab", "/t"} == set(store.properties.of_members(TREE, "/"))
    assert store.properties.of_members(TREE, "/t") == {"/t/b": {P: "/a/b"}}
    assert store.properties.of_members("folder:f", "/x") == {}


@pytest.mark.parametrize(("deep", "members"), [(True, {"/c/b"}), (False, set())])
def test_a_copy_leaves_the_source(store: Store, deep: bool, members: set[str]) -> None:  # noqa: FBT001 - a case
    """With all below, or the place alone."""
    for path in ("/a", "/a/b", "/c", "/c/old"):
        store.properties.change(TREE, path, [(P, path)])

    store.properties.copy(TREE, "/a", TREE, "/c", deep=deep)

    assert store.properties.at(TREE, "/c") == {P: "/a"}
    assert members == set(store.properties.of_members(TREE, "/c"))
    assert {"/a/b"} == set(store.properties.of_members(TREE, "/a"))


def test_a_subtree_is_forgotten(store: Store) -> None:
    """And nothing beside it."""
    for path in ("/a", "/a/b", "/ab"):
        store.properties.change(TREE, path, [(P, path)])
    store.properties.forget(TREE, "/a")
    store.properties.forget(TREE, "/none")

    assert {"/ab"} == set(store.properties.of_members(TREE, "/"))
