"""Groups: a body becomes a delta that changes those memberships that it names, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from server.http.scim.attributes import ENTERPRISE, GROUP
from server.http.scim.bodies import group_changes, member_ids
from server.http.scim.bodies.group_changes import (
    AddMembers,
    ClearMembers,
    GroupDelta,
    MemberStep,
    RemoveMembers,
    ReplaceMembers,
    group_created,
    group_patched,
    group_replaced,
)
from server.http.scim.bodies.patch_operations import MAX_OPERATIONS, MISSING, Operation, Verb
from server.http.scim.errors import ScimError

ENTRA_CREATE: dict[str, Any] = {
    "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
    "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
    "displayName": "Crew",
    "meta": {"resourceType": "Group"},
}


def patch(*operations: Any) -> dict[str, Any]:
    """A PATCH body of these operations."""
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}


def operation(op: str, path: str | None = None, **value: Any) -> dict[str, Any]:
    return {"op": op, **({} if path is None else {"path": path}), **value}


def steps(*operations: Any) -> tuple[MemberStep, ...]:
    return group_patched(patch(*operations)).steps


def refusal(*operations: Any) -> ScimError:
    with pytest.raises(ScimError) as refused:
        group_patched(patch(*operations))
    return refused.value


def test_entras_create() -> None:
    """Entra creates a group without members and with a schema that nobody knows."""
    assert group_created(ENTRA_CREATE) == GroupDelta("Crew", "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", (), ("meta",), {})


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([{"value": "a", "$ref": None}, {"VALUE": "b", "display": "B", "type": "User"}], (AddMembers(("a", "b")),)),
        ({"value": "a"}, (AddMembers(("a",)),)),
        ("a", (AddMembers(("a",)),)),
        ([{"value": "b"}, {"value": "a"}, {"value": "b"}], (AddMembers(("b", "a")),)),
        ([], ()),
        (None, ()),
    ],
)
def test_members_of_a_new_group(members: object, expected: tuple[MemberStep, ...]) -> None:
    """Members are read in any form, each once and in their order."""
    assert group_created({"displayName": "Crew", "members": members}).steps == expected


def test_a_put_without_members_never_touches_them() -> None:
    """Neither without members nor with null; only an empty list ends all memberships."""
    assert group_replaced({"displayName": "Crew"}) == GroupDelta("Crew", document={})
    assert group_replaced({"displayName": "Crew", "members": None, "externalId": None}).steps == ()
    assert group_replaced({"displayName": "Crew", "members": []}).steps == (ReplaceMembers(()),)
    assert group_replaced({"DISPLAYNAME": "Crew", "Members": ["a"]}).steps == (ReplaceMembers(("a",)),)


@pytest.mark.parametrize(
    "operations",
    [
        [operation("replace", "externalId", value="")],
        [operation("add", "externalId", value=None)],
        [operation("replace", value={"externalId": ""})],
    ],
)
def test_an_external_id_is_never_taken_away(operations: list[Any]) -> None:
    """Neither the empty text by PUT nor by PATCH touches it, nor a new one said before that."""
    renewed = operation("replace", "externalId", value="g-2")

    assert group_patched(patch(*operations)) == GroupDelta()
    assert group_patched(patch(renewed, *operations)) == GroupDelta(external_id="g-2")
    assert group_patched(patch(operation("remove", "externalId"))) == GroupDelta(external_id="")
    assert group_replaced({"displayName": "Crew", "externalId": ""}).external_id is None
    assert group_replaced({"displayName": "Crew", "externalId": "g-2"}).external_id == "g-2"


@pytest.mark.parametrize("name", [None, "", "  ", "a\nb", "a\0", "x" * 257, 5, ["Crew"], {"value": "Crew"}])
def test_a_group_needs_a_proper_name(name: object) -> None:
    """A group without a name, or with one that is no line of text, is refused by every verb."""
    for read in (group_created, group_replaced):
        with pytest.raises(ScimError) as refused:
            read({"displayName": name})
        assert refused.value.scim_type == "invalidValue"
    assert refusal(operation("replace", "displayName", value=name)).scim_type == "invalidValue"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (operation("Add", "members", value=[{"$ref": None, "value": "a"}]), AddMembers(("a",))),
        (operation("add", "members", value={"value": "a"}), AddMembers(("a",))),
        (operation("add", "MEMBERS", value="a"), AddMembers(("a",))),
        (operation("add", f"{GROUP}:members", value="a"), AddMembers(("a",))),
        (operation("add", value={"members": [{"value": "a"}]}), AddMembers(("a",))),
        (operation("Remove", "members", value=[{"$ref": None, "value": "a"}]), RemoveMembers(("a",))),
        (operation("remove", "members", value={"value": "a"}), RemoveMembers(("a",))),
        (operation("remove", "members", value="a"), RemoveMembers(("a",))),
        (operation("remove", 'members[value eq "a"]'), RemoveMembers(("a",))),
        (operation("remove", 'Members[ VALUE EQ "a\\u0062" ]'), RemoveMembers(("ab",))),
        (operation("remove", f'{GROUP}:members[value eq "a"]'), RemoveMembers(("a",))),
        (operation("remove", 'members[value eq "a" or (value eq "b" or value eq "a")]'), RemoveMembers(("a", "b"))),
        (operation("remove", "members"), ClearMembers()),
        (operation("Replace", "members", value=[{"value": "a"}, "b"]), ReplaceMembers(("a", "b"))),
        (operation("replace", "members", value=[]), ReplaceMembers(())),
        (operation("replace", value={"members": [{"value": "a"}]}), ReplaceMembers(("a",))),
    ],
)
def test_changes_of_members(change: dict[str, Any], expected: MemberStep) -> None:
    """Every way to add, to remove and to replace members is read as what it means."""
    assert steps(change) == (expected,)


@pytest.mark.parametrize(
    "change",
    [
        operation("Remove", "members", value=[]),
        operation("add", "members", value=[]),
        operation("add", "members", value=None),
        operation("replace", value={"displayName": "Crew"}),
        operation("replace", value={"displayName": "Crew", "members": None}),
        operation("replace", "displayName", value="Crew"),
    ],
)
def test_members_that_are_not_named_are_not_touched(change: dict[str, Any]) -> None:
    """A removal of nobody and a change of something else leave all memberships alone."""
    assert steps(change) == ()


def test_oktas_rename() -> None:
    """Okta sends the group's own id with the new name; it is ignored and reported."""
    delta = group_patched(patch(operation("replace", value={"id": "g-1", "displayName": "Mates"})))

    assert delta == GroupDelta("Mates", ignored=("id",))


def test_steps_keep_their_order() -> None:
    """Changes of one kind in a row are one step; a removal and an addition are never exchanged."""
    assert steps(
        operation("remove", 'members[value eq "a"]'),
        operation("remove", 'members[value eq "b"]'),
        operation("add", "members", value=["a", "c"]),
        operation("add", "members", value=["c", "d"]),
        operation("remove", "members", value=["c"]),
        operation("remove", "members"),
        operation("replace", "members", value=["x"]),
        operation("replace", "members", value=["y"]),
    ) == (
        RemoveMembers(("a", "b")),
        AddMembers(("a", "c", "d")),
        RemoveMembers(("c",)),
        ClearMembers(),
        ReplaceMembers(("x",)),
        ReplaceMembers(("y",)),
    )


@pytest.mark.parametrize(
    "member",
    [
        {"value": "g", "type": "Group"},
        {"value": "g", "TYPE": "group"},
        {"value": "g", "type": ["User"]},
        {"value": "a", "operation": "delete"},
        {"value": "a", "Value": "b"},
        {"value": None},
        {"value": ""},
        {"value": 5},
        {"value": "a\n"},
        {"value": "\ud800"},
        {"value": "x" * 129},
        {"value": {"value": "a"}},
        {"$ref": "../Users/a"},
        {},
        "",
        5,
        True,
        [["a"]],
        [None],
    ],
)
@pytest.mark.parametrize("op", ["add", "remove", "replace"])
def test_members_that_are_refused(op: str, member: object) -> None:
    """A group in a group, SCIM 1.1's deletion and what is no id are refused by every operation."""
    value = member if isinstance(member, list) else [{"value": "good"}, member]

    assert refusal(operation(op, "members", value=value)).scim_type == "invalidValue"


@pytest.mark.parametrize(
    ("change", "scim_type"),
    [
        (operation("remove", "displayName"), "mutability"),
        (operation("replace", "id", value="x"), "mutability"),
        (operation("remove", "meta"), "mutability"),
        (operation("add", 'members[value eq "a"]', value={"value": "a"}), "noTarget"),
        (operation("replace", 'members[value eq "a"]', value="b"), "noTarget"),
        (operation("remove", 'members[value eq "a"].display'), "invalidPath"),
        (operation("remove", 'other[value eq "a"]'), "invalidPath"),
        (operation("remove", 'members[value eq "a"'), "invalidPath"),
        (operation("remove", "members[]"), "invalidPath"),
        (operation("remove", "members.value"), "invalidPath"),
        (operation("remove", "members.value", value="a"), "invalidPath"),
        (operation("replace", "owner", value="a"), "invalidPath"),
        (operation("replace", f"{ENTERPRISE}:displayName", value="a"), "invalidPath"),
        (operation("replace", "urn:x:y[members]", value=[]), "invalidPath"),
        (operation("replace", "urn:x:members!", value=[]), "invalidPath"),
        (operation("add", "urn:x:y:members"), "invalidValue"),
        (operation("remove", f"members[{' or '.join(['value pr'] * 200)}]"), "invalidPath"),
        (operation("remove", 'members[value ne "a"]'), "invalidFilter"),
        (operation("remove", 'members[display eq "a"]'), "invalidFilter"),
        (operation("remove", "members[value pr]"), "invalidFilter"),
        (operation("remove", 'members[not (value eq "a")]'), "invalidFilter"),
        (operation("remove", 'members[value eq "a" and type eq "User"]'), "invalidFilter"),
        (operation("remove", "members[value eq true]"), "invalidValue"),
        (operation("remove", 'members[value eq ""]'), "invalidValue"),
        (operation("add", "members"), "invalidValue"),
        (operation("replace", "members"), "invalidValue"),
        (operation("replace", "members", value=None), "invalidValue"),
        (operation("Remove", "members", value=None), "invalidValue"),
        (operation("remove", f"{GROUP}:members", value=None), "invalidValue"),
        (operation("replace", "externalId", value=["x"]), "invalidValue"),
        (operation("replace", value={"members": ["a"], "Members": []}), "invalidValue"),
        (operation("replace", value=[{"members": ["a"]}]), "invalidValue"),
        (operation("replace"), "invalidValue"),
        (operation("remove"), "noTarget"),
        (operation("remove", value={"members": ["a"]}), "noTarget"),
        (operation("clear", "members"), "invalidSyntax"),
    ],
)
def test_what_is_refused(change: dict[str, Any], scim_type: str) -> None:
    """Whatever could empty or widen a group by a misreading is refused, and with it the whole request."""
    error = refusal(operation("add", "members", value=["a"]), change)

    assert (error.status, error.scim_type) == (400, scim_type)


@pytest.mark.parametrize("path", ["members", "displayName", "externalId", "id", "schemas", "password"])
def test_names_have_no_case(path: str) -> None:
    """A path in capitals is the same path: it gives the same delta or the same refusal."""

    def outcome(spelled: str) -> object:
        try:
            return group_patched(patch(operation("replace", spelled, value="x")))
        except ScimError as error:
            return error.body()

    assert outcome(path) == outcome(path.upper())


def test_what_is_ignored_is_reported() -> None:
    """Unknown attributes and passwords of a whole group are ignored and named."""
    delta = group_created({"displayName": "Crew", "Password": "s3cret", "roles": ["admin"], "urn:x:!": {"a": 1}})

    assert delta == GroupDelta("Crew", ignored=("password", "roles", "urn:x:!"), document={})


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_body_that_is_no_object(body: object) -> None:
    """Anything but an object is invalid syntax, for every verb."""
    for read in (group_created, group_replaced, group_patched):
        with pytest.raises(ScimError) as refused:
            read(body)
        assert refused.value.scim_type == "invalidSyntax"


def test_fifty_thousand_members_in_one_request() -> None:
    """C5: many members are one step; more than 100,000 in one request are refused, also over several operations."""
    ids = [str(number) for number in range(50_000)]

    assert steps(operation("add", "members", value=ids)) == (AddMembers(tuple(ids)),)
    too_many = [operation("add", "members", value=ids)] * 2 + [operation("remove", "members", value="x")]
    assert refusal(*too_many).status == 413


def test_a_thousand_removals_by_path() -> None:
    """As many removals as there may be operations are one step; filters that cost more are bounded."""
    simple = [operation("remove", f'members[value eq "{number}"]') for number in range(MAX_OPERATIONS)]
    costly = [operation("remove", f'members[(value eq "{number}")]') for number in range(MAX_OPERATIONS)]

    assert steps(*simple) == (RemoveMembers(tuple(str(number) for number in range(MAX_OPERATIONS))),)
    assert refusal(*costly).status == 413
    assert refusal(*simple, simple[0]).status == 413


def test_members_of_an_extension_are_no_members() -> None:
    """M4: what a URN leads is kept apart, also if it is called as something of a group is."""
    urn = "urn:x:y:2.0:Group"
    delta = group_patched(patch(operation("replace", f"{urn}:members", value=[]), operation("remove", urn)))

    assert (delta.steps, delta.ignored) == ((), ())
    assert delta.extensions == (
        Operation(Verb.REPLACE, f"{urn}:members", []),
        Operation(Verb.REMOVE, urn, MISSING),
    )
    many = [operation("add", value={f"{urn}:a{number}-{part}": 1 for part in range(2)}) for number in range(501)]
    assert refusal(*many).status == 413


def test_alternating_changes_are_bounded() -> None:
    """H4: each step is a set of statements in one transaction; 50 of them, joined where they are in a row."""
    turn = [operation("add", "members", value="a"), operation("remove", "members", value="a")]
    half = group_changes.MAX_STEPS // 2

    assert len(steps(*turn * half)) == group_changes.MAX_STEPS
    assert steps(*[operation("remove", "members")] * MAX_OPERATIONS) == (ClearMembers(),)
    assert steps(*turn * half, turn[1], turn[1])[-1] == RemoveMembers(("a",))
    for more in (turn[0], operation("remove", "members"), operation("replace", "members", value=["a"])):
        assert refusal(*turn * half, more).status == 413


def test_limits_are_what_the_documentation_says() -> None:
    """Ids have at most 128 characters and names 256."""
    longest = "x" * member_ids.MAX_ID

    assert steps(operation("add", "members", value=longest)) == (AddMembers((longest,)),)
    assert group_created({"displayName": "x" * group_changes.MAX_NAME}).display_name == "x" * 256
