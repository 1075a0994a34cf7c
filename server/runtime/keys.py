"""The server's own keys: SSH host keys and a self-signed certificate, made once and kept."""

from __future__ import annotations

import base64
import datetime as dt
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes, PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from auth_backends.ssh_keys import fingerprint
from config.settings import Settings
from server.services import KeyFiles

PRIVATE = 0o600
PUBLIC = 0o644
RSA_BITS = 3072
CERTIFICATE_DAYS = 825  # the longest that Apple's clients accept
RENEW_DAYS = 30

_HOST_KEYS: dict[str, Callable[[], PrivateKeyTypes]] = {
    "ssh_host_ed25519": ed25519.Ed25519PrivateKey.generate,
    "ssh_host_ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ssh_host_rsa": lambda: rsa.generate_private_key(65537, RSA_BITS),
}


def key_files(settings: Settings) -> KeyFiles:
    """Name the files, whether they exist yet or not."""
    folder = settings.data / "keys"
    return KeyFiles(
        ssh_host_keys=tuple(folder / f"{name}.pem" for name in _HOST_KEYS),
        tls_certificate=settings.tls.certificate or folder / "tls.pem",
        tls_key=settings.tls.key or folder / "tls.key",
    )


def ensure_keys(settings: Settings) -> KeyFiles:
    """Make the keys that are missing; those that exist are left alone.

    A generated certificate that is about to expire, or does not name the address listened on, is made anew with its
    old key. Raises OSError.
    """
    files = key_files(settings)
    folder = settings.data / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(_HOST_KEYS) + 1) as pool:  # RSA takes longest and runs outside the GIL
        jobs = [
            pool.submit(_ensure_host_key, path, make)
            for path, make in zip(files.ssh_host_keys, _HOST_KEYS.values(), strict=True)
        ]
        if settings.tls.certificate is None:
            jobs.append(pool.submit(_ensure_certificate, files, _addresses(settings)))
        for job in jobs:
            job.result()
    return files


def write_atomically(path: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """Write a whole file under ``path``, or nothing; its mode is never wider than ``mode``, not even briefly."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _ensure_host_key(path: Path, make: Callable[[], PrivateKeyTypes]) -> None:
    if not path.exists():
        write_atomically(path, _pem(make()))


def _addresses(settings: Settings) -> tuple[str, ...]:
    """List where this machine reaches the server: the loopback, and the address that it listens on if there is one."""
    loopback = ("127.0.0.1", "::1")
    listen = ip_address(settings.listen)
    return loopback if listen.is_unspecified or str(listen) in loopback else (*loopback, str(listen))


def _ensure_certificate(files: KeyFiles, addresses: Sequence[str]) -> None:
    if not files.tls_key.exists():
        write_atomically(files.tls_key, _pem(ec.generate_private_key(ec.SECP256R1())))
        files.tls_certificate.unlink(missing_ok=True)
    if files.tls_certificate.exists():
        present = x509.load_pem_x509_certificate(files.tls_certificate.read_bytes())
        lasting = present.not_valid_after_utc - dt.datetime.now(dt.UTC) > dt.timedelta(days=RENEW_DAYS)
        if lasting and _names(present).issuperset(addresses):
            return
    key = serialization.load_pem_private_key(files.tls_key.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        message = f"{files.tls_key} holds a kind of key that no TLS client accepts; remove it to have a new one made"
        raise OSError(message)
    certificate = self_signed(key, hostname=socket.gethostname(), addresses=addresses)
    write_atomically(files.tls_certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=PUBLIC)


def _names(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def self_signed(
    key: CertificateIssuerPrivateKeyTypes, *, hostname: str, addresses: Sequence[str] = ("127.0.0.1", "::1")
) -> x509.Certificate:
    """Make a certificate for this machine that clients can be told to trust as its own authority."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Quaymaster (self-signed)")])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        *(x509.IPAddress(ip_address(address)) for address in addresses),
    ]
    if hostname.isascii() and hostname not in {"", "localhost"}:
        names.append(x509.DNSName(hostname))
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        key_encipherment=isinstance(key, rsa.RSAPrivateKey),
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def host_fingerprints(files: KeyFiles) -> tuple[str, ...]:
    """Give each host key's type and fingerprint as ``ssh-keygen -l`` prints them."""
    lines = (_public_line(path).split() for path in files.ssh_host_keys)
    return tuple(f"{kind} {fingerprint(base64.b64decode(blob))}" for kind, blob in lines)


def write_known_hosts(settings: Settings, files: KeyFiles) -> Path:
    """Write a known_hosts file for clients on this machine, so that a demo's clients can check the host keys."""
    port = settings.sftp.port
    names = ",".join(f"[{host}]:{port}" for host in dict.fromkeys(("127.0.0.1", "localhost", *_addresses(settings))))
    text = "".join(f"{names} {_public_line(path)}\n" for path in files.ssh_host_keys)
    target = settings.data / "keys" / "known_hosts"
    write_atomically(target, text.encode(), mode=PUBLIC)
    return target


def _public_line(path: Path) -> str:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode("ascii")
