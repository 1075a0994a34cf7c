"""A directory's users on the real server: every protocol, changed passwords, leavers, and directories that fail."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from config.ldap import LdapProvider
from storage.database.changes import Provision
from storage.database.records import Method, Owner
from tests.support.clients.api import run
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import HostileLdap, Misbehaviour
from tests.support.directories.samba import SambaAd
from tests.support.directories.sites import provider_for
from tests.support.directories.slapd import PASSWORD, Slapd
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal, RefusalKind
from tests.support.drivers.sftp import SftpDriver
from tests.support.server import QuaymasterServer
from tests.support.slow_uploads import SLOW_UPLOADS, SlowUpload, Watch, bytes_in_flight
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

THRESHOLD = 4
LIMIT_S = 1.0
GIVE_UP_S = 10.0
ANSWER_S = 6.0  # of the broker; clients need some more around it, thirty at once on a busy machine
AROUND_S = 1.0
OTHERS_S = 0.3
MEMORY_S = 2.0


@pytest.fixture(scope="module")
def directory(authority: Authority) -> Iterator[Slapd]:
    """A server that locks an account after four wrong passwords."""
    with Slapd(authority, lockout_threshold=THRESHOLD) as server:
        yield server


@pytest.fixture(scope="module")
def silent(authority: Authority) -> Iterator[HostileLdap]:
    """A server that speaks TLS, takes every request, and answers nothing."""
    with HostileLdap(Misbehaviour.SILENT, tls=authority.issue("silent")) as server:
        yield server


def table(name: str, provider: LdapProvider) -> str:
    """Write a provider as it stands in the TOML file."""
    lines = [f"[ldap.{name}]"]
    for key, value in provider.model_dump(mode="json", exclude_defaults=True).items():
        lines.append(f"{key} = {value!r}" if not isinstance(value, list) else f"{key} = {[*map(str, value)]!r}")
    return "\n".join(lines).replace("'", '"') + "\n"


@pytest.fixture(scope="module")
def server(
    directory: Slapd, silent: HostileLdap, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[QuaymasterServer]:
    """Four workers a front end; a good directory and a silent one, in the configuration file."""
    provider = provider_for(directory)
    mute = provider.model_copy(update={"hosts": (f"localhost:{silent.port}",)})
    config = tmp_path_factory.mktemp("site") / "site.toml"
    config.write_text(table("corp", provider) + table("mute", mute))
    with QuaymasterServer(
        workers=4, config=config, environment={"QUAYMASTER_AUTH__WEBDAV_CACHE_S": str(MEMORY_S)}
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh_limits(server: QuaymasterServer) -> None:
    """No test is throttled by another's refusals."""
    server.forget_failures()


def person(server: QuaymasterServer, directory: Slapd, name: str) -> str:
    """Add somebody to the directory, bring the user here, and give the DN."""
    dn = directory.add_person(name)
    sync(server)
    return dn


def sync(server: QuaymasterServer, *options: str) -> None:
    said = server.cli("sync", "run", "corp", "--config", str(server.config), *options)
    assert said.returncode == 0, said.stderr


def outcome(driver: type[Driver], server: QuaymasterServer, credential: Credential) -> RefusalKind | None:
    """Sign in and list; None if it works."""
    try:
        with driver(server.driver_ports, credential) as session:
            session.names("/")
    except Refusal as refusal:
        return refusal.kind
    return None


def test_the_same_person_by_real_clients(server: QuaymasterServer, directory: Slapd, tmp_path: Path) -> None:
    """OpenSSH's sftp, curl by FTPS and curl by WebDAV, with the directory's password."""
    person(server, directory, "ann")
    (tmp_path / "file").write_bytes(b"by sftp")
    options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
    options += ("-o", "BatchMode=no", "-o", "PubkeyAuthentication=no", "-P", str(server.sftp_port))
    run(
        ["sshpass", "-e", "sftp", "-q", *options, "-b", "-", "ann@127.0.0.1"],
        text=f"put {tmp_path / 'file'} /file\n",
        env={"SSHPASS": PASSWORD},
    )
    curl = ["curl", "--silent", "--show-error", "--fail", "--cacert", str(server.certificate), "--user"]
    curl += [f"ann:{PASSWORD}"]
    by_ftps = run([*curl, "--ssl-reqd", f"ftp://localhost:{server.ftps_port}/file"])
    by_dav = run([*curl, f"https://localhost:{server.http_port}/dav/file"])

    assert (by_ftps, by_dav) == ("by sftp", "by sftp")


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.front_end)
def test_a_changed_password_works_at_once_and_the_old_one_stops(
    driver: type[Driver], server: QuaymasterServer, directory: Slapd
) -> None:
    """On WebDAV the old one may be remembered for as long as the setting says, and no longer."""
    name = f"changer-{driver.front_end}"
    dn = person(server, directory, name)
    before = [outcome(driver, server, Credential(name, PASSWORD)) for _ in range(4)]  # in the memory of several workers
    directory.set_password(dn, "another-one")
    changed = time.monotonic()
    new = outcome(driver, server, Credential(name, "another-one"))
    if driver.front_end == "webdav":
        eventually(lambda: time.monotonic() - changed > MEMORY_S, what="the memory to pass")
    old = [outcome(driver, server, Credential(name, PASSWORD)) for _ in range(2)]
    after = outcome(
        driver, server, Credential(name, "another-one")
    )  # neither throttled nor locked: it was the password

    assert ([*before, new, after], old) == ([None] * 6, [RefusalKind.SIGN_IN] * 2)


@pytest.mark.parametrize("kind", SLOW_UPLOADS, ids=lambda kind: kind.front_end)
def test_disabled_in_the_directory_and_synced_everything_ends(
    kind: type[SlowUpload], server: QuaymasterServer, directory: Slapd
) -> None:
    """Transfers on every worker end within a second of the sync's commit; keys and API keys are dead, too."""
    name = f"leaver-{kind.front_end}"
    dn = person(server, directory, name)
    key, token = server.add_key(name), server.issue_api_key(name)
    home = server.home_of(name)
    with ExitStack() as stack:
        credential = Credential(name, PASSWORD)
        uploads = [
            stack.enter_context(kind(server.driver_ports, credential, f"file-{number}", 1000)) for number in range(6)
        ]
        for upload in uploads:
            upload.send()
        eventually(lambda: bytes_in_flight(home) > 0, what="the uploads to arrive")
        directory.set_locked(dn, permanently=True)
        watches = [Watch(upload, GIVE_UP_S) for upload in uploads]
        committed = threading.Thread(target=_wait_for_end, args=(server, name))
        committed.start()
        sync(server)
        committed.join()
        seen = time.monotonic()
        cuts = [watch.result() for watch in watches]

    assert all(cut is not None for cut in cuts)
    assert max(cut - seen for cut in cuts if cut is not None) < LIMIT_S
    eventually(lambda: not list(home.iterdir()), what="the uploads to be aborted")
    assert [outcome(driver, server, Credential(name, token)) for driver in DRIVERS] == [RefusalKind.SIGN_IN] * 3
    assert outcome(SftpDriver, server, Credential(name, private_key=key)) is RefusalKind.SIGN_IN


def _wait_for_end(server: QuaymasterServer, name: str) -> None:
    eventually(lambda: server.user(name).status != "active", what="the sync's commit", within_s=30)


def test_wrong_passwords_over_all_protocols_never_lock_the_account(server: QuaymasterServer, directory: Slapd) -> None:
    """Twelve workers together send the directory fewer than it takes to lock (L7)."""
    dn = person(server, directory, "target")
    guesses = [(driver, f"guess-{number}") for number in range(8) for driver in DRIVERS]

    def guess(one: tuple[type[Driver], str]) -> RefusalKind | None:
        return outcome(one[0], server, Credential("target", one[1]))

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(guess, guesses))

    assert None not in answers
    assert 0 < directory.binds(dn) < THRESHOLD
    server.forget_failures()
    assert outcome(SftpDriver, server, Credential("target", PASSWORD)) is None


def test_a_silent_directory_holds_up_nobody_else(server: QuaymasterServer, directory: Slapd) -> None:
    """Its users are told to try later within six seconds; other users sign in as quickly as ever meanwhile."""
    person(server, directory, "lively")
    server.add_user("local", password="right horse battery")
    names = [f"mute{number}" for number in range(10)]
    for name in names:
        server.store.apply(Provision("mute", Owner.LDAP, Method.LDAP, f"e-{name}", name), actor="test")
    for driver in DRIVERS:  # connections to the good directory are open, as in a server that runs
        outcome(driver, server, Credential("lively", PASSWORD))

    def timed(driver: type[Driver], name: str, secret: str) -> tuple[RefusalKind | None, float]:
        start = time.monotonic()
        return outcome(driver, server, Credential(name, secret)), time.monotonic() - start

    alone = max(timed(driver, "local", "right horse battery")[1] for driver in DRIVERS)
    with ThreadPoolExecutor(30) as pool:
        mute = [pool.submit(timed, driver, name, PASSWORD) for name in names for driver in DRIVERS]
        started = time.monotonic()
        eventually(lambda: time.monotonic() - started > OTHERS_S, what="the silent directory to be asked")
        others = [
            timed(driver, name, secret)
            for _ in range(3)
            for driver in DRIVERS
            for name, secret in (("local", "right horse battery"), ("lively", PASSWORD))
        ]
        told = [one.result() for one in mute]

    assert {kind for kind, _ in told} == {RefusalKind.TEMPORARY}
    assert max(seconds for _, seconds in told) < ANSWER_S + AROUND_S + alone
    assert [kind for kind, _ in others] == [None] * len(others)
    assert sorted(seconds for _, seconds in others)[-2] < OTHERS_S + alone  # one may meet a busy machine


def test_a_directory_that_is_down_is_try_later_and_keys_go_on(server: QuaymasterServer, authority: Authority) -> None:
    """The protocol's temporary error, counted against nobody; and with the directory back all is well."""
    with Slapd(authority) as other:
        dn = other.add_person("kept")
        said = server.cli(
            "provider", "add", "ldap", "shaky", "--vendor", "openldap", "--host", f"localhost:{other.tls_port}",
            "--ca-file", str(other.ca_file), "--base-dn", other.base_dn, "--bind-user", other.service_dn,
            "--bind-password-stdin", stdin=f"{other.service_password}\n",
        )  # fmt: skip
        assert said.returncode == 0, said.stderr
        said = server.cli("sync", "run", "shaky")
        assert said.returncode == 0, said.stderr
        key, token = server.add_key("kept"), server.issue_api_key("kept")
        up = [outcome(driver, server, Credential("kept", PASSWORD)) for driver in DRIVERS]
        other.stop()
        stopped = time.monotonic()
        eventually(lambda: time.monotonic() - stopped > MEMORY_S, what="the memory for WebDAV to pass")
        down = [outcome(driver, server, Credential("kept", PASSWORD)) for driver in DRIVERS for _ in range(3)]
        keys = [outcome(driver, server, Credential("kept", token)) for driver in DRIVERS]
        keys.append(outcome(SftpDriver, server, Credential("kept", private_key=key)))
        other.start()

        def back() -> bool:
            return all(outcome(driver, server, Credential("kept", PASSWORD)) is None for driver in DRIVERS)

        eventually(back, what="the breakers to close", within_s=30)

    assert dn
    assert up == [None] * 3
    assert down == [RefusalKind.TEMPORARY] * 9
    assert keys == [None] * 4


def test_nothing_of_a_password_is_in_log_database_or_audit(server: QuaymasterServer, directory: Slapd) -> None:
    """Wrong and right ones, by every protocol, and the service account's."""
    person(server, directory, "secretive")
    wrong = "Wr0ng-but-secret-9d2f"
    for driver in DRIVERS:
        outcome(driver, server, Credential("secretive", wrong))
        outcome(driver, server, Credential("secretive", PASSWORD))
    places = [server.log.encode(), *(path.read_bytes() for path in server.data.glob("quaymaster.db*"))]

    for secret in (wrong, PASSWORD, directory.service_password):
        assert [place for place in places if secret.encode() in place] == []
    grep = subprocess.run(["grep", "-rl", wrong, str(server.data)], capture_output=True, check=False)
    assert grep.stdout == b""


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.front_end)
def test_a_domains_user_types_any_of_four_names(driver: type[Driver], domain_server: QuaymasterServer) -> None:
    r"""sAMAccountName, userPrincipalName, ``DOMAIN\user`` and mail, on every protocol, at a real Active Directory."""
    domain_server.forget_failures()
    names = ("alice", "ALICE@corp.test", "CORP\\alice", "alice@mail.corp.test")
    password = SambaAd.password_of("alice")

    assert [outcome(driver, domain_server, Credential(name, password)) for name in names] == [None] * 4
    assert outcome(driver, domain_server, Credential("OTHER\\alice", password)) is RefusalKind.SIGN_IN
    assert outcome(driver, domain_server, Credential("CORP\\alice", "wrong")) is RefusalKind.SIGN_IN


@pytest.fixture(scope="module")
def domain_server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuaymasterServer]:
    """A server that follows the staff of a domain."""
    with SambaAd(authority) as domain:
        aliases = ("userPrincipalName", "mail")
        provider = provider_for(domain, user_base_dn=domain.staff_dn, alias_attributes=aliases)
        config = tmp_path_factory.mktemp("domain") / "site.toml"
        config.write_text(table("corp", provider))
        with QuaymasterServer(config=config) as running:
            sync(running)
            yield running
