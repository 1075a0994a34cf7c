"""Reads the values of options: sizes, times, networks, protocols, rights, passwords."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import typer

from auth_backends.api import FrontEnd, Secret
from server.cli.output import Failure
from storage.files.permissions import PRESETS, parse_rights

_SIZE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SPAN = re.compile(r"\+?(?P<number>[0-9]+)(?P<unit>[hdwmy])")
_SPANS = {
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "m": timedelta(days=30),
    "y": timedelta(days=365),
}
_INTERVAL = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[smhd]?)")
_INTERVALS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PROTOCOLS = tuple(front_end.value for front_end in FrontEnd)

QUOTA_HELP = "Bytes, or with K, M, G or T (1024-based): 10G. 'none' for no limit."
EXPIRES_HELP = "A date (2027-01-31: the end of that day, UTC), an ISO 8601 time, or a span from now: 12h, 30d, 6w, 1y."
INTERVAL_HELP = "Seconds, or with s, m (minutes), h or d: 90s, 30m, 1h."
NETWORKS_HELP = "Networks it may be used from, separated by commas: 10.0.0.0/8,2001:db8::/32. Repeatable."
PROTOCOLS_HELP = f"Ways in, separated by commas: {', '.join(PROTOCOLS)}. Repeatable. Default: any."


def size(text: str | None) -> int | None:
    """Read a number of bytes; None and ``none`` mean no limit. Raises Failure."""
    if text is None or text.lower() == "none":
        return None
    if (match := _SIZE.fullmatch(text.strip())) is None:
        raise Failure(f"{text!r} is not a size.", then=f"--quota: {QUOTA_HELP}")
    return int(float(match["number"]) * _UNITS[match["unit"].upper()])


def expiry(text: str | None, now: float | None = None) -> float | None:
    """Read a moment in the future as Unix seconds; None and ``never`` mean none. Raises Failure."""
    if text is None or text.lower() == "never":
        return None
    now = time.time() if now is None else now
    at = _moment(text.strip(), now)
    if at is None:
        raise Failure(f"{text!r} is not a time.", then=f"--expires: {EXPIRES_HELP}")
    if at <= now:
        raise Failure(f"The time {text!r} has passed already.", then="give a time in the future, or 'never'")
    return at


def _moment(text: str, now: float) -> float | None:
    try:
        if match := _SPAN.fullmatch(text):
            return (datetime.fromtimestamp(now, UTC) + int(match["number"]) * _SPANS[match["unit"]]).timestamp()
        at = datetime.fromisoformat(text)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            at += timedelta(days=1)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def interval(text: str, option: str) -> float:
    """Read a length of time in seconds; here ``m`` is a minute. Raises Failure."""
    if (match := _INTERVAL.fullmatch(text.strip())) is None:
        raise Failure(f"{text!r} is no length of time.", then=f"{option}: {INTERVAL_HELP}")
    return float(match["number"]) * _INTERVALS[match["unit"]]


def shown_interval(seconds: float) -> str:
    """Write a length of time in the largest unit that leaves no rest."""
    unit = next((unit for unit in "dhm" if seconds and not seconds % _INTERVALS[unit]), "s")
    return f"{seconds / _INTERVALS[unit]:g}{unit}"


def networks(values: Iterable[str] | None) -> tuple[str, ...]:
    """Read networks in CIDR form, or single addresses. Raises Failure."""
    given: list[str] = []
    for text in _split(values):
        try:
            given.append(str(ip_network(text)))
        except ValueError as error:
            raise Failure(f"{text!r} is not a network.", str(error), f"--networks: {NETWORKS_HELP}") from None
    return tuple(dict.fromkeys(given))


def protocols(values: Iterable[str] | None) -> frozenset[str]:
    """Read names of front ends; empty means any. Raises Failure."""
    given = frozenset(text.lower() for text in _split(values))
    if unknown := sorted(given.difference(PROTOCOLS)):
        raise Failure(f"{unknown[0]!r} is no way in.", then=f"--protocols: {PROTOCOLS_HELP}")
    return given


def texts(values: Iterable[str] | None) -> tuple[str, ...]:
    """Read a list of texts separated by commas."""
    return tuple(dict.fromkeys(_split(values)))


def rights(
    preset: str | None, allow: Iterable[str] | None, deny: Iterable[str] | None
) -> tuple[frozenset[str], frozenset[str]]:
    """Give what is allowed and what is denied: the preset's rights and those named. Raises Failure."""
    if preset is None and not allow and not deny:
        raise Failure(
            "A grant needs rights.", then=f"give --preset {'|'.join(PRESETS)}, or --allow and --deny with single rights"
        )
    if preset is not None and preset not in PRESETS:
        raise Failure(f"{preset!r} is no preset.", then=f"--preset takes one of: {', '.join(PRESETS)}")
    return _rights([*([preset] if preset else []), *_split(allow)]), _rights(_split(deny))


def _rights(words: list[str]) -> frozenset[str]:
    try:
        return frozenset(right.value for right in parse_rights(words))
    except ValueError as error:
        raise Failure("The rights cannot be read.", str(error)) from None


def new_password(*, from_stdin: bool) -> Secret | None:
    """Read a password from standard input or, at a terminal, ask twice; None if there is no way to ask.

    Raises Failure for an empty password.
    """
    if from_stdin:
        text = sys.stdin.readline().rstrip("\r\n")
    elif at_terminal():
        text = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        return None
    if not text:
        raise Failure("The password is empty.", then="give it on the first line of standard input")
    return Secret(text)


def _split(values: Iterable[str] | None) -> list[str]:
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]


def unless_any(values: list[str]) -> list[str]:
    """Give no values where the one word ``any`` was given."""
    return [] if values == ["any"] else values


def confirm(question: str, *, yes: bool) -> None:
    """Ask at a terminal before something that matters; a script must say ``--yes``. Raises Failure."""
    if yes:
        return
    if not at_terminal():
        raise Failure("This must be confirmed.", question, "answer at a terminal, or say --yes")
    if not typer.confirm(question, err=True):
        raise Failure("Nothing was changed.")


def at_terminal() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty()
