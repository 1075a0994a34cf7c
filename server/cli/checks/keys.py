"""Checks of the host keys and the certificate."""

from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from config.settings import Settings
from server.cli.checks.check import Check, fail, ok, warn
from server.runtime.keys import key_files

SOON = dt.timedelta(days=21)


def check_host_keys(settings: Settings) -> Check:
    """Host keys exist and nobody else can read them."""
    files = key_files(settings).ssh_host_keys
    missing = [path for path in files if not path.exists()]
    if len(missing) == len(files):
        return ok("host keys", "made at the first start")
    if missing:
        return warn("host keys", f"{missing[0]} is missing", "it is made anew at start; clients will see another key")
    if open_ones := [path for path in files if _open_to_others(path)]:
        return fail("host keys", f"{open_ones[0]} can be read by others", f"run: chmod 600 {open_ones[0]}")
    return ok("host keys", f"{len(files)} in {files[0].parent}")


def check_certificate(settings: Settings) -> Check:
    """The certificate is valid now and for a while, its key belongs to it, and nobody else can read the key."""
    files = key_files(settings)
    if settings.tls.certificate is None and not files.tls_certificate.exists():
        return ok("certificate", "a self-signed one is made at the first start")
    try:
        certificate = x509.load_pem_x509_certificate(files.tls_certificate.read_bytes())
        key = load_pem_private_key(files.tls_key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        return fail("certificate", f"cannot be read: {error}", "correct tls.certificate and tls.key, two PEM files")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        return fail("certificate", f"{files.tls_key} is not the key of {files.tls_certificate}", "set the pair anew")
    if _open_to_others(files.tls_key):
        return fail("certificate", f"{files.tls_key} can be read by others", f"run: chmod 600 {files.tls_key}")
    return _dates(certificate, dt.datetime.now(dt.UTC))


def _dates(certificate: x509.Certificate, now: dt.datetime) -> Check:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < first:
        return fail("certificate", f"valid only from {first:%Y-%m-%d %H:%M} UTC", "check the clock and the certificate")
    if now >= last:
        return fail("certificate", f"expired on {last:%Y-%m-%d}", "renew it, then send SIGHUP to the server")
    kind = "self-signed, " if certificate.issuer == certificate.subject else ""
    if last - now < SOON:
        return warn("certificate", f"{kind}expires on {last:%Y-%m-%d}", "renew it, then send SIGHUP to the server")
    return ok("certificate", f"{kind}valid until {last:%Y-%m-%d}")


def _open_to_others(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
