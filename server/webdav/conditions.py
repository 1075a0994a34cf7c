"""HTTP preconditions (RFC 9110 section 13): a pure decision over headers and facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Facts:
    """What is at the target now: the strong entity tag without quotes (None for a directory), whole seconds."""

    etag: str | None
    modified_s: int


class Outcome(Enum):
    """What the preconditions say."""

    PROCEED = auto()
    NOT_MODIFIED = auto()
    FAILED = auto()


def evaluate(environ: Mapping[str, object], facts: Facts | None, *, safe: bool) -> Outcome:
    """Decide in the order of RFC 9110 section 13.2.2; ``facts`` None means that nothing is there.

    ``safe`` says that the method is GET, HEAD or PROPFIND.
    """
    if_match = environ.get("HTTP_IF_MATCH")
    if if_match is not None:
        if not _matches(str(if_match), facts, weak=False):
            return Outcome.FAILED
    elif facts is not None:
        limit = http_date(environ.get("HTTP_IF_UNMODIFIED_SINCE"))
        if limit is not None and facts.modified_s > limit:
            return Outcome.FAILED
    if_none_match = environ.get("HTTP_IF_NONE_MATCH")
    if if_none_match is not None:
        if _matches(str(if_none_match), facts, weak=True):
            return Outcome.NOT_MODIFIED if safe else Outcome.FAILED
    elif safe and facts is not None:
        since = http_date(environ.get("HTTP_IF_MODIFIED_SINCE"))
        if since is not None and facts.modified_s <= since:
            return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def range_still_valid(if_range: str, facts: Facts) -> bool:
    """Whether an If-Range header (RFC 9110 section 13.1.5) lets the Range header count."""
    text = if_range.strip()
    if text.startswith('"'):
        return facts.etag is not None and text == f'"{facts.etag}"'
    return http_date(text) == facts.modified_s


def http_date(value: object) -> int | None:
    """Read an HTTP date as Unix seconds; None if it is missing or no date (then the header is ignored)."""
    if not isinstance(value, str):
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return int(moment.timestamp())
    except (OverflowError, ValueError):
        return None


def _matches(header: str, facts: Facts | None, *, weak: bool) -> bool:
    if facts is None:
        return False
    if header.strip() == "*":
        return True
    if facts.etag is None:
        return False
    for item in header.split(","):
        tag = item.strip()
        if weak:
            tag = tag.removeprefix("W/")
        if tag == f'"{facts.etag}"' or (tag == facts.etag and '"' not in tag):  # some clients leave the quotes out
            return True
    return False
