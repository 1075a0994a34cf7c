"""What the values of a change must be; pure functions that raise InvalidChange with the reason."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from ipaddress import ip_network

from storage.database.errors import InvalidChange
from storage.database.names import shown
from storage.database.records import Method, Owner, Role, User

PROTOCOLS = frozenset({"sftp", "ftps", "webdav", "api", "portal"})
LOCAL_METHODS = frozenset({Method.LOCAL, Method.LOCAL_KEY})
DIRECTORY_OWNERS = frozenset({Owner.SCIM, Owner.LDAP})
MAX_TEXT = 256
MAX_BYTES = 2**63 - 1
_TOKEN = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)


def text(value: str, what: str, *, limit: int = MAX_TEXT, required: bool = False) -> str:
    """Give a text for people as it is, unless it is too long or has control characters."""
    if shown(value, limit) != value:
        raise InvalidChange(f"{what} has at most {limit} characters and no control characters.")
    if required and not value:
        raise InvalidChange(f"{what} must not be empty.")
    return value


def token(value: str, what: str) -> str:
    """Give a word of small ASCII letters, digits and ``_ . -``, at most 64 characters."""
    if not _TOKEN.fullmatch(value):
        raise InvalidChange(f"{what} must be a word of small letters, digits, and . _ -")
    return value


def tokens(values: Iterable[str], what: str) -> list[str]:
    """Give words as a sorted list."""
    return sorted({token(value, what) for value in values})


def protocols(values: Iterable[str]) -> list[str]:
    """Give protocols as a sorted list; an unknown one is refused, because it would lock the user out."""
    chosen = set(values)
    if unknown := chosen - PROTOCOLS:
        raise InvalidChange(f"Unknown protocol {shown(min(unknown))!r}; known are {', '.join(sorted(PROTOCOLS))}.")
    return sorted(chosen)


def networks(values: Iterable[str]) -> list[str]:
    """Give networks in CIDR form; a single address is a network of one."""
    try:
        return [str(ip_network(value.strip())) for value in values]
    except ValueError as error:
        raise InvalidChange(f"Not a network: {shown(str(error))}.") from None


def size(value: int | None, what: str) -> int | None:
    """Give a number of bytes, or None for no limit."""
    if value is not None and not 0 <= value <= MAX_BYTES:
        raise InvalidChange(f"{what} must be 0 or more bytes.")
    return value


def moment(value: float | None) -> float | None:
    """Give a time in Unix seconds, or None for never."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InvalidChange("A time must be a positive number of Unix seconds.")
    return value


def path(value: str) -> str:
    """Give an absolute path in NFC without empty, ``.`` or ``..`` segments; ``/`` is the root."""
    normal = unicodedata.normalize("NFC", value)
    segments = normal.split("/")[1:]
    odd = any(segment in {"", ".", ".."} for segment in segments) and normal != "/"
    if not normal.startswith("/") or odd or shown(normal, 4096) != normal:
        raise InvalidChange("A path begins with / and has no empty, . or .. segment.")
    return normal


def user(record: User) -> None:
    """Check what a user's fields must be together.

    A break-glass admin must work when every provider is down, and must never end by a clock.
    """
    if not record.break_glass:
        return
    if record.method is not Method.LOCAL or record.role is not Role.ADMIN:
        raise InvalidChange("A break-glass user is an admin with the method local; clear break-glass first.")
    if record.expires_at is not None:
        raise InvalidChange("A break-glass admin cannot expire.")
    if record.protocols and "portal" not in record.protocols:
        raise InvalidChange("A break-glass admin signs in at the portal only, so its protocols must include portal.")
    if record.managed_by in DIRECTORY_OWNERS:
        raise InvalidChange("A break-glass admin cannot be managed by SCIM or LDAP.")
