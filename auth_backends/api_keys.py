"""API keys: ``qm_<key id>_<secret>_<checksum>``, see :mod:`auth_backends.secret_texts`."""

from __future__ import annotations

import re

from auth_backends.api import Secret
from auth_backends.secret_texts import IssuedSecret, ParsedSecret, SecretForm

PREFIX = "qm_"
SCIM_PREFIX = "qms_"
FORM = SecretForm(PREFIX)
_INVISIBLE = r"[\s\u200b-\u200f\u2060\ufeff]"  # white space, and what web pages and editors add unseen
_BEGINS = re.compile(rf"{_INVISIBLE}*(?:bearer{_INVISIBLE}+)?qms?_", re.IGNORECASE)
_ANYWHERE = re.compile(r"qms?_[0-9a-f]{32}_", re.IGNORECASE)

IssuedApiKey = IssuedSecret
ParsedApiKey = ParsedSecret


class MalformedApiKey(ValueError):
    """The text has not the form of an API key; it was looked up nowhere."""

    def __init__(self) -> None:
        super().__init__("not an API key: copy the whole key, from qm_ to the last character")


def issue() -> IssuedApiKey:
    """Make a new key."""
    return FORM.issue()


def parse(token: Secret) -> ParsedApiKey:
    """Take a key apart, or raise MalformedApiKey."""
    parsed = FORM.parse(token)
    if parsed is None:
        raise MalformedApiKey
    return parsed


def looks_like_api_key(secret: Secret) -> bool:
    """Whether a text sent as a password is meant as an API key, be it mistyped: such a text is never a password.

    That is what begins as a key does, in any case, behind white space or the word Bearer, and what has a key's prefix
    and id anywhere in it. A SCIM client's token typed here by mistake is none either, and must reach no directory.
    """
    text = secret.reveal()
    return _BEGINS.match(text) is not None or _ANYWHERE.search(text) is not None
