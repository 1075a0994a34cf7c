"""The key and certificate that SAML providers know us by: made once, kept in one file."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from auth_backends.api import Secret
from auth_backends.saml.parties import KeyPair, new_key_pair
from auth_backends.sso import SsoReason, SsoRefused

_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_KEY = "PRIVATE KEY-----"


def own_key(path: Path, common_name: str, now: float) -> KeyPair:
    """Read the key pair, or make it where there is no file yet; two workers that do so at once agree.

    Raises SsoRefused, with words for an admin.
    """
    try:
        if not path.exists():
            _keep(path, new_key_pair(common_name, now))
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SsoRefused(SsoReason.NOT_CONFIGURED, f"our SAML key {path} cannot be read or made: {error}") from None
    key, found, certificate = text.partition(_CERTIFICATE)
    if not found or _KEY not in key:
        raise SsoRefused(SsoReason.NOT_CONFIGURED, f"{path} must hold a private key and behind it its certificate")
    return KeyPair(Secret(key), found + certificate)


def _keep(path: Path, pair: KeyPair) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(pair.private_key_pem.reveal() + pair.certificate_pem)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(temporary)  # fails where another worker was first
    finally:
        temporary.unlink(missing_ok=True)
