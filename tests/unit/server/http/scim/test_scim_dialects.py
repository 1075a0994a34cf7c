"""C7: whatever dialect an identity provider speaks, the same changes make the same user and the same members.

A change is written in three ways: as Entra does by default, as Entra does with ``aadOptscim062020``, and as Okta does
by putting the whole user. What should come of it is told by a model that knows nothing of the code under test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from server.http.scim.bodies.documents import replaced_user, user_document
from server.http.scim.bodies.group_changes import (
    AddMembers,
    ClearMembers,
    GroupDelta,
    RemoveMembers,
    ReplaceMembers,
    group_patched,
    group_replaced,
)
from server.http.scim.bodies.patching import patched_user

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CUSTOM = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

Body: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Set:
    """An attribute that has one value is set, or removed by None. ``path`` is as Entra writes it."""

    path: str
    value: Any


@dataclass(frozen=True)
class SetEntry:
    """One part of the entry of a type is set, or removed by None."""

    attribute: str
    type: str
    part: str
    value: str | None

    @property
    def path(self) -> str:
        return f'{self.attribute}[type eq "{self.type}"].{self.part}'


@dataclass(frozen=True)
class SetRole:
    """The primary role is set, or removed by None."""

    value: str | None


@dataclass(frozen=True)
class AddRole:
    """A role is added if the user does not have it yet."""

    value: str


Change: TypeAlias = Set | SetEntry | SetRole | AddRole


@dataclass
class Model:
    """What a user should be: plain dictionaries, changed one at a time."""

    single: dict[str, Any] = field(default_factory=lambda: {"userName": "a@b.test", "active": True})
    entries: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)  # by attribute, then by type
    roles: list[tuple[str, bool]] = field(default_factory=list)

    def take(self, change: Change) -> None:
        match change:
            case Set(path=path, value=value):
                self.single[path] = value
            case SetEntry():
                parts = self.entries.setdefault(change.attribute, {}).setdefault(change.type, {})
                if change.value is None:
                    parts.pop(change.part, None)
                else:
                    parts[change.part] = change.value
            case SetRole(value=value):
                self.roles = [(name, primary) for name, primary in self.roles if not primary]
                if value is not None:
                    self.roles.append((value, True))
            case AddRole(value=value):
                if all(name != value for name, _ in self.roles):
                    self.roles.append((value, False))

    def whole(self) -> Body:
        """The user as Okta would put it."""
        body: Body = {}
        for path, value in self.single.items():
            if value is not None:
                urn, _, name = path.rpartition(":")
                container = body.setdefault(urn, {}) if urn else body
                outer, _, inner = name.partition(".")
                if inner:
                    container.setdefault(outer, {})[inner] = value
                else:
                    container[outer] = {"value": value} if outer == "manager" else value
        for attribute, by_type in self.entries.items():
            filled = [{"type": kind, **parts} for kind, parts in by_type.items() if parts]
            if filled:
                body[attribute] = filled
        if self.roles:
            body["roles"] = [{"value": name, **({"primary": True} if primary else {})} for name, primary in self.roles]
        return body


def by_default(changes: Iterable[Change]) -> Body:
    """As Entra sends them: an operation for each, capitals, booleans as texts, Add meaning replace."""
    operations: list[Body] = []
    for number, change in enumerate(changes):
        verb = "Add" if number % 2 else "Replace"
        match change:
            case AddRole(value=value):
                operations.append({"op": "Add", "path": "roles", "value": [{"value": value}]})
            case SetRole(value=None):
                operations.append({"op": "Remove", "path": 'roles[primary eq "True"]'})
            case SetRole(value=value):
                operations.append({"op": "Add", "path": 'roles[primary eq "True"].value', "value": value})
            case Set(value=None) | SetEntry(value=None):
                operations.append({"op": "Remove", "path": change.path})
            case Set(path="active", value=value):
                operations.append({"op": verb, "path": "active", "value": str(value)})
            case Set(path=path, value=value) if path.endswith("manager"):
                listed = [{"$ref": f"https://files.test/scim/v2/Users/{value}", "value": value}]
                operations.append({"op": verb, "path": "manager", "value": listed})
            case _:
                operations.append({"op": verb, "path": change.path, "value": change.value})
    return {"schemas": [PATCH], "Operations": operations}


def compliantly(changes: Iterable[Change]) -> Body:
    """As Entra sends them with the flag: lower case, real booleans, what can be is folded into one without a path."""
    operations: list[Body] = []

    def fold(key: str, value: Any) -> None:
        if not operations or "path" in operations[-1]:
            operations.append({"op": "replace", "value": {}})
        operations[-1]["value"][key] = value

    for change in changes:
        match change:
            case AddRole(value=value):
                operations.append({"op": "add", "path": "roles", "value": [{"value": value}]})
            case SetRole(value=None):
                operations.append({"op": "remove", "path": "roles[primary eq true]"})
            case SetRole(value=value):
                operations.append({"op": "add", "path": "roles[primary eq true].value", "value": value})
            case Set(value=None) | SetEntry(value=None):
                operations.append({"op": "remove", "path": change.path})
            case SetEntry(attribute="emails"):
                operations.append({"op": "replace", "path": change.path, "value": change.value})
            case _:
                fold(change.path, change.value)
    return {"schemas": [PATCH], "operations": operations}


def by_put(model: Model) -> Body:
    """As Okta sends it: everything that the user has, and what it got from the server."""
    return {"schemas": [CORE], "id": "u-1", "meta": {"resourceType": "User"}, "groups": [], **model.whole()}


def unordered(document: Body) -> str:
    """The document's text with its lists in an order that does not depend on when an entry came."""

    def in_order(value: Any) -> Any:
        return sorted(value, key=lambda entry: json.dumps(entry, sort_keys=True)) if isinstance(value, list) else value

    return json.dumps({name: in_order(value) for name, value in document.items()}, sort_keys=True)


texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
values = st.none() | texts
role_names = st.sampled_from(["Admin", "Reader", "Guest"])
changes = st.one_of(
    st.builds(
        Set,
        st.sampled_from(
            [
                "displayName",
                "title",
                "externalId",
                "preferredLanguage",
                "name.givenName",
                "name.familyName",
                "name.formatted",
                f"{ENTERPRISE}:department",
                f"{ENTERPRISE}:costCenter",
                f"{ENTERPRISE}:manager",
            ]
        ),
        values,
    ),
    st.builds(Set, st.just(f"{ENTERPRISE}:employeeNumber"), st.from_regex(r"[0-9]{1,8}", fullmatch=True)),
    st.builds(Set, st.just("userName"), st.from_regex(r"[a-zA-Z]{1,8}@b\.test", fullmatch=True)),
    st.builds(Set, st.just("active"), st.booleans()),
    st.builds(Set, st.sampled_from([f"{CUSTOM}:tag", f"{CUSTOM}:level"]), values | st.integers(0, 9) | st.booleans()),
    st.builds(SetEntry, st.just("emails"), st.sampled_from(["work", "other"]), st.just("value"), values),
    st.builds(SetEntry, st.just("phoneNumbers"), st.sampled_from(["work", "mobile", "fax"]), st.just("value"), values),
    st.builds(
        SetEntry,
        st.just("addresses"),
        st.sampled_from(["work", "other"]),
        st.sampled_from(["formatted", "streetAddress", "locality", "country"]),
        values,
    ),
    st.builds(SetRole, st.none() | role_names),
    st.builds(AddRole, role_names),
)
requests = st.lists(st.lists(changes, min_size=1, max_size=6), min_size=1, max_size=4)


@given(requests)
def test_dialects_make_the_same_user(batches: list[list[Change]]) -> None:
    """Both of Entra's dialects make the same text, and with Okta's they all make what the model says."""
    model = Model()
    default, _ = user_document(model.whole())
    compliant = put = default
    for batch in batches:
        for change in batch:
            model.take(change)
        default, default_ignored = patched_user(default, by_default(batch))
        compliant, compliant_ignored = patched_user(compliant, compliantly(batch))
        put, _ = replaced_user(put, by_put(model))

        assert json.dumps(default) == json.dumps(compliant)
        assert default_ignored == compliant_ignored == ()
        assert unordered(put) == unordered(default) == unordered(model.whole())


@given(requests, changes)
def test_a_replayed_change_changes_nothing(batches: list[list[Change]], last: Change) -> None:
    """C14: a change that comes twice, in the same dialect or another, is there once."""
    document, _ = user_document({"userName": "a@b.test"})
    for batch in batches:
        document, _ = patched_user(document, by_default(batch))
    once, _ = patched_user(document, by_default([last]))

    for write in (by_default, compliantly):
        assert json.dumps(patched_user(once, write([last]))[0]) == json.dumps(once)


@given(requests)
def test_a_created_user_is_the_same_as_a_changed_one(batches: list[list[Change]]) -> None:
    """A user who is created as the model says is the one who came to be so by changes."""
    model = Model()
    changed, _ = user_document(model.whole())
    for batch in batches:
        for change in batch:
            model.take(change)
        changed, _ = patched_user(changed, compliantly(batch))
    created, _ = user_document(by_put(model))

    assert unordered(created) == unordered(changed)


@dataclass(frozen=True)
class Join:
    ids: list[str]


@dataclass(frozen=True)
class Leave:
    ids: list[str]


@dataclass(frozen=True)
class Become:
    ids: list[str]


MemberChange: TypeAlias = Join | Leave | Become

ids = st.lists(st.sampled_from(["a", "b", "c", 'd"\\', "é"]), max_size=4)
member_changes = st.lists(st.one_of(st.builds(Join, ids), st.builds(Leave, ids), st.builds(Become, ids)), max_size=6)


def members_by_default(changes_: Iterable[MemberChange]) -> list[Body]:
    """As Entra sends them: a removal names members in its value."""
    written = []
    for change in changes_:
        verb = {Join: "Add", Leave: "Remove", Become: "Replace"}[type(change)]
        value = [{"$ref": None, "value": member} for member in change.ids]
        written.append({"op": verb, "path": "members", "value": value})
    return written


def members_compliantly(changes_: Iterable[MemberChange]) -> list[Body]:
    """As Entra sends them with the flag, and Okta: a removal has a path for each member."""
    written: list[Body] = []
    for change in changes_:
        match change:
            case Leave(ids=gone):
                paths = [f"members[value eq {json.dumps(member)}]" for member in gone]
                written.extend({"op": "remove", "path": path} for path in paths)
            case Join(ids=given_ids):
                written.append({"op": "add", "path": "members", "value": [{"value": each} for each in given_ids]})
            case Become(ids=given_ids):
                written.append({"op": "replace", "value": {"members": [{"value": each} for each in given_ids]}})
    return written


def members_joined(changes_: Iterable[MemberChange]) -> list[Body]:
    """With one path for all members who leave, and values that are one object or a bare id."""
    written: list[Body] = []
    for change in changes_:
        match change:
            case Leave(ids=[]):
                pass
            case Leave(ids=gone):
                compared = " or ".join(f"value eq {json.dumps(member)}" for member in gone)
                written.append({"op": "remove", "path": f"members[{compared}]"})
            case Join(ids=[one]):
                written.append({"op": "add", "path": "members", "value": one})
            case Become(ids=[one]):
                written.append({"op": "replace", "path": "members", "value": {"value": one}})
            case Join(ids=given_ids) | Become(ids=given_ids):
                verb = "add" if isinstance(change, Join) else "replace"
                written.append({"op": verb, "path": "members", "value": given_ids})
    return written


def applied(members: set[str], delta: GroupDelta) -> set[str]:
    """The members after a delta."""
    for step in delta.steps:
        match step:
            case AddMembers(ids=added):
                members = members | set(added)
            case RemoveMembers(ids=removed):
                members = members - set(removed)
            case ReplaceMembers(ids=replaced):
                members = set(replaced)
            case ClearMembers():
                members = set()
    return members


@given(ids, member_changes)
def test_dialects_make_the_same_members(start: list[str], batch: list[MemberChange]) -> None:
    """C8: a removal in any dialect removes those whom it names, and the deltas are the same."""
    expected = set(start)
    for change in batch:
        match change:
            case Join(ids=joined):
                expected |= set(joined)
            case Leave(ids=gone):
                expected -= set(gone)
            case Become(ids=become):
                expected = set(become)
    writers: list[Callable[[Iterable[MemberChange]], list[Body]]] = [
        members_by_default,
        members_compliantly,
        members_joined,
    ]
    named = {"op": "replace", "path": "displayName", "value": "Crew"}  # a request needs one operation
    deltas = [group_patched({"Operations": [named, *write(batch)]}) for write in writers]
    put = group_replaced({"displayName": "Crew", "members": sorted(expected)})

    assert deltas == [deltas[0]] * 3
    assert applied(set(start), deltas[0]) == expected == applied(set(start), put)
    assert applied(applied(set(start), put), put) == expected
