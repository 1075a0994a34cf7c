"""The server's own keys: made once, private, kept."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from config.settings import Settings, SftpSettings
from server.runtime import keys
from server.runtime.keys import ensure_keys, host_fingerprints, write_atomically, write_known_hosts


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data=tmp_path_factory.mktemp("data"), sftp=SftpSettings(port=2345))


def test_each_kind_of_host_key_is_made_in_pkcs8(settings: Settings) -> None:
    """Ed25519, ECDSA P-256 and RSA with 3072 bits, readable by their owner alone."""
    files = ensure_keys(settings)
    loaded = [serialization.load_pem_private_key(path.read_bytes(), None) for path in files.ssh_host_keys]
    modes = {path.stat().st_mode & 0o777 for path in (*files.ssh_host_keys, files.tls_key)}

    assert isinstance(loaded[0], ed25519.Ed25519PrivateKey)
    assert isinstance(loaded[1], ec.EllipticCurvePrivateKey)
    assert isinstance(loaded[1].curve, ec.SECP256R1)
    assert isinstance(loaded[2], rsa.RSAPrivateKey)
    assert loaded[2].key_size == 3072
    assert modes == {0o600}
    assert all(path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----") for path in files.ssh_host_keys)


def test_a_second_start_keeps_every_key(settings: Settings) -> None:
    """Clients that trust the keys go on trusting them."""
    files = ensure_keys(settings)
    before = [path.read_bytes() for path in (*files.ssh_host_keys, files.tls_key, files.tls_certificate)]
    ensure_keys(settings)

    assert before == [path.read_bytes() for path in (*files.ssh_host_keys, files.tls_key, files.tls_certificate)]


def test_the_certificate_names_this_machine_and_can_be_trusted_as_it_is(settings: Settings) -> None:
    """Localhost and both loopback addresses are in it, and a client may take it as its own authority."""
    files = ensure_keys(settings)
    certificate = x509.load_pem_x509_certificate(files.tls_certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    context = ssl.create_default_context(cafile=str(files.tls_certificate))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.tls_certificate, files.tls_key)

    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}
    assert context.cert_store_stats()["x509_ca"] == 1


def test_a_certificate_that_runs_out_is_renewed_with_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever pinned the key still knows the server."""
    settings = Settings(data=tmp_path)
    monkeypatch.setattr(keys, "CERTIFICATE_DAYS", 5)
    first = ensure_keys(settings)
    old, key = first.tls_certificate.read_bytes(), first.tls_key.read_bytes()
    monkeypatch.setattr(keys, "CERTIFICATE_DAYS", 825)
    ensure_keys(settings)
    renewed = x509.load_pem_x509_certificate(first.tls_certificate.read_bytes())

    assert first.tls_certificate.read_bytes() != old
    assert first.tls_key.read_bytes() == key
    assert renewed.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=800)


def test_known_hosts_fit_the_keys(settings: Settings) -> None:
    """The file names the port, and its keys are those whose fingerprints are shown."""
    files = ensure_keys(settings)
    lines = write_known_hosts(settings, files).read_text().splitlines()

    assert len(lines) == 3
    assert lines[0].startswith("[127.0.0.1]:2345,[localhost]:2345,[::1]:2345 ssh-ed25519 AAAA")
    assert [line.split()[0] for line in host_fingerprints(files)] == [line.split()[1] for line in lines]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves neither half a key under its name nor a temporary file."""
    target = tmp_path / "key.pem"

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, b"secret")

    assert list(tmp_path.iterdir()) == []


def test_the_address_listened_on_is_in_what_clients_are_given(tmp_path: Path) -> None:
    """Also when it was set after the first start: the certificate is made anew, its key stays."""
    before = ensure_keys(Settings(data=tmp_path))
    key = before.tls_key.read_bytes()
    moved = Settings(data=tmp_path, listen="192.0.2.7")
    files = ensure_keys(moved)
    certificate = x509.load_pem_x509_certificate(files.tls_certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1", "192.0.2.7"}
    assert files.tls_key.read_bytes() == key
    assert "[192.0.2.7]:2022" in write_known_hosts(moved, files).read_text()
