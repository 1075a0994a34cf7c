"""Secrets in the database: sealed under the site key, which is a file and never in the database.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce for each sealing. The place where a secret
is kept is authenticated with it, so that a sealed text moved to another place does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.database.errors import StoreUnavailable

VERSION = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12
MODE = 0o600


class SiteKey:
    """One site's key: 32 random bytes. It has no text form."""

    __slots__ = ("_cipher", "id")

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.id = hashlib.sha256(b"quaymaster site key" + key).hexdigest()[:8]
        """Tells two keys apart without telling anything of them; stands in every sealed text."""

    def seal(self, text: str, place: str) -> str:
        """Encrypt a text for one place, such as ``provider/corp/bind_password``."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())
        return f"{VERSION}:{self.id}:{base64.b64encode(sealed).decode('ascii')}"

    def sealed(self, text: str) -> bool:
        """Whether a text was sealed under this key."""
        return text.split(":")[1:2] == [self.id]

    def unseal(self, sealed: str, place: str) -> str:
        """Decrypt what was sealed for this place. Raises StoreUnavailable, with words for an admin."""
        version, _, rest = sealed.partition(":")
        key_id, _, coded = rest.partition(":")
        if version != VERSION:
            raise StoreUnavailable(f"The secret {place} is sealed in a way that this release does not know.")
        if key_id != self.id:
            raise StoreUnavailable(
                f"The secret {place} is sealed under another site key ({key_id}, this one is {self.id}); "
                "give this machine the site's key file, or set the secret anew."
            )
        try:
            raw = base64.b64decode(coded, validate=True)
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode()).decode()
        except (binascii.Error, InvalidTag, ValueError):
            raise StoreUnavailable(f"The secret {place} is damaged; set it anew.") from None


def load_site_key(path: Path) -> SiteKey:
    """Read the key from its file. Raises StoreUnavailable, with words for an admin."""
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise StoreUnavailable(f"The site key {path} cannot be read: {error.strerror}.") from None
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise StoreUnavailable(f"The site key {path} is not a key of {KEY_BYTES} bytes in base64.")
    return SiteKey(key)


def ensure_site_key(path: Path) -> SiteKey:
    """Read the key, or make it where there is no file yet. Raises StoreUnavailable.

    Two processes that make it at once agree: the file appears whole, and the first one stays.
    """
    if not path.exists():
        _make(path)
    return load_site_key(path)


def _make(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                path.hardlink_to(temporary)  # fails where another process was first
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"The site key {path} cannot be made: {error.strerror}.") from None
