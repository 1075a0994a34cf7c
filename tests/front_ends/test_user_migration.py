"""A user moves from a directory to an identity provider while files are on their way: real server, real directory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from auth_backends.api import Reason
from config.ldap import LdapProvider
from storage.database.records import Method, SessionRow
from tests.support.directories.certificates import Authority
from tests.support.directories.sites import provider_for
from tests.support.directories.slapd import PASSWORD, Slapd
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal, RefusalKind
from tests.support.drivers.sftp import SftpDriver
from tests.support.server import QuaymasterServer
from tests.support.slow_uploads import CHUNK, SLOW_UPLOADS, SlowUpload, Watch
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

LIMIT_S = 1.0
GIVE_UP_S = 30.0
CHUNKS = 3


@pytest.fixture(scope="module")
def directory(authority: Authority) -> Iterator[Slapd]:
    """An OpenLDAP server with the people of these tests."""
    with Slapd(authority) as server:
        yield server


def table(provider: LdapProvider) -> str:
    """Write the directory and an identity provider as they stand in the TOML file."""
    options = provider.model_dump(mode="json", exclude_defaults=True)
    lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
    return "\n".join(["[ldap.corp]", *lines, "[sso.entra]", 'method = "oidc"', ""])


@pytest.fixture(scope="module")
def server(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuaymasterServer]:
    """Two workers a front end."""
    config = tmp_path_factory.mktemp("site") / "site.toml"
    config.write_text(table(provider_for(directory)))
    with QuaymasterServer(workers=2, config=config) as running:
        yield running


def run(server: QuaymasterServer, *arguments: str) -> Any:
    """Run a command, which must succeed, and give its data."""
    said = server.cli(*arguments, "--config", str(server.config), "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def arrive(server: QuaymasterServer, directory: Slapd, name: str) -> str:
    """Let a person of the directory be a user here; the DN."""
    place = directory.add_person(name)
    run(server, "sync", "run", "corp")
    server.forget_failures()
    return place


def live(server: QuaymasterServer, name: str) -> list[SessionRow]:
    user = server.user(name)
    return [row for row in server.store.sessions.live() if row.user_id == user.id]


def refused(server: QuaymasterServer, driver: type[Driver], credential: Credential) -> RefusalKind | None:
    """Try to come in; None if that works."""
    try:
        driver(server.driver_ports, credential).close()
    except Refusal as refusal:
        return refusal.kind
    return None


@pytest.mark.parametrize("kind", SLOW_UPLOADS, ids=lambda kind: kind.front_end)
def test_what_was_opened_with_a_key_goes_on_and_what_was_with_a_password_ends(
    kind: type[SlowUpload], server: QuaymasterServer, directory: Slapd
) -> None:
    """In the middle of both transfers: one is published whole, of the other nothing stays."""
    name = f"mover-{kind.front_end}"
    arrive(server, directory, name)
    token = server.issue_api_key(name)
    ports = server.driver_ports
    with (
        kind(ports, Credential(name, token), "by-key", CHUNKS) as by_key,
        kind(ports, Credential(name, PASSWORD), "by-password", 1000) as by_password,
    ):
        by_key.send()
        by_password.send()
        eventually(lambda: len(live(server, name)) == 2, what="both to be signed in")
        watch = Watch(by_password, GIVE_UP_S)
        dry = run(server, "user", "migrate", name, "--to", "entra", "--external-id", f"oid-{name}", "--dry-run")
        run(server, "user", "migrate", name, "--to", "entra", "--external-id", f"oid-{name}", "--yes")
        moved = time.monotonic()
        cut = watch.result()
        for _ in range(CHUNKS - 1):
            by_key.send()
        finished = by_key.finish()
    home = server.home_of(name)
    eventually(lambda: [file.name for file in home.iterdir()] == ["by-key"], what="the other upload to be aborted")

    assert [list(row["password_used"]) for row in dry["users"]] == [[kind.front_end]]
    assert server.user(name).method is Method.OIDC
    assert cut is not None
    assert cut - moved < LIMIT_S
    assert finished
    assert (home / "by-key").stat().st_size == CHUNKS * len(CHUNK)


def test_a_password_is_refused_afterwards_and_sent_to_no_directory(server: QuaymasterServer, directory: Slapd) -> None:
    """The right one, on every protocol, also by WebDAV's short memory; the SSH key of before lets the user in."""
    place = arrive(server, directory, "refused")
    key = server.add_key("refused")
    credential = Credential("refused", PASSWORD)
    before = [refused(server, driver, credential) for driver in DRIVERS]
    binds = directory.binds(place)
    with SftpDriver(server.driver_ports, Credential("refused", private_key=key)) as session:
        session.write("/before", b"1")
        arguments = ("user", "migrate", "refused", "--to", "entra", "--external-id", "oid-refused", "--yes")
        run(server, *arguments, "--include-blocked")
        after = [refused(server, driver, credential) for driver in DRIVERS]
        session.write("/after", b"2")
        names = session.names("/")
    again = refused(server, SftpDriver, Credential("refused", private_key=key))
    reasons = {
        (event.front_end, event.reason)
        for event in server.store.audit.tail(subject="refused", limit=50)
        if event.outcome == "refused"
    }

    assert before == [None, None, None]
    assert after == [RefusalKind.SIGN_IN] * 3
    assert (names, again) == ({"before", "after"}, None)
    assert reasons == {(front_end, Reason.SSO_PASSWORD_REFUSED.value) for front_end in ("sftp", "ftps", "webdav")}
    assert directory.binds(place) == binds


def test_who_is_given_back_comes_in_by_password_again(server: QuaymasterServer, directory: Slapd) -> None:
    """And the sync, which left the user alone meanwhile, follows the person again."""
    place = arrive(server, directory, "returner")
    moved = run(server, "user", "migrate", "returner", "--to", "entra", "--external-id", "oid-returner", "--yes")
    run(server, "sync", "run", "corp", "--full")
    while_moved = server.user("returner").method
    run(server, "user", "migrate-undo", str(moved["users"][0]["migration"]), "--yes")
    back = [refused(server, driver, Credential("returner", PASSWORD)) for driver in DRIVERS]
    directory.delete(place)
    run(server, "sync", "run", "corp", "--full")
    gone = refused(server, SftpDriver, Credential("returner", PASSWORD))

    assert while_moved is Method.OIDC
    assert back == [None, None, None]
    assert gone is RefusalKind.SIGN_IN
