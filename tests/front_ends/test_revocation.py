"""Revocation: whoever loses a right is cut off, or narrowed, in the middle of a transfer, on every worker."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from storage.database.changes import CreateFolder, PutGrant, RevokeApiKey, RevokeSshKey, SetStatus
from storage.database.records import SessionRow, Status, User
from storage.files.permissions import PRESETS
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal, RefusalKind
from tests.support.server import QuaymasterServer
from tests.support.slow_uploads import SLOW_UPLOADS, SlowUpload, Watch, bytes_in_flight
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

PASSWORD = "right horse battery"
LIMIT_S = 1.0
GIVE_UP_S = 10.0
CHUNKS = 1000


@pytest.fixture(scope="module")
def four_workers() -> Iterator[QuaymasterServer]:
    """A server with four workers a front end."""
    with QuaymasterServer(workers=4) as running:
        yield running


def person(server: QuaymasterServer, name: str) -> User:
    user = server.add_user(name, password=PASSWORD)
    if user.status is not Status.ACTIVE:
        server.store.apply(SetStatus(user.id, Status.ACTIVE), actor="test")
    server.forget_failures()
    return server.user(name)


def live(server: QuaymasterServer, user: User) -> list[SessionRow]:
    return [row for row in server.store.sessions.live() if row.user_id == user.id]


@pytest.mark.parametrize("kind", SLOW_UPLOADS, ids=lambda kind: kind.front_end)
def test_disabling_a_user_cuts_transfers_on_every_worker(
    kind: type[SlowUpload], four_workers: QuaymasterServer
) -> None:
    """Eight uploads over four workers end within a second, none of them is published, and nothing stays behind."""
    user = person(four_workers, f"leaver-{kind.front_end}")
    home = four_workers.home_of(user.name)
    with ExitStack() as stack:
        uploads = [
            stack.enter_context(
                kind(four_workers.driver_ports, Credential(user.name, PASSWORD), f"file-{number}", CHUNKS)
            )
            for number in range(8)
        ]
        for upload in uploads:
            upload.send()
        eventually(lambda: bytes_in_flight(home) > 0, what="the uploads to arrive")
        watches = [Watch(upload, GIVE_UP_S) for upload in uploads]
        start = time.monotonic()
        four_workers.store.apply(SetStatus(user.id, Status.DISABLED), actor="test")
        cuts = [watch.result() for watch in watches]

    assert all(cut is not None for cut in cuts)
    assert max(cut - start for cut in cuts if cut is not None) < LIMIT_S
    eventually(lambda: not list(home.iterdir()), what="the uploads to be aborted")


@pytest.mark.parametrize("kind", SLOW_UPLOADS, ids=lambda kind: kind.front_end)
def test_revoking_an_api_key_cuts_its_session_only(kind: type[SlowUpload], four_workers: QuaymasterServer) -> None:
    """The session that came in by the key ends; the same user's session by password goes on."""
    user = person(four_workers, f"keyed-{kind.front_end}")
    token = four_workers.issue_api_key(user.name)
    ports = four_workers.driver_ports
    with (
        kind(ports, Credential(user.name, token), "by-key", CHUNKS) as by_key,
        kind(ports, Credential(user.name, PASSWORD), "by-password", 2) as by_password,
    ):
        by_key.send()
        by_password.send()
        eventually(lambda: len(live(four_workers, user)) == 2, what="both to be signed in")
        watch = Watch(by_key, GIVE_UP_S)
        start = time.monotonic()
        (key,) = four_workers.store.credentials.api_keys_of(user.id)
        four_workers.store.apply(RevokeApiKey(key.id), actor="test")
        cut = watch.result()
        by_password.send()
        finished = by_password.finish()

    assert cut is not None
    assert cut - start < LIMIT_S
    assert finished
    assert (four_workers.home_of(user.name) / "by-password").exists()
    assert not (four_workers.home_of(user.name) / "by-key").exists()


@pytest.mark.parametrize("kind", SLOW_UPLOADS, ids=lambda kind: kind.front_end)
def test_an_admin_cuts_one_session_from_the_command_line(
    kind: type[SlowUpload], four_workers: QuaymasterServer
) -> None:
    """``session list`` shows it, ``session cut`` ends it, and the user may come in again."""
    user = person(four_workers, f"listed-{kind.front_end}")
    credential = Credential(user.name, PASSWORD)
    with kind(four_workers.driver_ports, credential, "file", CHUNKS) as upload:
        upload.send()
        eventually(lambda: live(four_workers, user), what="the session to be listed")
        rows = live(four_workers, user)
        watch = Watch(upload, GIVE_UP_S)
        said = four_workers.cli("session", "cut", rows[0].id, "--json")
        cut = watch.result()
    with kind(four_workers.driver_ports, credential, "again", 1) as again:
        again.send()
        finished = again.finish()

    assert len(rows) == 1
    assert said.returncode == 0, said.stderr
    assert cut is not None
    assert finished


def test_revoking_an_ssh_key_cuts_its_session(four_workers: QuaymasterServer) -> None:
    """A connection that was let in by the key is dropped within a second."""
    user = person(four_workers, "ssh-keyed")
    file = four_workers.add_key(user.name)
    driver = next(driver for driver in DRIVERS if driver.front_end == "sftp")
    with driver(four_workers.driver_ports, Credential(user.name, private_key=file)) as session:
        before = session.names("/")
        (key,) = four_workers.store.credentials.ssh_keys_of(user.id)
        four_workers.store.apply(RevokeSshKey(key.id), actor="test")
        took = eventually(lambda: _fails(session), what="the cut")

    assert before == set()
    assert took < LIMIT_S


def _fails(session: Driver) -> bool:
    try:
        session.names("/")
    except Exception:  # noqa: BLE001 - how a cut shows differs by client
        return True
    return False


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.front_end)
def test_a_narrowed_grant_reaches_a_live_session(
    driver: type[Driver], four_workers: QuaymasterServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The session stays, and within a second may only read where it could write; other places are untouched."""
    user = person(four_workers, f"narrowed-{driver.front_end}")
    place = tmp_path_factory.mktemp("shared")
    store = four_workers.store
    folder = store.apply(CreateFolder(user.name, "local", {"root": str(place)}, None), actor="test").subject_id
    store.apply(PutGrant("/shared", PRESETS["full"], user_id=user.id, folder_id=folder), actor="test")
    with driver(four_workers.driver_ports, Credential(user.name, PASSWORD)) as session:
        session.write("/shared/before", b"1")
        store.apply(PutGrant("/shared", PRESETS["read-only"], user_id=user.id, folder_id=folder), actor="test")
        numbers = itertools.count()
        took = eventually(lambda: _denied(session, next(numbers)), what="the narrower right")
        text = session.read("/shared/before")
        session.write("/mine", b"2")

    assert took < LIMIT_S
    assert text == b"1"


def _denied(session: Driver, number: int) -> bool:
    try:
        session.mkdir(f"/shared/{number}")
    except Refusal as refusal:
        return refusal.kind is RefusalKind.DENIED
    return False
