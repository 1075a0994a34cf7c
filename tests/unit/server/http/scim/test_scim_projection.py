"""Which attributes come back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.scim.attributes import ENTERPRISE, GROUP, USER, Kind
from server.http.scim.errors import ScimError
from server.http.scim.queries.projection import projection
from tests.support.examples import examples

CUSTOM = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"

BABS: dict[str, Any] = {
    "schemas": [USER, ENTERPRISE, CUSTOM],
    "id": "1",
    "externalId": "e",
    "userName": "babs",
    "name": {"familyName": "Jensen", "givenName": "Barbara"},
    "active": False,
    "emails": [{"value": "a@b", "type": "work", "primary": True}, {"type": "home"}],
    "groups": [{"value": "g1", "display": "Guides"}],
    ENTERPRISE: {"department": "Tour", "manager": {"value": "9"}},
    CUSTOM: {"Tag": "blue", "deep": {"er": 1}},
    "meta": {"resourceType": "User", "version": 'W/"1"'},
}


def seen(attributes: object = None, excluded: object = None) -> dict[str, Any]:
    """What is seen of Babs beside ``schemas`` and ``id``."""
    before = copy.deepcopy(BABS)
    result = projection(attributes, excluded, Kind.USER).apply(BABS)
    assert before == BABS
    assert (result.pop("schemas"), result.pop("id")) == (BABS["schemas"], "1")
    return result


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (["userName"], {"userName": "babs"}),
        (["USERNAME", "Active"], {"userName": "babs", "active": False}),
        ([f"{USER}:userName"], {"userName": "babs"}),
        ([f"{USER.upper()}:name.familyName"], {"name": {"familyName": "Jensen"}}),
        (["emails.value"], {"emails": [{"value": "a@b"}]}),
        (["emails.value,emails.TYPE"], {"emails": [{"value": "a@b", "type": "work"}, {"type": "home"}]}),
        (["emails.value", "emails"], {"emails": BABS["emails"]}),
        (["emails", "emails.value"], {"emails": BABS["emails"]}),
        (["emails.display"], {}),
        (["manager"], {ENTERPRISE: {"manager": {"value": "9"}}}),
        ([f"{ENTERPRISE}:manager.value"], {ENTERPRISE: {"manager": {"value": "9"}}}),
        ([f"{ENTERPRISE}:Department"], {ENTERPRISE: {"department": "Tour"}}),
        ([ENTERPRISE.lower()], {ENTERPRISE: BABS[ENTERPRISE]}),
        ([ENTERPRISE, f"{ENTERPRISE}:manager"], {ENTERPRISE: BABS[ENTERPRISE]}),
        ([CUSTOM], {CUSTOM: BABS[CUSTOM]}),
        ([f"{CUSTOM}:tag"], {CUSTOM: {"Tag": "blue"}}),
        ([f"{CUSTOM}:tag.x"], {}),
        ([f"{CUSTOM}:deep.er"], {CUSTOM: {"deep": {"er": 1}}}),
        (["groups", "meta.version"], {"groups": BABS["groups"], "meta": {"version": 'W/"1"'}}),
        (["nonsense", "password", "members", "a.b.c", "urn:", f"{GROUP}:displayName"], {}),
        (["id"], {}),
        ([" userName , ,", ""], {"userName": "babs"}),
        ("userName", {"userName": "babs"}),
    ],
)
def test_only_what_is_named(attributes: object, expected: dict[str, Any]) -> None:
    """``attributes`` gives what it names and nothing else, in any spelling that names have."""
    assert seen(attributes) == expected


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in BABS.items() if name not in {"schemas", "id", *names}}


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [
        ([], without()),
        ([""], without()),
        (["groups"], without("groups")),
        (["GROUPS,emails"], without("groups", "emails")),
        (["emails.type"], without() | {"emails": [{"value": "a@b", "primary": True}]}),
        (["emails", "emails.type"], without("emails")),
        (["emails.type", "emails"], without("emails")),
        (["name.familyName", "name.givenName"], without("name")),
        (["department"], without() | {ENTERPRISE: {"manager": {"value": "9"}}}),
        ([f"{ENTERPRISE}:manager.value", f"{ENTERPRISE}:department"], without(ENTERPRISE)),
        ([ENTERPRISE], without(ENTERPRISE)),
        ([f"{CUSTOM}:TAG"], without() | {CUSTOM: {"deep": {"er": 1}}}),
        ([CUSTOM], without(CUSTOM)),
        (["meta"], without("meta")),
        (["id", "schemas", "ID"], without()),
        ([USER], {name: BABS[name] for name in ("externalId", ENTERPRISE, CUSTOM, "meta")}),
        (["nonsense", "members"], without()),
    ],
)
def test_all_but_what_is_named(excluded: object, expected: dict[str, Any]) -> None:
    """``excludedAttributes`` takes away what it names, and never ``id`` and ``schemas``; nothing empty stays."""
    assert seen(None, excluded) == expected


def test_neither() -> None:
    """Without both parameters a resource comes back whole."""
    assert projection(None, None, Kind.USER).apply(BABS) == BABS


@pytest.mark.parametrize(
    ("attributes", "excluded", "wants"),
    [
        (None, None, True),
        (None, ["members"], False),
        (None, [f"{GROUP}:Members"], False),
        (None, [GROUP], False),
        (None, ["members.display"], True),
        (None, ["displayName"], True),
        (["displayName"], None, False),
        (["MEMBERS"], None, True),
        (["members.value"], None, True),
        (["nonsense"], None, False),
        ([GROUP], None, True),
    ],
)
def test_wants_members(attributes: object, excluded: object, wants: bool) -> None:  # noqa: FBT001
    """It is known before a group is read whether its members will be seen."""
    chosen = projection(attributes, excluded, Kind.GROUP)

    assert chosen.wants("members") is wants
    assert (
        "members" in chosen.apply({"id": "1", "displayName": "x", "members": [{"value": "u", "display": "d"}]})
    ) is wants
    assert chosen.wants("id")


@pytest.mark.parametrize(
    ("attributes", "excluded"),
    [
        (["userName"], ["emails"]),
        ([1], None),
        ({"userName": 1}, None),
        (7, None),
        (None, [None]),
        (["a"] * 201, None),
        (["a," * 201], None),
        (None, ["a" * 20_001]),
    ],
)
def test_refused(attributes: object, excluded: object) -> None:
    """Both parameters at once, what is no list of names, and too much of it are refused."""
    with pytest.raises(ScimError) as refused:
        projection(attributes, excluded, Kind.USER)

    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")


CORE_NAMES = "userName name name.familyName emails emails.value emails.type groups active x id meta meta.version"
EXTENSION_NAMES = [ENTERPRISE, f"{ENTERPRISE}:manager", f"{ENTERPRISE}:department", CUSTOM, f"{CUSTOM}:tag"]
NAMES = st.sampled_from([*CORE_NAMES.split(), *EXTENSION_NAMES])


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


@examples(150)
@given(st.lists(NAMES, min_size=1, max_size=6))
def test_what_is_chosen_and_what_is_left_are_the_whole(names: list[str]) -> None:
    """The same names as ``attributes`` and as ``excludedAttributes`` part a resource in two."""
    chosen, left = seen(names), seen(None, names)

    assert sorted(map(repr, leaves(chosen) + leaves(left))) == sorted(map(repr, leaves(without())))
