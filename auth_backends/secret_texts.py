"""The text form of secrets that we make: ``<prefix><id>_<secret>_<checksum>``.

The id is 32 hex digits and public; the secret is 256 random bits in base62 (43 characters); the
checksum is CRC-32 of all before it in base62 (6 characters) and catches a typing error before any
look-up. At rest there is only SHA-256 of the secret: a random secret needs no slow hash.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass

from auth_backends.api import Secret

SECRET_BITS = 256
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


@dataclass(frozen=True, slots=True)
class IssuedSecret:
    """A new secret: ``token`` is shown once, ``id`` and ``digest`` are kept."""

    id: str
    token: Secret
    digest: bytes


@dataclass(frozen=True, slots=True)
class ParsedSecret:
    """A secret as a client sent it: its public id and the digest of its secret part."""

    id: str
    digest: Secret

    def proves(self, digest: bytes) -> bool:
        """Whether the secret has this digest; constant time."""
        return hmac.compare_digest(self.digest.reveal(), digest.hex())


class SecretForm:
    """The texts of one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._form = re.compile(
            rf"({prefix}([0-9a-f]{{32}})_([0-9A-Za-z]{{{SECRET_LENGTH}}}))_([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
        )

    def issue(self) -> IssuedSecret:
        """Make a new secret."""
        public = secrets.token_hex(16)
        secret = _base62(secrets.randbits(SECRET_BITS), SECRET_LENGTH)
        body = f"{self.prefix}{public}_{secret}"
        return IssuedSecret(public, Secret(f"{body}_{_checksum(body)}"), _digest(secret))

    def parse(self, token: Secret) -> ParsedSecret | None:
        """Take a secret apart; None if the text has not this form or was typed wrongly."""
        found = self._form.fullmatch(token.reveal())
        if found is None or not hmac.compare_digest(_checksum(found[1]), found[4]):
            return None
        return ParsedSecret(found[2], Secret(_digest(found[3]).hex()))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _checksum(body: str) -> str:
    return _base62(binascii.crc32(body.encode("ascii")), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
