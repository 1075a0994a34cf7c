"""PATCH of users: every dialect that identity providers speak, and what is refused of it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from server.http.scim.attributes import ENTERPRISE, USER
from server.http.scim.bodies.documents import user_document
from server.http.scim.bodies.patching import patched_user
from tests.support.scim_patches import CUSTOM, HOME, PRESENT, WORK, add, patch, pathless, remove, replace


def changed(*operations: dict[str, Any]) -> dict[str, Any]:
    """What differs after these operations: the new values, None for what is gone. Also holds that a replay is no-op."""
    before = deepcopy(PRESENT)
    document, _ = patched_user(PRESENT, patch(*operations))
    assert before == PRESENT
    assert json.dumps(patched_user(document, patch(*operations))[0]) == json.dumps(document)
    names = PRESENT.keys() | document.keys()
    return {name: document.get(name) for name in names if document.get(name) != PRESENT.get(name)}


def ignored(*operations: dict[str, Any]) -> tuple[str, ...]:
    return patched_user(PRESENT, patch(*operations))[1]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (replace("active", "False"), {"active": False}),
        (pathless(active=False), {"active": False}),
        (replace("ACTIVE", False), {"active": False}),
        (replace(f"{USER}:active", "false"), {"active": False}),
        ({"op": "replace", "path": USER, "value": {"active": False}}, {"active": False}),
        (pathless(**{USER: {"active": False}}), {"active": False}),
        (add("nickName", "Babs"), {"nickName": "Babs"}),
        (add("displayName", "B"), {"displayName": "B"}),
        (add("userName", "c@d.test"), {"userName": "c@d.test"}),
        (replace("externalId", "oid-2"), {"externalId": "oid-2"}),
        (replace("displayName", ""), {"displayName": None}),
        (replace("displayName", None), {"displayName": None}),
        (remove("displayName"), {"displayName": None}),
        (remove("displayName", value="A"), {"displayName": None}),
        (remove("nickName"), {}),
        (pathless(title=None, displayName="B"), {"title": None, "displayName": "B"}),
    ],
)
def test_single_values(operation: dict[str, Any], expected: dict[str, Any]) -> None:
    """Add means replace, null and the empty text mean remove, names have no case."""
    assert changed(operation) == expected


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (replace("name.familyName", "N"), {"givenName": "Ann", "familyName": "N"}),
        (pathless(**{"name.familyName": "N"}), {"givenName": "Ann", "familyName": "N"}),
        (pathless(name={"familyName": "N"}), {"givenName": "Ann", "familyName": "N"}),
        (add("name", {"FamilyName": "N", "givenName": None}), {"familyName": "N"}),
        (remove("name.givenName"), {"familyName": "Bell"}),
        (remove("name"), None),
        (replace("name", None), None),
        (pathless(**{"name.familyName": "", "name.givenName": None}), None),
    ],
)
def test_parts_of_a_name(operation: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """Parts that an operation does not name stay; a name without parts is none."""
    assert changed(operation) == {"name": expected}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (replace('emails[type eq "work"].value', "n"), [{**WORK, "value": "n"}, HOME]),
        (replace('EMAILS[Type EQ "WORK"].Value', "n"), [{**WORK, "value": "n"}, HOME]),
        (pathless(**{'emails[type eq "work"].value': "n"}), [{**WORK, "value": "n"}, HOME]),
        (add('emails[type eq "other"].value', "o"), [WORK, HOME, {"value": "o", "type": "other"}]),
        (replace('emails[type eq "other"]', {"value": "o"}), [WORK, HOME, {"value": "o", "type": "other"}]),
        (replace('emails[type eq "work"]', {"value": "n"}), [{"value": "n", "type": "work"}, HOME]),
        (replace('emails[type eq "home"]', "o"), [WORK, {"value": "o", "type": "home"}]),
        (add('emails[type eq "home"]', {"display": "o"}), [WORK, {**HOME, "value": "h@b.test", "display": "o"}]),
        (
            replace('emails[type eq "home"].primary', "True"),
            [{**WORK, "primary": False}, {**HOME, "primary": True}],
        ),
        (add("emails", [{"value": "W@b.test", "type": "Work"}]), [{**WORK, "value": "W@b.test", "type": "Work"}, HOME]),
        (add("emails", {"value": "x"}), [WORK, HOME, {"value": "x"}]),
        (
            add("emails", [{"value": "x", "primary": True}]),
            [{**WORK, "primary": False}, HOME, {"value": "x", "primary": True}],
        ),
        (replace("emails", [{"value": "x"}]), [{"value": "x"}]),
        (replace("emails", []), None),
        (replace("emails", None), None),
        (remove("emails"), None),
        (remove("emails", value=[{"value": "H@B.test"}]), [WORK]),
        (remove("emails", value={"type": "work", "value": "w@b.test", "primary": False}), [HOME]),
        (remove('emails[type eq "work"]'), [HOME]),
        (remove('emails[type eq "work"].value'), [HOME]),
        (remove('emails[type ne "work"]'), [WORK]),
        (remove('emails[value sw "W@" or value ew "none"]'), [HOME]),
        (remove('emails[not (primary pr) and value co "@b"]'), [WORK]),
        (remove('emails[primary eq "True"]'), [HOME]),
        (remove("emails.primary"), [{"value": "w@b.test", "type": "work"}, HOME]),
        (replace('emails[type eq "work"].value', ""), [HOME]),
    ],
)
def test_entries(operation: dict[str, Any], expected: list[dict[str, Any]] | None) -> None:
    """Filtered paths change, make and remove the entries that are meant; values name what is to go."""
    assert changed(operation) == {"emails": expected}


@pytest.mark.parametrize(
    "operation",
    [
        add("emails", []),
        add("emails", None),
        add("emails", [HOME]),
        remove("emails", value=[]),
        remove("emails", value=[{"value": "nobody"}]),
        remove("emails", value=[{}]),
        remove('emails[type eq "other"]'),
        remove('emails[type eq "other"].value'),
        remove('phoneNumbers[type eq "work"]'),
        replace('emails[type eq "other"].value', None),
        replace('emails[value eq "old"].value', "w@b.test"),
        pathless(),
        pathless(id="x", schemas=[], meta={}, groups=[], unknown=1),
        pathless(**{"no path": 1, "name.unknown": 2, "urn:": 3}),
        add(f"{CUSTOM}:list", ["b"]),
        remove(f"{CUSTOM}:other"),
        remove(f"{CUSTOM}:other.part"),
        remove("urn:x:y:2.0:User"),
        add("schemas", ["x"]),
        {"op": "add", "path": ENTERPRISE, "value": None},
    ],
)
def test_what_changes_nothing(operation: dict[str, Any]) -> None:
    """What is there already, what is not there to remove, and what is ignored is no error."""
    assert changed(operation) == {}


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ('phoneNumbers[type eq "mobile"].value', {"value": "x", "type": "mobile"}),
        ('roles[primary eq "True"].value', {"value": "x", "primary": True}),
        ("roles[primary eq true].value", {"value": "x", "primary": True}),
        ('ims[type eq "a" and display eq "b"].value', {"value": "x", "display": "b", "type": "a"}),
        ("entitlements.value", {"value": "x"}),
    ],
)
def test_a_path_makes_the_entry_that_it_describes(path: str, entry: dict[str, Any]) -> None:
    """Entra adds and replaces by filtered paths before there is such an entry."""
    for operation in (add(path, "x"), replace(path, "x"), pathless(**{path: "x"})):
        assert changed(operation) == {path.partition("[")[0].partition(".")[0]: [entry]}


def test_addresses_are_filled_part_by_part() -> None:
    """Entra sends each part of an address by a path of its own."""
    operations = [
        add('addresses[type eq "other"].streetAddress', "1 Way"),
        add('addresses[type eq "other"].country', "IS"),
        replace('addresses[type eq "work"].locality', "Goole"),
        remove('addresses[type eq "work"].country'),
    ]

    assert changed(*operations) == {
        "addresses": [
            {"locality": "Goole", "type": "work"},
            {"streetAddress": "1 Way", "country": "IS", "type": "other"},
        ]
    }


def test_an_entry_may_be_marked_before_it_has_a_value() -> None:
    """The order of the operations on one entry does not matter."""
    operations = [add('roles[type eq "a"].primary', "True"), add('roles[type eq "a"].value', "x")]

    assert (
        changed(*operations)
        == changed(*reversed(operations))
        == {"roles": [{"value": "x", "type": "a", "primary": True}]}
    )


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (replace(f"{ENTERPRISE}:department", "D"), {"department": "D", "manager": {"value": "m-1"}}),
        (replace(f"{ENTERPRISE.upper()}:DEPARTMENT", "D"), {"department": "D", "manager": {"value": "m-1"}}),
        (replace("department", "D"), {"department": "D", "manager": {"value": "m-1"}}),
        (pathless(**{f"{ENTERPRISE}:department": "D"}), {"department": "D", "manager": {"value": "m-1"}}),
        (pathless(**{ENTERPRISE: {"department": "D"}}), {"department": "D", "manager": {"value": "m-1"}}),
        (add(ENTERPRISE, {"department": "D"}), {"department": "D", "manager": {"value": "m-1"}}),
        (
            add("manager", [{"$ref": "http://h/Users/m-2", "value": "m-2"}]),
            {"department": "Dock", "manager": {"value": "m-2"}},
        ),
        (add(f"{ENTERPRISE}:manager", "m-2"), {"department": "Dock", "manager": {"value": "m-2"}}),
        (replace("manager.value", "m-2"), {"department": "Dock", "manager": {"value": "m-2"}}),
        (replace(f"{ENTERPRISE}:manager", {"value": "m-2"}), {"department": "Dock", "manager": {"value": "m-2"}}),
        (replace("manager", ""), {"department": "Dock"}),
        (replace("manager", []), {"department": "Dock"}),
        (replace("manager", None), {"department": "Dock"}),
        (replace("manager", {"value": ""}), {"department": "Dock"}),
        (remove("manager", value="m-1"), {"department": "Dock"}),
        (remove(f"{ENTERPRISE}:manager"), {"department": "Dock"}),
        (remove(ENTERPRISE), None),
        (replace(ENTERPRISE, None), None),
    ],
)
def test_the_enterprise_extension(operation: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """Its attributes are found by their URN, without it, and in the three forms of a manager."""
    assert changed(operation) == {ENTERPRISE: expected}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (add(f"{CUSTOM}:tag", "701984"), {"Tag": "701984", "list": ["a", "b"]}),
        (add(f"{CUSTOM.lower()}:TAG", 701984), {"Tag": 701984, "list": ["a", "b"]}),
        (pathless(**{f"{CUSTOM}:tag": ""}), {"Tag": "", "list": ["a", "b"]}),
        (pathless(**{CUSTOM: {"tag": "n", "new": {"a": 1}}}), {"Tag": "n", "list": ["a", "b"], "new": {"a": 1}}),
        (add(f"{CUSTOM}:list", ["b", "c"]), {"Tag": "t", "list": ["a", "b", "c"]}),
        (remove(f"{CUSTOM}:list", value=["b", "c"]), {"Tag": "t", "list": ["a"]}),
        (replace(f"{CUSTOM}:list", ["c"]), {"Tag": "t", "list": ["c"]}),
        (add(f"{CUSTOM}:new.part", {"x": 1}), {"Tag": "t", "list": ["a", "b"], "new": {"part": {"x": 1}}}),
        (remove(f"{CUSTOM}:tag"), {"list": ["a", "b"]}),
        (replace(f"{CUSTOM}:tag", None), {"list": ["a", "b"]}),
        (remove(CUSTOM), None),
        (replace(CUSTOM, None), None),
    ],
)
def test_unknown_extensions(operation: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """Their attributes are found whatever the case, and kept as they were sent."""
    assert changed(operation) == {CUSTOM: expected}


@pytest.mark.parametrize(
    ("path", "value", "urn", "kept"),
    [
        ("urn:x:ext:2.0:User:tag", "t", "urn:x:ext:2.0:User", {"tag": "t"}),
        ("urn:x:ext:2.0:User", {"tag": "t"}, "urn:x:ext:2.0:User", {"tag": "t"}),
        ("urn:x:ext:tag", "t", "urn:x:ext", {"tag": "t"}),
    ],
)
def test_where_an_unknown_urn_ends(path: str, value: object, urn: str, kept: dict[str, Any]) -> None:
    """A path that ends as schemas' URNs do is one; of any other the last colon leads the attribute."""
    assert changed(add(path, value)) == changed(pathless(**{path: value})) == {urn: kept}


def test_the_document_tells_where_a_urn_ends() -> None:
    """An attribute that is there is found, also if its path looks like a schema's URN."""
    present, _ = user_document({"userName": "a", "urn:x:ext:2.0": {"User": "before"}})
    document, _ = patched_user(present, patch(add("urn:x:ext:2.0:User", "after")))

    assert document == {"userName": "a", "active": True, "urn:x:ext:2.0": {"User": "after"}}


@pytest.mark.parametrize(
    "operation",
    [
        replace("password", "s3cret"),
        replace("PassWord", {"value": "s3cret"}),
        add(f"{USER}:password", "s3cret"),
        add(f"{ENTERPRISE}:password", "s3cret"),
        add(f"{CUSTOM}:password", "s3cret"),
        add(f"{CUSTOM}:deep.Password", "s3cret"),
        add(CUSTOM, {"password": "s3cret"}),
        add(ENTERPRISE, {"Password": "s3cret"}),
        add(f"{CUSTOM}:deep", [{"PASSWORD ": "s3cret"}]),
        pathless(password="s3cret"),
        pathless(**{"password.value": "s3cret", 'password[type eq "x"]': "s3cret"}),
        remove("password"),
    ],
)
def test_a_password_is_ignored(operation: dict[str, Any]) -> None:
    """A password is taken in every form, kept in none, and reported."""
    assert changed(operation) == {}
    assert ignored(operation) == ("password",)


def test_what_is_ignored_is_reported() -> None:
    """Without a path, what is unknown or read-only is ignored and named."""
    assert ignored(pathless(id="x", meta={}, unknown=1, title="T", **{"name.nick": 1})) == (
        "id",
        "meta",
        "unknown",
        "name.nick",
    )
