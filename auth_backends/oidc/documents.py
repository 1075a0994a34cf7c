"""Reading JSON from strangers."""

from __future__ import annotations

import hmac
import json

from auth_backends.sso import SsoReason, SsoRefused


def json_object(raw: bytes | str, what: str) -> dict[str, object]:
    """Read a JSON object in UTF-8 whose names each stand once. Raises SsoRefused, in words of ``what``."""
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise SsoRefused(SsoReason.MALFORMED, f"{what} is not JSON, or says something twice") from None
    if not isinstance(document, dict):
        raise SsoRefused(SsoReason.MALFORMED, f"{what} is not a JSON object")
    return document


def printable(text: object, limit: int = 300) -> str:
    """Give a stranger's text on one line and not too long; empty for what is no text."""
    if not isinstance(text, str):
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in text[:limit]).strip()


def same_text(value: object, expected: str) -> bool:
    """Whether a stranger's value is this text; in constant time, and never for an empty one."""
    if not isinstance(value, str) or not expected:
        return False
    return hmac.compare_digest(value.encode(errors="surrogatepass"), expected.encode(errors="surrogatepass"))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError
    return document


def _no_number(name: str) -> object:
    raise ValueError(name)
