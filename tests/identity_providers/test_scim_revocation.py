"""An identity provider disables a person: everything that the person has open ends within a second, whatever dies."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from storage.database.changes import RevokeApiKey
from storage.database.records import Status
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal
from tests.support.postgres import PostgresServer
from tests.support.scim_client import ScimHttp, add_provider, issue_token
from tests.support.server import QuaymasterServer
from tests.support.slow_uploads import SLOW_UPLOADS, Watch, bytes_in_flight
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

LIMIT_S = 1.0
GIVE_UP_S = 10.0
CHUNKS = 1000
OFF = {"op": "Replace", "path": "active", "value": "False"}
ON = {"op": "Replace", "path": "active", "value": "True"}

DIES_BEFORE_THE_WAKE_UP = """
import os, sys
from storage.database.records import Owner
from storage.database.scim_changes import PersonFacts, ScimUpdateUser
from storage.database.store import open_store
url, user_id = sys.argv[1:]
store = open_store(url)
row = store.scim_people.by_id("entra", user_id)
store.revocations.wake = lambda: os._exit(9)
facts = PersonFacts(row.document["userName"], active=False)
store.apply(ScimUpdateUser("entra", user_id, facts, {**row.document, "active": False}, row.version), actor="test")
os._exit(1)
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def four_workers(request: pytest.FixtureRequest) -> Iterator[QuaymasterServer]:
    """A server with four workers a front end."""
    environment = {}
    if request.param == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        environment["QUAYMASTER_DATABASE__URL"] = postgres.new_database("four")
    with QuaymasterServer(workers=4, environment=environment) as running:
        add_provider(running.store, "entra", max_disabled_count=1000)
        yield running


@pytest.fixture
def client(four_workers: QuaymasterServer) -> Iterator[ScimHttp]:
    with ScimHttp(four_workers, issue_token(four_workers.store, "entra")[1]) as one:
        yield one


def person(server: QuaymasterServer, client: ScimHttp) -> tuple[str, str, Credential]:
    """Make a user; the id, the name, and an API key that all three protocols take as the password."""
    name = f"leaver-{uuid.uuid4().hex[:10]}"
    made = client.create(name, externalId=name)
    server.forget_failures()
    return made.id, name, Credential(name, server.issue_api_key(name))


def comes_in(driver: type[Driver], server: QuaymasterServer, credential: Credential) -> bool:
    server.forget_failures()
    try:
        with driver(server.driver_ports, credential) as session:
            session.names("/")
    except Refusal:
        return False
    return True


@pytest.mark.parametrize("way", ["patch", "put", "delete"])
def test_all_transfers_end_within_a_second(way: str, four_workers: QuaymasterServer, client: ScimHttp) -> None:
    """Uploads on all three protocols and several workers are cut, none is published, no key works any more."""
    known, name, credential = person(four_workers, client)
    path = f"/Users/{known}"
    home = four_workers.home_of(name)
    with ExitStack() as stack:
        uploads = [
            stack.enter_context(kind(four_workers.driver_ports, credential, f"{kind.front_end}-{number}", CHUNKS))
            for kind in SLOW_UPLOADS
            for number in range(3)
        ]
        for upload in uploads:
            upload.send()
        eventually(lambda: bytes_in_flight(home) > 0, what="the uploads to arrive")
        watches = [Watch(upload, GIVE_UP_S) for upload in uploads]
        match way:
            case "patch":
                answer = client.patch(path, OFF)
            case "put":
                answer = client.send("PUT", path, {"userName": name, "active": False})
            case _:
                answer = client.send("DELETE", path)
        answered = time.monotonic()
        cuts = [watch.result() for watch in watches]
    after = client.send("GET", path)

    assert answer.status in {200, 204}
    assert all(cut is not None for cut in cuts)
    assert max(cut - answered for cut in cuts if cut is not None) < LIMIT_S
    eventually(lambda: not list(home.iterdir()), what="the uploads to be aborted")
    assert [comes_in(driver, four_workers, credential) for driver in DRIVERS] == [False] * len(DRIVERS)
    assert after.status == (404 if way == "delete" else 200)
    assert after.body.get("active") is not True


def test_who_comes_back_has_the_suspended_keys_and_no_revoked_one(
    four_workers: QuaymasterServer, client: ScimHttp
) -> None:
    """The end suspends keys; what was revoked, also meanwhile, stays revoked."""
    known, name, credential = person(four_workers, client)
    other = Credential(name, four_workers.issue_api_key(name))
    (revoked,) = [
        key
        for key in four_workers.store.credentials.api_keys_of(known)
        if key.id == (other.password or "").split("_")[1]
    ]
    client.patch(f"/Users/{known}", OFF)
    four_workers.store.apply(RevokeApiKey(revoked.id), actor="test")
    client.patch(f"/Users/{known}", ON)

    assert [comes_in(driver, four_workers, credential) for driver in DRIVERS] == [True] * len(DRIVERS)
    assert [comes_in(driver, four_workers, other) for driver in DRIVERS] == [False] * len(DRIVERS)


def test_an_sso_users_password_is_refused_everywhere(four_workers: QuaymasterServer, client: ScimHttp) -> None:
    """There is none, and whatever is sent as one is refused before anything looks at it."""
    _, name, _ = person(four_workers, client)
    credential = Credential(name, "hunter2 hunter2")
    came_in = [comes_in(driver, four_workers, credential) for driver in DRIVERS]
    reasons = {
        event.reason for event in four_workers.store.audit.tail(subject=name, limit=1000) if event.outcome == "refused"
    }

    assert came_in == [False] * len(DRIVERS)
    assert reasons == {"sso_password_refused"}


def test_c13_a_crash_between_the_commit_and_the_cut(four_workers: QuaymasterServer, client: ScimHttp) -> None:
    """A process that dies right after its commit has woken nobody; all transfers are cut within a second anyway."""
    known, name, credential = person(four_workers, client)
    home = four_workers.home_of(name)
    with ExitStack() as stack:
        uploads = [
            stack.enter_context(kind(four_workers.driver_ports, credential, f"{kind.front_end}-{number}", CHUNKS))
            for kind in SLOW_UPLOADS
            for number in range(2)
        ]
        for upload in uploads:
            upload.send()
        eventually(lambda: bytes_in_flight(home) > 0, what="the uploads to arrive")
        watches = [Watch(upload, GIVE_UP_S) for upload in uploads]
        died = subprocess.run(
            [sys.executable, "-c", DIES_BEFORE_THE_WAKE_UP, four_workers.database_url, known], check=False, timeout=60
        )
        dead = time.monotonic()
        cuts = [watch.result() for watch in watches]

    assert died.returncode == 9
    assert all(cut is not None for cut in cuts)
    assert max(cut - dead for cut in cuts if cut is not None) < LIMIT_S
    assert four_workers.store.users.by_id(known).status is Status.DEPROVISIONED  # type: ignore[union-attr]
