"""Whatever JSON comes, it makes a document that can be kept, or a refusal, and never anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.scim.attributes import COMMON, ENTERPRISE, ENTERPRISE_SCHEMA, USER
from server.http.scim.bodies.documents import USER_SCHEMA, replaced_user, user_document
from server.http.scim.bodies.group_changes import group_created, group_patched, group_replaced
from server.http.scim.bodies.patching import patched_user
from server.http.scim.errors import ScimError

SECRET = "s3cret-s3cret"
PRESENT = {"userName": "a", "active": False, "emails": [{"value": "x", "type": "work"}], ENTERPRISE: {"division": "d"}}
CUSTOM = "urn:x:custom:2.0:User"

attributes = [*(each.name for each in USER_SCHEMA), *(each.name for each in ENTERPRISE_SCHEMA)]
odd_names = [
    "",
    "password",
    " PassWord",
    "urn:",
    CUSTOM,
    f"{CUSTOM}:tag",
    f"{CUSTOM}:password",
    ENTERPRISE,
    USER,
    "a[",
    "\0",
]
names = st.one_of(
    st.sampled_from([*attributes, *(each.name for each in COMMON.values()), *odd_names]),
    st.sampled_from(attributes).map(str.upper),
    st.builds("{}.{}".format, st.sampled_from(attributes), st.sampled_from(["value", "type", "password", "givenName"])),
    st.builds('{}[{} {} "{}"].{}'.format, *(st.sampled_from(each) for each in (
        ["emails", "roles", "addresses", "name", "members"], ["type", "primary", "value"], ["eq", "ne", "gt"],
        ["work", "True", "x"], ["value", "primary", "country"],
    ))),
)  # fmt: skip
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["True", "", "x", "\ud800"]),
)
json_values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names | st.sampled_from(["value", "type", "primary", "display"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def with_secret(value: Any) -> Any:
    """The same with every password a secret that can be looked for."""
    if isinstance(value, dict):
        return {
            key: SECRET if key.strip().lower().endswith("password") else with_secret(each)
            for key, each in value.items()
        }
    return [with_secret(each) for each in value] if isinstance(value, list) else value


bodies = st.dictionaries(names, json_values, max_size=5).map(with_secret)
operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "Replace", "REMOVE"])},
        optional={"path": names, "value": json_values.map(with_secret)},
    ),
    min_size=1,
    max_size=4,
)


def is_without_empty(value: Any) -> bool:
    """Whether there is no null, no empty list and no empty object anywhere in a value."""
    if isinstance(value, (dict, list)):
        return bool(value) and all(
            is_without_empty(each) for each in (value.values() if isinstance(value, dict) else value)
        )
    return value is not None


def check(document: dict[str, Any], ignored: tuple[str, ...]) -> None:
    """Hold a document against what all documents are."""
    text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert isinstance(document["userName"], str)
    assert isinstance(document["active"], bool)
    assert not {"id", "meta", "schemas", "groups", "password"} & document.keys()
    assert is_without_empty(document)
    assert SECRET not in text
    assert SECRET not in "".join(ignored)
    assert user_document(document) == (document, ())


def outcome(read: Callable[..., Any], *arguments: Any) -> Any:
    """What reading gives: a result, or the status of the refusal."""
    try:
        return read(*arguments)
    except ScimError as error:
        return error.status


@given(bodies)
def test_whole_users(body: dict[str, Any]) -> None:
    """Any body of a POST or a PUT is refused or makes a document that is its own document."""
    body = {"userName": "a", **{key: value for key, value in body.items() if key.lower() != "username"}}
    created, replaced = outcome(user_document, body), outcome(replaced_user, PRESENT, body)

    assert (created == 400) == (replaced == 400)
    if created != 400:
        check(*created)
        check(*replaced)


@given(operations)
def test_patches(changes: list[dict[str, Any]]) -> None:
    """Any PATCH is refused or makes a document; nothing but a boolean that says so makes a user active."""
    before = json.dumps(PRESENT)
    for change in changes:  # a path that names a password has a secret as its value
        if "password" in change.get("path", "").lower():
            change["value"] = SECRET
    patched = outcome(patched_user, PRESENT, {"Operations": changes})

    assert json.dumps(PRESENT) == before
    if patched != 400:
        check(*patched)
        assert patched[0]["active"] is False or "true" in json.dumps(changes).lower()


@given(bodies, operations)
def test_groups(body: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    """Any body of a group is refused or makes a delta of proper ids."""
    for read, sent in ((group_created, body), (group_replaced, body), (group_patched, {"Operations": changes})):
        delta = outcome(read, sent)

        if delta != 400:
            ids = [each for step in delta.steps for each in getattr(step, "ids", ())]
            assert all(isinstance(each, str) and 0 < len(each) <= 128 for each in ids)
            assert delta.display_name is None or delta.display_name.strip()


@pytest.mark.parametrize("depth", [100, 900])
def test_deep_nesting(depth: int) -> None:
    """What nests deep is refused where it would be kept and ignored where it would not, and exhausts no stack."""
    value: Any = "leaf"
    for _ in range(depth):
        value = {"a": [value]}
    user = {"userName": "a", "active": True}

    for name in (CUSTOM, "title", f"{CUSTOM}:tag", ENTERPRISE + ":department"):
        assert outcome(user_document, {**user, name: value}) == 400
        assert outcome(patched_user, user, {"Operations": [{"op": "add", "path": name, "value": value}]}) == 400
        assert outcome(patched_user, user, {"Operations": [{"op": "add", "value": {name: value}}]}) == 400
    for name, ignored in {"emails": "emails.a", "manager": "manager.a", "other": "other"}.items():
        assert user_document({**user, name: value}) == (user, (ignored,))
