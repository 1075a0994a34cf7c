"""What of a request's and an answer's body may be kept: everything but secrets, up to a size."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_KEPT = 16_000
MAX_DEPTH = 32
MASK = "***"
_SECRET = re.compile(r"pass(word|wd|phrase)|secret|credential|private.?key|token", re.IGNORECASE)


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


def redacted(value: Any, depth: int = 0) -> Any:
    """Give a copy in which every member that is called like a secret is masked, and a PATCH's value at such a path."""
    if depth > MAX_DEPTH:
        return MASK
    match value:
        case dict():
            hides = any(_SECRET.search(str(value[name])) for name in value if str(name).lower() == "path")
            return {
                name: MASK if _SECRET.search(str(name)) or (hides and str(name).lower() == "value") else inner
                for name, inner in ((name, redacted(inner, depth + 1)) for name, inner in value.items())
            }
        case list():
            return [redacted(inner, depth + 1) for inner in value]
        case _:
            return value
