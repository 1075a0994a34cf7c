"""What of a request's and an answer's body may be kept: everything but secrets, up to a size."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote_plus

MAX_KEPT = 16_000
MAX_DEPTH = 32
MASK = "***"
_SECRET = re.compile(
    r"pass(word|wd|phrase|code)|\bpwd\b|secret|credential|(private|api).?key|token|\bpin\b", re.IGNORECASE
)
_KEY_TEXT = re.compile(r"qms?_[0-9a-f]{32}_\w*", re.IGNORECASE)  # an API key or a SCIM token, wherever it stands
_TELLING = frozenset(
    {"path", "name", "filter", "type", "display"}
)  # members whose text may name what another one holds


def kept_body(raw: bytes) -> str:
    """Give a request's body for the log: JSON with the secrets masked; of what is no JSON, only its size."""
    if not raw:
        return ""
    if len(raw) > 4 * MAX_KEPT:
        return f"({len(raw)} bytes)"
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return f"({len(raw)} bytes that are no JSON)"
    return kept_json(body)


def kept_json(body: object) -> str:
    """Give JSON as a text with the secrets masked; what is too long is told by its size."""
    if body is None:
        return ""
    text = json.dumps(redacted(body), ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= MAX_KEPT else f"({len(text)} characters)"


def kept_path(path: str, query: str) -> str:
    """Give a request's path and query for the log; the values of parameters that name a secret are masked."""
    parts = [_kept_parameter(part) for part in query.split("&")] if query else []
    return masked(path) + (f"?{'&'.join(parts)}" if parts else "")


def _kept_parameter(part: str) -> str:
    name, equals, value = part.partition("=")
    if _SECRET.search(unquote_plus(name)) or _SECRET.search(unquote_plus(value)):
        return f"{name}{equals}{MASK}"
    return masked(part)


def masked(text: str) -> str:
    """Give a text without the keys and tokens of our own that stand in it."""
    return _KEY_TEXT.sub(MASK, text)


def redacted(value: Any, depth: int = 0) -> Any:
    """Give a copy in which every member that is called like a secret is masked.

    So is the text of a path, filter or name that speaks of one, and the value beside it.
    """
    if depth > MAX_DEPTH:
        return MASK
    match value:
        case dict():
            telling = {name for name in value if str(name).lower() in _TELLING and _names_secret(value[name])}
            hidden = telling | {name for name in value if telling and str(name).lower() == "value"}
            return {
                masked(str(name)): MASK if name in hidden or _SECRET.search(str(name)) else redacted(inner, depth + 1)
                for name, inner in value.items()
            }
        case list():
            return [redacted(inner, depth + 1) for inner in value]
        case str():
            return masked(value)
        case _:
            return value


def _names_secret(value: object) -> bool:
    return isinstance(value, str) and _SECRET.search(value) is not None
