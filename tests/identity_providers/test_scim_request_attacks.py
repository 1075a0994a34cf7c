"""The attacks on a SCIM endpoint that docs and incidents know, over HTTPS against two workers: hostile requests.

The numbers C4 to C14 are those of the project's list of attacks; the others are in test_scim_account_attacks.py.
"""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from storage.database.changes import AddMember
from storage.database.records import Status
from tests.support.scim_checks import fresh, refused, row
from tests.support.scim_client import ScimHttp, issue_token
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system

QUICK_S = 5.0  # far from what parsing such a thing would take, and far from a loaded machine's delays


# C4 ------------------------------------------------------------------------------------------------


HOSTILE_FILTERS = {
    "nested 5000 deep": "(" * 5000 + "userName pr" + ")" * 5000,
    "not nested 500 deep": "not (" * 500 + "userName pr" + ")" * 500,
    "fifty thousand letters": 'userName eq "' + "x" * 50_000 + '"',
    "500 ors": " or ".join(['userName eq "x"'] * 500),
    "no end": 'userName eq "x',
    "a bare regular expression": "userName eq (a+)+$",
    "an operator that is none": 'userName matches "(a+)+$"',
    "nul": 'userName eq "\\u0000"',
    "sql": "userName eq \"x' OR '1'='1\" or 1 eq 1",
    "empty brackets": "emails[] eq 1",
}


@pytest.mark.parametrize("name", HOSTILE_FILTERS)
def test_c4_hostile_filters(name: str, entra: ScimHttp) -> None:
    """400 invalidFilter, soon, by GET and by .search."""
    started = time.monotonic()
    by_search = entra.send("POST", "/Users/.search", {"filter": HOSTILE_FILTERS[name]})
    by_get = entra.find(HOSTILE_FILTERS[name][:8000]) if len(HOSTILE_FILTERS[name]) < 8000 else by_search

    assert time.monotonic() - started < QUICK_S
    refused(by_search, 400, "invalidFilter")
    refused(by_get, 400, "invalidFilter")


def test_c4_a_value_is_a_value(entra: ScimHttp) -> None:
    """What looks like SQL or a pattern inside of a string finds nobody."""
    texts = ["' OR 1=1 --", "%", "_", "*", "(a+)+$", 'x\\" or userName pr or userName eq \\"y']

    assert [entra.find(f'userName eq "{text}"').body["totalResults"] for text in texts] == [0] * len(texts)


def test_c4_a_huge_filter_in_a_body(entra: ScimHttp) -> None:
    """What fits into a body is refused before it is parsed, and a megabyte does not fit."""
    large = entra.send("POST", "/.search", {"filter": 'userName eq "' + "x" * 200_000 + '"'})
    huge = entra.send("POST", "/.search", {"filter": 'userName eq "' + "x" * 1_000_000 + '"'})

    refused(large, 400, "invalidFilter")
    refused(huge, 413)


# C5 ------------------------------------------------------------------------------------------------


def test_c5_too_many_operations(entra: ScimHttp) -> None:
    """Ten thousand operations in one PATCH are refused, and nothing is changed."""
    known = entra.create(fresh()).id
    operation = {"op": "replace", "path": "title", "value": "x"}
    answer = entra.patch(f"/Users/{known}", *[operation] * 10_000)

    refused(answer, 413)
    assert "title" not in entra.send("GET", f"/Users/{known}").body


def test_c5_a_body_without_end(entra: ScimHttp) -> None:
    """Ten megabytes are refused."""
    answer = entra.send("POST", "/Users", raw=b'{"userName": "' + b"x" * (10 << 20) + b'"}')

    refused(answer, 413)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"userName": NaN}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"userName": "a", "userName": "b"}',
        b'{"userName": "a", "active": true, "active": false}',
        b"\xff\xfe{",
        b'{"userName": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_c5_bodies_that_are_none(raw: bytes, entra: ScimHttp) -> None:
    """Broken, nested, doubled or numberless JSON is 400, and the connection goes on."""
    answer = entra.send("POST", "/Users", raw=raw)

    assert answer.status == 400
    assert answer.body["scimType"] in {"invalidSyntax", "invalidValue"}
    assert entra.send("GET", "/ServiceProviderConfig").status == 200


def test_c5_a_group_of_many(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """A PATCH that names members who are none is refused whole; 2,000 who are take one request."""
    ids = [entra.create(fresh()).id for _ in range(40)]
    group = entra.send("POST", "/Groups", {"displayName": fresh("group")}).id
    unknown = [{"value": uuid.uuid4().hex} for _ in range(2000)]
    bad = entra.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": ids[0]}, *unknown]})
    good = entra.patch(
        f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": one} for one in ids] * 50}
    )

    refused(bad, 400, "invalidValue")
    assert good.status == 204
    assert len(scim_server.store.scim_groups.members(group)) == 40


# C6 ------------------------------------------------------------------------------------------------


def test_c6_members_who_are_none(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """A local user, an unknown id, a group, the group itself: 400, and the members stay as they were."""
    local = scim_server.add_user("local-member", password="right horse battery").id
    person = entra.create(fresh()).id
    group = entra.send("POST", "/Groups", {"displayName": fresh("group"), "members": [{"value": person}]}).id
    other = entra.send("POST", "/Groups", {"displayName": fresh("group")}).id
    bad = [{"value": local}, {"value": "nobody"}, {"value": other, "type": "Group"}, {"value": group}, {"value": other}]
    answers = [
        entra.patch(f"/Groups/{group}", {"op": op, "path": "members", "value": [member]})
        for member in bad
        for op in ("add", "replace")
    ]

    for answer in answers:
        refused(answer, 400, "invalidValue")
    assert [member for member, _ in scim_server.store.scim_groups.members(group)] == [person]
    assert scim_server.store.users.groups_of(local) == []


# C8 ------------------------------------------------------------------------------------------------


def test_c8_a_legacy_remove_removes_the_named(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """Entra's old form names whom it means in the value; everybody else stays."""
    ids = [entra.create(fresh()).id for _ in range(4)]
    group = entra.send("POST", "/Groups", {"displayName": fresh("group")}).id
    entra.patch(f"/Groups/{group}", {"op": "Add", "path": "members", "value": [{"value": one} for one in ids]})
    value = [{"$ref": None, "value": ids[1]}, {"$ref": None, "value": ids[2]}]
    answer = entra.patch(f"/Groups/{group}", {"op": "Remove", "path": "members", "value": value})

    assert (answer.status, answer.body) == (204, None)
    assert [member for member, _ in scim_server.store.scim_groups.members(group)] == [ids[0], ids[3]]


def test_c8_memberships_of_others_are_no_business_of_a_client(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """Who an admin put into a client's group stays when the client clears, replaces or deletes it."""
    person = entra.create(fresh()).id
    guest = scim_server.add_user("guest-of-group", password="right horse battery").id
    group = entra.send("POST", "/Groups", {"displayName": fresh("group"), "members": [{"value": person}]}).id
    scim_server.store.apply(AddMember(guest, group), actor="test")
    shown = entra.send("GET", f"/Groups/{group}").body["members"]
    entra.patch(f"/Groups/{group}", {"op": "remove", "path": "members"})
    cleared = [user.id for user, _ in scim_server.store.groups.members(group)]
    deleted = entra.send("DELETE", f"/Groups/{group}")

    assert [member["value"] for member in shown] == [person]
    assert cleared == [guest]
    assert deleted.status == 204
    assert [user.id for user, _ in scim_server.store.groups.members(group)] == [guest]


# C9 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["False", "false", "FALSE", False])
def test_c9_what_is_false(value: object, entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """The documented spellings end the person, in all three verbs."""
    made = [entra.create(fresh()) for _ in range(3)]
    entra.patch(f"/Users/{made[0].id}", {"op": "Replace", "path": "active", "value": value})
    entra.patch(f"/Users/{made[1].id}", {"op": "replace", "value": {"active": value}})
    entra.send("PUT", f"/Users/{made[2].id}", {"userName": made[2].body["userName"], "active": value})

    assert [row(scim_server, one.id).status for one in made] == [Status.DEPROVISIONED] * 3
    assert [entra.send("GET", f"/Users/{one.id}").body["active"] for one in made] == [False] * 3


@pytest.mark.parametrize("value", [0, 1, "no", "yes", "0", "1", "", [], {}, None, [False], "Falsch", "true ", "tru"])
def test_c9_what_is_neither(value: object, entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """Anything else is refused, and never brings an ended person back."""
    made = entra.create(fresh())
    path = f"/Users/{made.id}"
    entra.patch(path, {"op": "replace", "path": "active", "value": False})
    answer = entra.patch(path, {"op": "replace", "path": "active", "value": value})
    put = entra.send("PUT", path, {"userName": made.body["userName"], "active": value})

    refused(answer, 400, "invalidValue")
    assert value is None or put.status == 400
    assert row(scim_server, made.id).status is Status.DEPROVISIONED


# C14 -----------------------------------------------------------------------------------------------


def test_c14_replayed_requests_change_nothing(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """The same PATCH again: same answer, same version, same epoch, no further revocation."""
    made = entra.create(fresh())
    group = entra.send("POST", "/Groups", {"displayName": fresh("group")}).id
    operations = [
        {"op": "Replace", "path": "name.familyName", "value": "N"},
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "a@contoso.example"},
        {"op": "Replace", "path": "active", "value": "False"},
    ]
    joining = {"op": "Add", "path": "members", "value": [{"value": made.id}]}
    entra.patch(f"/Groups/{group}", joining)
    first = entra.patch(f"/Users/{made.id}", *operations)
    user, latest = row(scim_server, made.id), scim_server.store.revocations.latest()
    second = entra.patch(f"/Users/{made.id}", *operations)
    entra.patch(f"/Groups/{group}", joining)

    assert first.body == second.body
    assert user == row(scim_server, made.id)
    assert latest == scim_server.store.revocations.latest()


def test_c14_a_late_request_with_an_old_version(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """With If-Match an out-of-date PATCH is 412; without it, it is applied to what is there."""
    made = entra.create(fresh())
    path, old = f"/Users/{made.id}", made.body["meta"]["version"]
    entra.patch(path, {"op": "replace", "path": "title", "value": "new"})
    late = entra.patch(path, {"op": "replace", "path": "title", "value": "old"}, headers={"If-Match": old})
    gone = entra.send("DELETE", path, headers={"If-Match": old})
    any_version = entra.patch(path, {"op": "replace", "path": "title", "value": "any"}, headers={"If-Match": "*"})
    known = {"If-None-Match": any_version.headers["etag"]}
    same = entra.send("GET", f"{path}?excludedAttributes=groups", headers=known)

    refused(late, 412)
    refused(gone, 412)
    assert any_version.body["title"] == "any"
    assert (same.status, same.body) == (304, None)


def test_c14_two_clients_at_once_lose_nothing(scim_server: QuaymasterServer) -> None:
    """Forty PATCHes of one user over eight connections: each one's value is there in the end."""
    token = issue_token(scim_server.store, "entra")[1]
    with ScimHttp(scim_server, token) as client:
        known = client.create(fresh()).id
    urn = "urn:example:params:scim:schemas:extension:test:2.0:User"
    statuses: list[int] = []

    def change(worker: int) -> None:
        with ScimHttp(scim_server, token) as client:
            for number in range(5):
                operation = {"op": "add", "path": f"{urn}:value{worker}{number}", "value": "x"}
                statuses.append(client.patch(f"/Users/{known}", operation).status)

    threads = [threading.Thread(target=change, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    person = scim_server.store.scim_people.by_id("entra", known)

    assert statuses == [200] * 40
    assert person is not None
    assert len(person.document[urn]) == 40
    assert person.version == 41
