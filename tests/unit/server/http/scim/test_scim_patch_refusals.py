"""PATCH of users: what is refused, with which scimType, and what is too much."""

from __future__ import annotations

from typing import Any

import pytest

from server.http.scim.attributes import ENTERPRISE, USER
from server.http.scim.bodies import patch_paths
from server.http.scim.bodies.patching import MAX_OPERATIONS, patched_user
from server.http.scim.errors import ScimError
from tests.support.scim_patches import CUSTOM, PRESENT, add, patch, pathless, remove, replace


def refusal(*operations: Any) -> ScimError:
    with pytest.raises(ScimError) as refused:
        patched_user(PRESENT, patch(*operations))
    return refused.value


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        (remove("userName"), "mutability"),
        (remove("active"), "mutability"),
        (replace("userName", ""), "invalidValue"),
        (replace("userName", None), "invalidValue"),
        (replace("userName", " x"), "invalidValue"),
        (replace("active", None), "invalidValue"),
        (pathless(active=None), "invalidValue"),
        *((replace("active", value), "invalidValue") for value in (0, 1, "", "no", "yes", [], ["True"], {})),
        (pathless(active="1"), "invalidValue"),
        (pathless(active=True, Active="False"), "invalidValue"),
        (replace("id", "x"), "mutability"),
        (remove("meta.version"), "mutability"),
        (add("groups", [{"value": "admins"}]), "mutability"),
        (add('groups[value eq "x"].display', "admins"), "mutability"),
        (replace("isAdmin", True), "invalidPath"),
        (replace(f"{ENTERPRISE}:isAdmin", True), "invalidPath"),
        (replace("name.nick", "x"), "invalidPath"),
        (replace("name.givenName.x", "x"), "invalidPath"),
        (replace("userName.value", "x"), "invalidPath"),
        (replace('name[type eq "x"]', "x"), "invalidPath"),
        (replace("emails[", "x"), "invalidPath"),
        (replace('emails[type eq "work"', "x"), "invalidPath"),
        (pathless(**{"emails[": "x"}), "invalidPath"),
        (replace("emails.type eq 1", "x"), "invalidPath"),
        (replace("act ive", "x"), "invalidPath"),
        (replace("urn:ietf:params:scim:schemas:core:2.0:Group:displayName", "x"), "invalidPath"),
        (replace('urn:x:y:tags[type eq "a"]', "x"), "invalidPath"),
        (replace("urn:", "x"), "invalidPath"),
        (replace(f"{CUSTOM}:tag.part", "x"), "invalidPath"),
        (replace("a" * (patch_paths.MAX_PATH + 1), "x"), "invalidPath"),
        (pathless(**{USER: {USER: {"active": True}}}), "invalidPath"),
        (replace('emails[unknown eq "x"].value', "x"), "invalidFilter"),
        (replace('emails[primary eq "maybe"].value', "x"), "invalidFilter"),
        (replace('emails[value gt "x"].value', "x"), "invalidFilter"),
        (replace("emails[primary co true].value", "x"), "invalidFilter"),
        (replace('emails[type eq "\\ud800"].value', "x"), "invalidFilter"),
        (replace('emails[type ne "work" and type ne "home"].value', "x"), "noTarget"),
        (replace('emails[type eq "a" or type eq "b"].value', "x"), "noTarget"),
        (replace('emails[type eq "a" and type eq "b"].value', "x"), "noTarget"),
        (replace('emails[value eq "old"].value', "new"), "noTarget"),
        (replace("emails.value", "x"), "noTarget"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "remove", "path": ""}, "noTarget"),
        ({"op": "remove", "path": USER}, "noTarget"),
        ({"op": "add", "path": "title"}, "invalidValue"),
        ({"op": "replace"}, "invalidValue"),
        ({"op": "replace", "value": [{"active": True}]}, "invalidValue"),
        (replace('emails[type eq "work"]', ["a", "b"]), "invalidValue"),
        (replace("emails.primary", "x"), "invalidValue"),
        (add("emails", [{"value": "x", "operation": "delete"}]), "invalidValue"),
        (add("emails", [{"value": "x", "primary": True}, {"value": "y", "primary": True}]), "invalidValue"),
        (replace("emails[value pr].primary", True), "invalidValue"),
        (add("emails", [str(number) for number in range(200)]), "invalidValue"),
        (replace("manager", ["a", "b"]), "invalidValue"),
        (replace(ENTERPRISE, "x"), "invalidValue"),
        (replace(CUSTOM, "x"), "invalidValue"),
        (replace(f"{CUSTOM}:tag", "\0"), "invalidValue"),
        (replace(f"{CUSTOM}:tag", "x" * 70_000), "invalidValue"),
        ({"op": "move", "path": "title"}, "invalidSyntax"),
        ({"op": None, "path": "title"}, "invalidSyntax"),
        ({"path": "title", "value": "x"}, "invalidSyntax"),
        ({"op": "add", "OP": "remove", "path": "title", "value": "x"}, "invalidSyntax"),
        ({"op": "add", "path": ["title"], "value": "x"}, "invalidPath"),
        ("add", "invalidSyntax"),
    ],
)
def test_what_is_refused(operation: Any, scim_type: str) -> None:
    """Each refusal has its own scimType, and one fails the whole request."""
    error = refusal(replace("title", "Captain"), operation)

    assert (error.status, error.scim_type) == (400, scim_type)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {},
        {"Operations": []},
        {"Operations": {"op": "add"}},
        {"Operations": None},
        {"Operations": [None]},
        {"operations": [pathless(title="x")], "Operations": [pathless(title="y")]},
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [pathless(title="x")]},
    ],
)
def test_a_body_that_is_no_patch(body: object) -> None:
    """What is no PatchOp with at least one operation is invalid syntax."""
    with pytest.raises(ScimError) as refused:
        patched_user(PRESENT, body)

    assert (refused.value.status, refused.value.scim_type) == (400, "invalidSyntax")


@pytest.mark.parametrize("schemas", [None, [], ["x", 1], "urn", ["urn:ietf:params:scim:api:messages:2.0:patchop"]])
def test_schemas_of_a_patch_are_read_leniently(schemas: object) -> None:
    """A PATCH without schemas, or with unknown ones, is one all the same."""
    document, _ = patched_user(
        PRESENT, {"schemas": schemas, "OPERATIONS": [{"OP": "ADD", "Path": "title", "VALUE": "x"}]}
    )

    assert document["title"] == "x"


@pytest.mark.parametrize(
    "operations",
    [
        [replace("title", "x")] * (MAX_OPERATIONS + 1),
        [pathless(**{f"x{number}": 1 for number in range(MAX_OPERATIONS + 1)})],
        [remove(f'emails[value eq "{number}"]') for number in range(MAX_OPERATIONS)],
        [remove("emails", value=[str(number) for number in range(200)])] * 26,
    ],
)
def test_too_much_at_once(operations: list[dict[str, Any]]) -> None:
    """C5: operations, keys, filters and values without number are refused before they cost anything."""
    assert refusal(*operations).status == 413


def test_paths_that_are_remembered_are_bounded() -> None:
    """Any number of paths leaves a bounded memory, and long ones leave none."""
    for number in range(2 * patch_paths.CACHED_PATHS):
        patch_paths.target_of(f"x{number}")
    before = patch_paths._remembered.cache_info()
    patch_paths.target_of("x" * (patch_paths.MAX_CACHED_PATH + 1))

    assert before.currsize == patch_paths.CACHED_PATHS
    assert patch_paths._remembered.cache_info() == before
