"""The text form of API keys: ``qm_<key id>_<secret>_<checksum>``.

The key id is 32 hex digits and public; the secret is 256 random bits in base62 (43 characters);
the checksum is CRC-32 of all before it in base62 (6 characters) and catches a typing error before
any look-up. At rest there is only SHA-256 of the secret: a random secret needs no slow hash.
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

PREFIX = "qm_"
SECRET_BITS = 256
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"({PREFIX}([0-9a-f]{{32}})_([0-9A-Za-z]{{{SECRET_LENGTH}}}))_([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")


class MalformedApiKey(ValueError):
    """The text has not the form of an API key; it was looked up nowhere."""

    def __init__(self) -> None:
        super().__init__("not an API key: copy the whole key, from qm_ to the last character")


@dataclass(frozen=True, slots=True)
class IssuedApiKey:
    """A new key: ``token`` is shown once, ``id`` and ``digest`` are kept."""

    id: str
    token: Secret
    digest: bytes


@dataclass(frozen=True, slots=True)
class ParsedApiKey:
    """A key as a client sent it: its public id and the digest of its secret."""

    id: str
    digest: Secret

    def proves(self, digest: bytes) -> bool:
        """Whether the secret has this digest; constant time."""
        return hmac.compare_digest(self.digest.reveal(), digest.hex())


def issue() -> IssuedApiKey:
    """Make a new key."""
    key_id = secrets.token_hex(16)
    secret = _base62(secrets.randbits(SECRET_BITS), SECRET_LENGTH)
    body = f"{PREFIX}{key_id}_{secret}"
    return IssuedApiKey(key_id, Secret(f"{body}_{_checksum(body)}"), _digest(secret))


def parse(token: Secret) -> ParsedApiKey:
    """Take a key apart, or raise MalformedApiKey."""
    found = _FORM.fullmatch(token.reveal())
    if found is None or not hmac.compare_digest(_checksum(found[1]), found[4]):
        raise MalformedApiKey
    return ParsedApiKey(found[2], Secret(_digest(found[3]).hex()))


def looks_like_api_key(secret: Secret) -> bool:
    """Whether a text sent as a password is meant as an API key, be it mistyped: such a text is never a password."""
    return secret.reveal().startswith(PREFIX)


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
