"""``quaymaster doctor``: each check sees the fault it is for, and nothing is changed by looking."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from config.loading import load_settings
from config.settings import Settings
from server.cli.checks import Check, Outcome, run_checks
from server.cli.checks.keys import check_certificate, check_host_keys
from server.runtime.keys import ensure_keys
from tests.support.cli import Cli
from tests.support.one_time_codes import enrol


@pytest.fixture
def ports() -> dict[str, str]:
    """Variables that give every listener a port that was free a moment ago."""
    with socket.socket() as a, socket.socket() as b, socket.socket() as c, socket.socket() as d:
        for one in (a, b, c, d):
            one.bind(("127.0.0.1", 0))
        numbers = [str(one.getsockname()[1]) for one in (a, b, c, d)]
    names = ("SFTP__PORT", "FTPS__PORT", "FTPS__IMPLICIT_PORT", "HTTP__PORT")
    return {
        "QUAYMASTER_FTPS__PASSIVE_PORTS": "1025-1026",
        **{f"QUAYMASTER_{name}": number for name, number in zip(names, numbers, strict=True)},
    }


@pytest.fixture
def settings(fresh_cli: Cli, ports: dict[str, str]) -> Settings:
    return load_settings(None, {"QUAYMASTER_DATA": str(fresh_cli.data), **ports})


@pytest.fixture
def taken(settings: Settings) -> Iterator[socket.socket]:
    """Somebody listens on the SFTP port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", settings.sftp.port))
        listener.listen()
        yield listener


def found(settings: Settings, name: str) -> Check:
    return next(check for check in run_checks(settings) if check.name == name)


def test_a_fresh_machine_has_nothing_to_correct(settings: Settings) -> None:
    """Before the first start no check fails, and looking makes no file."""
    failed = [check for check in run_checks(settings) if check.outcome is Outcome.FAIL]

    assert failed == []
    assert not settings.data.exists()


def test_every_warning_and_failure_says_what_to_do(settings: Settings) -> None:
    """A finding without advice helps nobody."""
    settings.data.mkdir(mode=0o755)

    assert [check for check in run_checks(settings) if check.outcome is not Outcome.OK and not check.advice] == []


def test_json_and_exit_code(fresh_cli: Cli, ports: dict[str, str]) -> None:
    """``ok`` and the exit code agree; each check has name, outcome, detail and advice."""
    good = fresh_cli.run("doctor", "--json", env=ports)
    fresh_cli.data.mkdir(mode=0o755)
    bad = fresh_cli.run("doctor", "--json", env=ports)
    words = fresh_cli.run("doctor", env=ports)

    assert (good.code, good.data["ok"]) == (0, True)
    assert (bad.code, bad.data["ok"]) == (1, False)
    assert {tuple(check) for check in bad.data["checks"]} == {("name", "outcome", "detail", "advice")}
    assert words.code == 1
    assert "chmod 700" in words.out


def test_an_open_data_folder_fails(settings: Settings) -> None:
    """Keys and database would be readable by others."""
    settings.data.mkdir(mode=0o750)

    assert found(settings, "data folder").outcome is Outcome.FAIL


def test_a_data_folder_that_cannot_be_made_fails(settings: Settings, tmp_path: Path) -> None:
    """The check finds it before the first start does."""
    (tmp_path / "file").touch()
    nowhere = settings.model_copy(update={"data": tmp_path / "file" / "data"})

    assert found(nowhere, "data folder").outcome is Outcome.FAIL


def test_a_broken_database_fails(settings: Settings) -> None:
    """A file that is no database, and a server that does not answer."""
    settings.data.mkdir(mode=0o700)
    (settings.data / "quaymaster.db").write_bytes(b"not a database" * 100)
    silent = load_settings(
        None, {"QUAYMASTER_DATABASE__URL": f"postgresql://q:hunter2@127.0.0.1:{settings.http.port}/q"}
    )

    assert found(settings, "database").outcome is Outcome.FAIL
    assert found(silent, "database").outcome is Outcome.FAIL
    assert "refused" in found(silent, "database").detail
    assert "hunter2" not in f"{run_checks(silent)}"


def test_users_are_counted(fresh_cli: Cli, settings: Settings) -> None:
    """No users, no admin, no break-glass admin, one without codes, all good: five findings."""
    assert found(settings, "users").detail == "none yet"
    fresh_cli.ok("user", "add", "anna", "--method=none")
    assert "none of them an admin" in found(settings, "users").detail
    fresh_cli.ok("user", "add", "root", "--method=none", "--admin")
    assert "no break-glass admin" in found(settings, "users").detail
    fresh_cli.ok("user", "add", "glass", "--method=local", "--break-glass")
    assert "without one-time codes, who cannot sign in: glass" in found(settings, "users").detail
    enrol(fresh_cli, "glass")

    assert found(settings, "users").outcome is Outcome.OK


@pytest.mark.parametrize(("greeting", "outcome"), [(b"SSH-2.0-x\r\n", Outcome.OK), (b"220 smtp\r\n", Outcome.FAIL)])
def test_a_taken_port_is_looked_at(settings: Settings, taken: socket.socket, greeting: bytes, outcome: Outcome) -> None:
    """A listener that greets like SSH is taken for our own; any other program is told."""

    def greet() -> None:
        client, _ = taken.accept()
        with client:
            client.sendall(greeting)

    greeter = threading.Thread(target=greet)
    greeter.start()
    check = found(settings, f"port {settings.sftp.port}")
    greeter.join(10)

    assert check.outcome is outcome


def test_generated_keys_are_good(settings: Settings) -> None:
    """What the first start makes passes; a key that others can read, or is gone, does not."""
    files = ensure_keys(settings)

    assert (check_host_keys(settings).outcome, check_certificate(settings).outcome) == (Outcome.OK, Outcome.OK)
    files.ssh_host_keys[0].chmod(0o640)
    assert check_host_keys(settings).outcome is Outcome.FAIL
    files.ssh_host_keys[0].unlink()
    assert check_host_keys(settings).outcome is Outcome.WARN
    files.tls_key.chmod(0o644)
    assert "chmod 600" in check_certificate(settings).advice
    files.tls_key.write_text("nonsense")
    assert "cannot be read" in check_certificate(settings).detail


@pytest.mark.parametrize(
    ("days", "outcome", "word"),
    [
        ((-10, 90), Outcome.OK, "valid until"),
        ((-10, 10), Outcome.WARN, "expires on"),
        ((-10, -1), Outcome.FAIL, "expired on"),
        ((1, 90), Outcome.FAIL, "valid only from"),
    ],
)
def test_the_dates_of_the_certificate(
    settings: Settings, tmp_path: Path, days: tuple[int, int], outcome: Outcome, word: str
) -> None:
    """Good, soon over, over, and not yet begun."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_pair(tmp_path, key, key, *days)
    tls = settings.tls.model_copy(update={"certificate": tmp_path / "cert.pem", "key": tmp_path / "key.pem"})

    check = check_certificate(settings.model_copy(update={"tls": tls}))

    assert check.outcome is outcome
    assert word in check.detail


def test_a_key_of_another_certificate_fails(settings: Settings, tmp_path: Path) -> None:
    """Both files are good alone and do not belong together."""
    write_pair(tmp_path, ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1()), -1, 90)
    tls = settings.tls.model_copy(update={"certificate": tmp_path / "cert.pem", "key": tmp_path / "key.pem"})

    assert "is not the key of" in check_certificate(settings.model_copy(update={"tls": tls})).detail


def write_pair(
    folder: Path, key: ec.EllipticCurvePrivateKey, written: ec.EllipticCurvePrivateKey, first: int, last: int
) -> None:
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "files.example.org")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + dt.timedelta(days=first))
        .not_valid_after(now + dt.timedelta(days=last))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(written.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "key.pem").chmod(0o600)
