"""Groups as a client sees them: their extensions, and lists that are too long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from server.http.scim import groups
from server.http.scim.attributes import GROUP
from server.http.scim.requests import ScimAnswer, ScimRequest
from server.http.scim.service import ScimService
from server.http.scim.site import ProviderSite
from storage.database.changes import Applied, Change
from storage.database.scim_changes import AddMembers
from storage.database.store import Store
from tests.support.moving_site import PROVIDER, ask
from tests.support.scim_patches import add, pathless, remove, replace
from tests.support.scim_patches import patch as patch_of
from tests.support.scim_rows import group_said, join_many, make_scim_group, regroup

URN = "urn:ietf:params:scim:schemas:extension:contoso:2.0:Group"
OTHER = "urn:ietf:params:scim:schemas:extension:other:2.0:Group"
ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
EXTENSION = {"costCenter": "4711", "Nested": {"deep": [1, 2.5, True, {"x": "y"}]}}
PATCH_B = json.dumps(patch_of(replace(f"{URN}:b", 3))).encode()


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """Give the texts of the statements that run inside."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        found.append(statement)

    event.listen(store._database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(store._database.engine, "before_cursor_execute", note)


def make(store: Store, **more: Any) -> ScimAnswer:
    said = {"schemas": [GROUP, ADSCIM], "displayName": "Crew", "externalId": "g-1", **more}
    answer = ask(store, "POST", "/Groups", said)
    assert answer.status == 201, answer.body
    return answer


def seen(store: Store, group_id: str) -> dict[str, Any]:
    return ask(store, "GET", f"/Groups/{group_id}").body or {}


def patch(store: Store, group_id: str, *operations: dict[str, Any]) -> ScimAnswer:
    return ask(store, "PATCH", f"/Groups/{group_id}", patch_of(*operations))


def made_with(store: Store, **more: Any) -> str:
    return str((make(store, **more).body or {})["id"])


def test_extensions_are_kept_as_they_were_sent(store: Store) -> None:
    """M4: by POST and PUT, in the answer, in a list, by filter and by projection; ``schemas`` lists them."""
    made = make(store, **{URN: EXTENSION, f"{OTHER}:tag": "t", ADSCIM: {"a": 1}}).body or {}
    listed = ask(store, "GET", "/Groups", query=f'filter={URN}:costCenter eq "4711"').body or {}
    chosen = ask(store, "GET", f"/Groups/{made['id']}", query=f"attributes={URN}:costCenter").body or {}
    put = ask(store, "PUT", f"/Groups/{made['id']}", {"displayName": "Crew", OTHER: {"tag": "u"}}).body or {}

    assert (made[URN], made[OTHER]) == (EXTENSION, {"tag": "t"})
    assert (made["schemas"], made["displayName"]) == ([GROUP, URN, OTHER], "Crew")
    assert [each["id"] for each in listed["Resources"]] == [made["id"]]
    assert chosen[URN] == {"costCenter": "4711"}
    assert (put["schemas"], put[OTHER], put["externalId"]) == ([GROUP, OTHER], {"tag": "u"}, "g-1")
    assert seen(store, made["id"]) == put


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (add(f"{URN}:costCenter", "0815"), {URN: EXTENSION | {"costCenter": "0815"}}),
        (replace(f"{URN.upper()}:COSTCENTER", "0815"), {URN: EXTENSION | {"costCenter": "0815"}}),
        (replace(f"{URN}:costCenter", True), {URN: EXTENSION | {"costCenter": True}}),
        (remove(f"{URN}:costCenter"), {URN: {"Nested": EXTENSION["Nested"]}}),
        (add(f"{URN}:Nested.more", 1), {URN: EXTENSION | {"Nested": {"deep": [1, 2.5, True, {"x": "y"}], "more": 1}}}),
        (remove(URN), {}),
        (add(OTHER, {"tag": "t"}), {URN: EXTENSION, OTHER: {"tag": "t"}}),
        (add(f"{OTHER}:tag", "t"), {URN: EXTENSION, OTHER: {"tag": "t"}}),
        (pathless(**{f"{URN}:costCenter": "0815"}), {URN: EXTENSION | {"costCenter": "0815"}}),
        (pathless(**{f"{URN}:costCenter": None}), {URN: {"Nested": EXTENSION["Nested"]}}),
        (pathless(**{URN: {"costCenter": None}}), {URN: {"Nested": EXTENSION["Nested"]}}),
    ],
)
def test_extensions_are_patched(sqlite_store: Store, operation: dict[str, Any], expected: dict[str, Any]) -> None:
    """M4: as those of users are; the same words again are no new version and no event."""
    group = made_with(sqlite_store, **{URN: EXTENSION})
    answer = patch(sqlite_store, group, operation)
    once, last = group_said(sqlite_store, group), sqlite_store.audit.tail(limit=1)[0]
    again = patch(sqlite_store, group, operation)

    assert (answer.status, once.document, once.version) == (204, expected, 2)
    assert (last.kind, last.detail or {}) == ("group.updated", last.detail or {} | {"extensions": [URN]})
    assert (again.status, group_said(sqlite_store, group)) == (204, once)
    assert sqlite_store.audit.tail(limit=1)[0].outcome == "unchanged"
    assert seen(sqlite_store, group)["schemas"] == [GROUP, *sorted(expected)]


def test_a_one_is_not_true(store: Store) -> None:
    """Python takes them for the same, and a client does not; what is the same is no change, also by PUT."""
    group = made_with(store, **{URN: {"flag": 1}})
    patch(store, group, replace(f"{URN}:flag", True))
    ask(store, "PUT", f"/Groups/{group}", {"displayName": "Crew", URN: {"flag": True}})

    said = group_said(store, group)
    assert (said.document[URN]["flag"] is True, said.version) == (True, 2)


def test_passwords_never_survive(sqlite_store: Store) -> None:
    """M4: neither below an extension nor led by one, by no verb; they are named as ignored."""
    secret = {"costCenter": "1", "Password": "s3cret", "in": {"password": "s3cret", "kept": 1}}
    group = made_with(sqlite_store, **{URN: secret, f"{OTHER}:password": "s3cret"})
    after = [group_said(sqlite_store, group).document]
    told = [
        patch(
            sqlite_store, group, add(URN, secret), add(f"{URN}:Password", "s3cret"), add(f"{URN}:x.password", "s3cret")
        ),
        patch(sqlite_store, group, pathless(**{f"{OTHER}:password": "s3cret", OTHER: {"password": "s3cret"}})),
        ask(sqlite_store, "PUT", f"/Groups/{group}", {"displayName": "Crew", URN: secret}),
    ]
    after.append(group_said(sqlite_store, group).document)

    assert after == [{URN: {"costCenter": "1", "in": {"kept": 1}}}] * 2
    assert [answer.changed["ignored"] for answer in told] == [["password"]] * 3


@pytest.mark.parametrize(
    "extensions",
    [
        {f"urn:x:y{number}": {"a": 1} for number in range(100)},
        {URN: {"a": "x" * 65 * 1024}},
        {URN: {"a": [1] * 1001}},
        {URN: {"a": "\0"}},
        {URN: {"a": 1}, URN.upper(): {"a": 2}},
    ],
)
def test_extensions_have_the_limits_of_users(sqlite_store: Store, extensions: dict[str, Any]) -> None:
    """By every verb; the group stays as it is."""
    group = made_with(sqlite_store)
    answers = [
        ask(sqlite_store, "POST", "/Groups", {"displayName": "More", **extensions}),
        ask(sqlite_store, "PUT", f"/Groups/{group}", {"displayName": "More", **extensions}),
        patch(sqlite_store, group, replace("displayName", "More"), pathless(**extensions)),
    ]

    assert [answer.status for answer in answers] == [400] * 3
    assert (group_said(sqlite_store, group).display_name, group_said(sqlite_store, group).document) == ("Crew", {})


def test_a_patch_of_extensions_reads_no_members(store: Store) -> None:
    """M4: neither does one of members read those whom it does not name, nor change the extensions."""
    ids = join_many(store, 3)
    group = made_with(store, members=[{"value": one} for one in ids[:2]], **{URN: EXTENSION})
    with statements(store) as found:
        patch(store, group, replace(f"{URN}:costCenter", "1"), add("members", ids[2]))

    reads = [text.partition("WHERE")[2] for text in found if "SELECT" in text and "memberships" in text]
    assert [text for text in reads if "memberships.user_id" not in text] == []
    assert group_said(store, group).document == {URN: EXTENSION | {"costCenter": "1"}}
    assert len(seen(store, group)["members"]) == 3


def interrupted(monkeypatch: pytest.MonkeyPatch, store: Store, group: str, operation: dict[str, Any]) -> None:
    """Let another client of the provider be faster than the next change, once."""
    apply = ProviderSite.apply

    def slow(site: ProviderSite, change: Change) -> Applied:
        monkeypatch.setattr(ProviderSite, "apply", apply)
        assert patch(store, group, operation).status == 204
        return apply(site, change)

    monkeypatch.setattr(ProviderSite, "apply", slow)


def test_two_writers_of_extensions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """M4: the slower one's words go on top of the faster one's; with If-Match they are refused."""
    group = made_with(store, **{URN: {"a": 1, "b": 1}})
    interrupted(monkeypatch, store, group, replace(f"{URN}:a", 2))
    first = patch(store, group, replace(f"{URN}:b", 2))
    both = group_said(store, group)
    interrupted(monkeypatch, store, group, replace(f"{URN}:a", 3))
    given = ScimRequest("PATCH", f"/Groups/{group}", "", {"if-match": 'W/"3"'}, PATCH_B)
    second = ScimService(store, "entra", PROVIDER, "https://h").answer(given)

    assert (first.status, both.document, both.version) == (204, {URN: {"a": 2, "b": 2}}, 3)
    assert (second.status, group_said(store, group).document) == (412, {URN: {"a": 3, "b": 2}})


def test_members_go_by_no_version(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delta of members holds whatever else was changed: it is made once, and leaves the extensions alone."""
    (ann,) = join_many(store, 1)
    group = made_with(store, **{URN: {"a": 1}})
    interrupted(monkeypatch, store, group, replace(f"{URN}:a", 2))
    with statements(store) as found:
        answer = patch(store, group, add("members", ann))

    assert (answer.status, group_said(store, group).document) == (204, {URN: {"a": 2}})
    assert len([text for text in found if text.startswith("INSERT INTO memberships")]) == 1


def test_an_empty_external_id_leaves_the_present_one(store: Store) -> None:
    """Roles are mapped by it. A new one takes its place."""
    group = made_with(store)
    kept = []
    patch(store, group, replace("externalId", ""))
    kept.append(group_said(store, group).external_id)
    kept.append(
        (ask(store, "PUT", f"/Groups/{group}", {"displayName": "Crew", "externalId": ""}).body or {})["externalId"]
    )
    version = group_said(store, group).version
    patch(store, group, replace("externalId", "g-2"))

    assert (kept, version) == (["g-1"] * 2, 1)
    assert group_said(store, group).external_id == "g-2"


def test_a_lost_value_empties_no_group(store: Store) -> None:
    """M3: null is refused, and the members stay."""
    ids = join_many(store, 2)
    group = made_with(store, members=[{"value": one} for one in ids])
    answer = patch(store, group, {"op": "Remove", "path": "members", "value": None})

    assert (answer.status, (answer.body or {})["scimType"]) == (400, "invalidValue")
    assert len(store.scim_groups.members(group)) == 2


def test_lists_with_too_many_members(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """M1: counted before any is read; without members, or fewer at a time, the client gets its list."""
    monkeypatch.setattr(groups, "MAX_LISTED", 4)
    ids = join_many(store, 3)
    many = [make_scim_group(store, f"Group {number}", *ids[:2]) for number in range(3)]
    with statements(store) as found:
        refused = [ask(store, "GET", "/Groups"), ask(store, "GET", "/Groups", query='filter=displayName sw "Group"')]
    search = ask(store, "POST", "/Groups/.search", {"schemas": []})
    without = ask(store, "GET", "/Groups", query="excludedAttributes=members").body or {}
    parts = [ask(store, "GET", "/Groups", query=f"count=2&startIndex={start}").body or {} for start in (1, 3)]
    regroup(store, many[0], AddMembers((ids[2],)))

    for answer in (*refused, search, ask(store, "GET", "/Groups", query="count=2")):
        assert (answer.status, (answer.body or {}).get("scimType")) == (400, "tooMany"), answer.body
        assert "excludedAttributes=members" in (answer.body or {})["detail"]
    assert [text for text in found if "JOIN memberships" in text] == []
    assert len([text for text in found if "memberships" in text]) == 2
    assert len(without["Resources"]) == 3
    assert [len(part["Resources"]) for part in parts] == [2, 1]
    assert store.scim_groups.member_count(many, up_to=100) == 7
    assert (store.scim_groups.member_count(many, up_to=5), store.scim_groups.member_count([], up_to=5)) == (5, 0)
