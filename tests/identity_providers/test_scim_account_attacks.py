"""The attacks on a SCIM endpoint that docs and incidents know, over HTTPS against two workers: whose account it is.

The numbers C1 to C14 are those of the project's list of attacks; C7 is in test_scim_conformance.py, C13 in
test_scim_revocation.py, C4 to C9 and C14 are in test_scim_request_attacks.py.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from typing import Any

import pytest

from storage.database.changes import CreateGroup, MapRole, PutGrant, RenameUser
from storage.database.names import canonical_name
from storage.database.records import Method, Role
from storage.database.scim_changes import RevokeScimToken
from storage.files.permissions import PRESETS
from tests.support.scim_checks import fresh, refused, row
from tests.support.scim_client import ScimHttp, issue_token
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system


# C1 ------------------------------------------------------------------------------------------------


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


# C2 ------------------------------------------------------------------------------------------------


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


# C3 ------------------------------------------------------------------------------------------------


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


# C10, C11, C12 -------------------------------------------------------------------------------------


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
