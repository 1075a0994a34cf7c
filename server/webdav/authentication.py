"""The Authorization header: Basic over TLS and Bearer, nothing else (RFC 7617, RFC 6750)."""

from __future__ import annotations

import base64
import binascii

from auth_backends.api import ApiKeyToken, Password, Secret
from auth_backends.credentials import credential_from_password

REALM = "Quaymaster"
CHALLENGE = f'Basic realm="{REALM}", charset="UTF-8"'

MAX_HEADER_CHARACTERS = 8192


class NoCredential(Exception):
    """There is no Authorization header, or it holds nothing that could be checked: 401."""


def credential_from(header: str | None) -> Password | ApiKeyToken:
    r"""Read the header's value (latin-1 text, as HTTP gives it). Raises NoCredential.

    The user name is taken as it stands, also with ``DOMAIN\\`` before it: whether such a name
    exists is for the broker to say.
    """
    if header is None or len(header) > MAX_HEADER_CHARACTERS:
        raise NoCredential
    scheme, _, rest = header.strip().partition(" ")
    value = rest.strip()
    match scheme.lower():
        case "basic":
            username, colon, password = _decoded(value).partition(":")
            if not colon:
                raise NoCredential
            return credential_from_password(username, Secret(password))
        case "bearer" if value:
            return ApiKeyToken(None, Secret(value))
        case _:
            raise NoCredential


def _decoded(value: str) -> str:
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise NoCredential from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")  # clients from before RFC 7617 send their own code page
