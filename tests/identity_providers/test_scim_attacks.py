"""The attacks on a SCIM endpoint that docs and incidents know, each over HTTPS against two workers.

The numbers C1 to C14 are those of the project's list of attacks; C7 is in test_scim_conformance.py, C13 in
test_scim_revocation.py.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from typing import Any

import pytest

from storage.database.changes import AddMember, CreateGroup, MapRole, PutGrant, RenameUser
from storage.database.names import canonical_name
from storage.database.records import Method, Role, Status, User
from storage.database.scim_changes import RevokeScimToken
from storage.files.permissions import PRESETS
from tests.support.scim_client import Answer, ScimHttp, issue_token
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system

QUICK_S = 5.0  # far from what parsing such a thing would take, and far from a loaded machine's delays


def fresh(prefix: str = "person") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:10]}@contoso.example"


def row(server: QuaymasterServer, user_id: str) -> User:
    user = server.store.users.by_id(user_id)
    assert user is not None
    return user


def refused(answer: Answer, status: int, scim_type: str | None = None) -> None:
    assert (status, scim_type) == (answer.status, answer.body.get("scimType")), answer.body
    assert answer.body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert answer.body["status"] == str(status)
    assert answer.headers["content-type"].startswith("application/scim+json")


# C1 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["POST", "PUT", "PATCH"])
def test_c1_nothing_but_its_own_facts_can_be_set(way: str, entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """id, meta, groups, roles, isAdmin, password, authMethod, homeDir: no field of the account follows them."""
    group = scim_server.store.apply(CreateGroup(f"admins-{uuid.uuid4().hex[:6]}"), actor="test").subject_id
    evil = {
        "id": "0" * 32,
        "meta": {"created": "1970-01-01T00:00:00Z", "version": 'W/"99"', "resourceType": "Group"},
        "groups": [{"value": group}],
        "roles": [{"value": "admin", "primary": True}],
        "entitlements": [{"value": "admin"}],
        "isAdmin": True,
        "role": "admin",
        "password": "hunter2-hunter2",
        "authMethod": "local",
        "method": "local",
        "homeDir": "/",
        "home": "../../etc",
        "protocols": ["sftp"],
        "break_glass": True,
        "quota_bytes": 0,
        "epoch": 1,
        "provider": "okta",
        "managed_by": "manual",
    }
    name = fresh()
    if way == "POST":
        answer = entra.create(name, **evil)
    else:
        known = entra.create(name).id
        path = f"/Users/{known}"
        answer = (
            entra.send("PUT", path, {**evil, "userName": name})
            if way == "PUT"
            else entra.patch(path, {"op": "replace", "value": evil})
        )
    user = row(scim_server, answer.id)

    assert answer.status in {200, 201}
    assert answer.id != "0" * 32
    assert "hunter2" not in json.dumps(answer.body)
    assert (user.role, user.method, user.provider, user.break_glass) == (Role.USER, Method.SAML, "entra", False)
    assert (user.home, user.protocols, user.quota_bytes) == (canonical_name(name), frozenset(), None)
    assert scim_server.store.users.groups_of(user.id) == []
    assert scim_server.store.credentials.password_hash(user.id) is None
    assert not (answer.body.keys() & {"password", "isAdmin", "role", "homeDir", "groups", "authMethod"})


def test_c1_a_password_is_kept_nowhere(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """Not in the rows, the provisioning log, the audit trail or the server's log, however it is sent."""
    secret = f"hunter2{uuid.uuid4().hex}"
    made = entra.create(fresh(), password=secret)
    path = f"/Users/{made.id}"
    entra.send("PUT", path, {"userName": made.body["userName"], "Password": secret})
    entra.patch(path, {"op": "replace", "path": "password", "value": secret})
    entra.patch(path, {"op": "add", "value": {"PASSWORD": secret, "title": "x"}})
    entra.patch(path, {"op": "add", "value": {"urn:ietf:params:scim:schemas:core:2.0:User:password": secret}})
    entra.send("POST", "/Users", {"userName": "", "password": secret})
    logged = wait_for_log(scim_server, path, 4)
    person = scim_server.store.scim_people.any_by_id(made.id)
    audit = json.dumps([event.detail for event in scim_server.store.audit.tail(limit=2000)])

    assert secret not in json.dumps([[line.request, line.response, dict(line.changed)] for line in logged])
    assert person is not None
    assert secret not in json.dumps(person.document)
    assert secret not in audit
    assert secret not in scim_server.log


def wait_for_log(server: QuaymasterServer, path: str, count: int) -> list[Any]:
    deadline = time.monotonic() + 15
    pause = threading.Event()
    while True:
        found = [line for line in server.store.scim_log.tail("entra", limit=5000) if path in line.path]
        if len(found) >= count or time.monotonic() > deadline:
            assert len(found) >= count
            return server.store.scim_log.tail("entra", limit=5000)
        pause.wait(0.05)


# C2 -----------------------------------------------------------------------------------------------


def test_c2_a_groups_name_gives_nothing(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """A group called as one that has grants, and as one that gives a role, is another group and gives neither."""
    store, name = scim_server.store, f"Wheel {uuid.uuid4().hex[:6]}"
    group = store.apply(CreateGroup(name), actor="test").subject_id
    store.apply(PutGrant("/secret", PRESETS["full"], group_id=group), actor="test")
    mapped = entra.send("POST", "/Groups", {"displayName": f"Mapped {name}", "externalId": f"right-{name}"})
    store.apply(MapRole("entra", f"right-{name}", Role.ADMIN, "Mapped"), actor="test")
    person = entra.create(fresh()).id
    made = entra.send("POST", "/Groups", {"displayName": name, "members": [{"value": person}]})
    twin = entra.send("POST", "/Groups", {"displayName": f"MAPPED {name}".lower(), "members": [{"value": person}]})
    renamed = entra.patch(f"/Groups/{made.id}", {"op": "replace", "value": {"displayName": f"mapped {name}"}})

    assert made.status == 201
    assert made.id != group
    refused(twin, 409, "uniqueness")
    refused(renamed, 409, "uniqueness")
    assert row(scim_server, person).role is Role.USER
    assert store.folders.grants_for(person) == []
    entra.patch(f"/Groups/{mapped.id}", {"op": "add", "path": "members", "value": [{"value": person}]})
    assert row(scim_server, person).role is Role.ADMIN


def test_c2_the_id_of_a_mapped_group_cannot_be_taken(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """While the group is there, no other one can be given its externalId."""
    name = uuid.uuid4().hex
    first = entra.send("POST", "/Groups", {"displayName": f"A {name}", "externalId": name})
    other = entra.send("POST", "/Groups", {"displayName": f"B {name}"})
    second = entra.send("POST", "/Groups", {"displayName": f"C {name}", "externalId": name})
    patched = entra.patch(f"/Groups/{other.id}", {"op": "replace", "path": "externalId", "value": name})

    assert first.status == 201
    refused(second, 409, "uniqueness")
    refused(patched, 409, "uniqueness")


# C3 -----------------------------------------------------------------------------------------------


def test_c3_a_token_is_kept_as_a_digest(scim_server: QuaymasterServer) -> None:
    """The secret part is in no column."""
    known, text = issue_token(scim_server.store, "entra")
    token = scim_server.store.scim_tokens.by_id(known)
    secret = text.split("_")[2]

    assert token is not None
    assert len(token.digest) == 32
    assert secret.encode() not in token.digest
    assert secret not in repr(token)


@pytest.mark.parametrize("case", ["none", "malformed", "wrong", "expired", "revoked", "basic-as-bearer", "api-key"])
def test_c3_who_is_not_let_in(case: str, scim_server: QuaymasterServer) -> None:
    """One answer for all of them, with the challenges and without a word why."""
    store = scim_server.store
    known, text = issue_token(store, "entra", kind="basic" if case == "basic-as-bearer" else "bearer")
    if case == "expired":
        known, text = issue_token(store, "entra", expires_at=time.time() + 0.05)
        threading.Event().wait(0.1)
    if case == "revoked":
        store.apply(RevokeScimToken(known), actor="test")
    if case == "api-key":
        scim_server.add_user("keyholder", password="right horse battery", role=Role.ADMIN)
        text = scim_server.issue_api_key("keyholder")
    if case == "wrong":
        other = issue_token(store, "entra")[1]
        text = f"qms_{known}_" + other.split("_", 2)[2]
    if case == "malformed":
        text = text[:-1]
    with ScimHttp(scim_server, text) as client:
        headers = {"Authorization": ""} if case == "none" else {}
        answer = client.send("GET", "/Users", headers=headers)
        changed = client.send("POST", "/Users", {"userName": fresh()}, headers=headers)

    refused(answer, 401)
    refused(changed, 401)
    assert answer.body["detail"] == "The credential is not accepted."
    assert "Bearer" in answer.headers["www-authenticate"]


def test_c3_basic_credentials(scim_server: QuaymasterServer) -> None:
    """The id is the user name and the text the password; another name, or the pair as a bearer, is refused."""
    known, text = issue_token(scim_server.store, "okta", kind="basic")

    def ask(pair: str) -> int:
        header = "Basic " + base64.b64encode(pair.encode()).decode()
        with ScimHttp(scim_server, text) as client:
            return client.send("GET", "/Users?count=1", headers={"Authorization": header}).status

    assert [ask(f"{known}:{text}"), ask(f"scim:{text}"), ask(f"{known}:x"), ask(known)] == [200, 401, 401, 401]


def test_c3_rotation_overlaps(scim_server: QuaymasterServer) -> None:
    """Two tokens of a provider work at the same time."""
    tokens = [issue_token(scim_server.store, "okta")[1] for _ in range(2)]
    answers = []
    for token in tokens:
        with ScimHttp(scim_server, token) as client:
            answers.append(client.send("GET", "/Users?count=1").status)

    assert answers == [200, 200]


def test_c3_each_client_sees_its_own(entra: ScimHttp, okta: ScimHttp, scim_server: QuaymasterServer) -> None:
    """Another provider's people and groups are not there: by id, by filter, in lists, as members, in any verb."""
    name = fresh()
    person = entra.create(name, externalId=f"x-{name}").id
    group = entra.send("POST", "/Groups", {"displayName": name, "members": [{"value": person}]}).id
    before = row(scim_server, person)
    verbs = [
        okta.send("GET", f"/Users/{person}"),
        okta.send("PUT", f"/Users/{person}", {"userName": name, "active": False}),
        okta.patch(f"/Users/{person}", {"op": "replace", "value": {"active": False}}),
        okta.send("DELETE", f"/Users/{person}"),
        okta.send("GET", f"/Groups/{group}"),
        okta.patch(f"/Groups/{group}", {"op": "remove", "path": "members"}),
        okta.send("PUT", f"/Groups/{group}", {"displayName": name, "members": []}),
        okta.send("DELETE", f"/Groups/{group}"),
    ]
    filters = [
        okta.find(f'userName eq "{name}"'),
        okta.find(f'externalId eq "x-{name}"'),
        okta.find(f'id eq "{person}"'),
        okta.find(f'userName co "{name[:12]}"'),
        okta.find(f'displayName eq "{name}"', "/Groups"),
        okta.find(f'members eq "{person}"', "/Groups"),
    ]
    member = okta.send("POST", "/Groups", {"displayName": fresh("group"), "members": [{"value": person}]})
    listed = okta.send("GET", "/Users?count=500")

    for answer in verbs:
        refused(answer, 404)
    assert [answer.body["totalResults"] for answer in filters] == [0] * len(filters)
    refused(member, 400, "invalidValue")
    assert person not in json.dumps(listed.body)
    assert before == row(scim_server, person)


def test_c3_a_path_with_another_providers_name(scim_server: QuaymasterServer) -> None:
    """The provider's own path works; another's is refused like a wrong token, and one that is nobody's is not there."""
    token = issue_token(scim_server.store, "entra")[1]
    statuses = []
    for provider in ("entra", "okta", "nobody"):
        with ScimHttp(scim_server, token, provider=provider) as client:
            statuses.append(client.send("GET", "/Users?count=1").status)

    assert statuses == [200, 401, 404]


# C4 -----------------------------------------------------------------------------------------------

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


# C5 -----------------------------------------------------------------------------------------------


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


# C6 -----------------------------------------------------------------------------------------------


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


# C8 -----------------------------------------------------------------------------------------------


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


# C9 -----------------------------------------------------------------------------------------------


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


# C10, C11, C12 ------------------------------------------------------------------------------------


def test_c10_nobody_is_renamed_onto_an_admin(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """Nor onto any present, former or additional name of somebody else."""
    scim_server.add_user("root-admin", password="right horse battery", role=Role.ADMIN)
    former = scim_server.add_user("former-name", password="right horse battery")
    if former.name == "former-name":
        scim_server.store.apply(RenameUser(former.id, f"present-{uuid.uuid4().hex[:6]}"), actor="test")
    name = fresh()
    known = entra.create(name).id
    for wanted in ("root-admin", "ROOT-ADMIN", "former-name"):
        refused(
            entra.patch(f"/Users/{known}", {"op": "replace", "path": "userName", "value": wanted}), 409, "uniqueness"
        )
        refused(entra.send("PUT", f"/Users/{known}", {"userName": wanted, "active": True}), 409, "uniqueness")

    assert row(scim_server, known).name == canonical_name(name)


def test_c11_no_account_is_taken_over(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """A create with a local user's name, in whatever case, is 409, changes nothing, and waits for an admin."""
    name = f"owner-{uuid.uuid4().hex[:8]}"
    local = scim_server.add_user(name, password="right horse battery")
    answers = [
        entra.create(name.upper(), externalId=f"oid-{name}"),
        entra.send("POST", "/Users", {"userName": name, "emails": [{"value": "x@contoso.example"}], "active": False}),
    ]
    conflicts = scim_server.store.scim_waiting.conflicts_with("entra", local.id)

    for answer in answers:
        refused(answer, 409, "uniqueness")
    assert local == row(scim_server, local.id)
    assert {conflict.external_id for conflict in conflicts} == {f"oid-{name}", ""}
    assert entra.find(f'userName eq "{name}"').body["totalResults"] == 0


def test_c12_the_emergency_account_is_not_there(entra: ScimHttp, scim_server: QuaymasterServer) -> None:
    """Nothing finds a break-glass admin, ends, deletes or renames it."""
    admin = scim_server.add_user("emergency", password="right horse battery", break_glass=True)
    path = f"/Users/{admin.id}"
    answers = [
        entra.send("DELETE", path),
        entra.patch(path, {"op": "replace", "path": "active", "value": False}),
        entra.send("PUT", path, {"userName": "emergency", "active": False}),
        entra.send("GET", path),
    ]

    for answer in answers:
        refused(answer, 404)
    assert admin == row(scim_server, admin.id)


# C14 ----------------------------------------------------------------------------------------------


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
