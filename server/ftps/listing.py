"""Lines of LIST and MLSD for one entry each. Pure functions."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Self

from storage.files.api import Stat
from storage.files.permissions import Right

FACTS = ("type", "perm", "size", "modify")
SIX_MONTHS_S = 180 * 24 * 3600
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NANOSECONDS = 1_000_000_000
LAST_SECOND = 253_402_300_799  # of the year 9999; YYYY has four digits


class Listed(str):  # noqa: SLOT000 - a str with a slot cannot be sorted into pyftpdlib's lists any better
    """A name in a listing that carries its facts, so that a listing costs one scan.

    pyftpdlib sorts what ``listdir`` gives and hands it to ``format_list`` as names.
    """

    stat: Stat

    def __new__(cls, name: str, stat: Stat) -> Self:
        """Make the name."""
        listed = super().__new__(cls, name)
        listed.stat = stat
        return listed


def list_line(name: str, stat: Stat, now: float) -> str:
    """Give one line in the form of ``ls -l``, in UTC: what most clients still parse.

    Owner, group and permissions are the same for all: they are not what decides here.
    """
    seconds = stat.modified_ns // NANOSECONDS
    moment = _moment(stat.modified_ns)
    recent = now - SIX_MONTHS_S < seconds <= now + SIX_MONTHS_S
    clock = f"{moment.tm_hour:02}:{moment.tm_min:02}" if recent else f" {moment.tm_year:04}"
    mode = "drwxrwx---" if stat.is_directory else "-rw-rw----"
    date = f"{MONTHS[moment.tm_mon - 1]} {moment.tm_mday:2} {clock}"
    return f"{mode} {stat.links:3} owner    group    {stat.size:8} {date} {name}\r\n"


def facts_line(name: str, stat: Stat, rights: Collection[Right], facts: Collection[str]) -> str:
    """Give one line of MLSD or MLST with the asked facts (RFC 3659 section 7.2)."""
    values: list[str] = []
    if "modify" in facts:
        values.append("modify=" + timestamp(stat.modified_ns))
    if "perm" in facts:
        values.append("perm=" + (directory_letters(rights) if stat.is_directory else file_letters(rights)))
    if "size" in facts and not stat.is_directory:
        values.append(f"size={stat.size}")
    if "type" in facts:
        values.append("type=dir" if stat.is_directory else "type=file")
    return "".join(f"{value};" for value in values) + f" {name}\r\n"


def timestamp(modified_ns: int) -> str:
    """Give a time as YYYYMMDDHHMMSS in UTC (RFC 3659 section 2.3)."""
    moment = _moment(modified_ns)
    return f"{moment.tm_year:04}{time.strftime('%m%d%H%M%S', moment)}"


def _moment(modified_ns: int) -> time.struct_time:
    """Give a time in UTC; one outside the years 1970 to 9999 is shown as the nearest."""
    return time.gmtime(min(max(modified_ns // NANOSECONDS, 0), LAST_SECOND))


def file_letters(rights: Collection[Right]) -> str:
    """Give the ``perm`` fact of a file (RFC 3659 section 7.5.5)."""
    letters = {"a": Right.APPEND, "d": Right.DELETE, "f": Right.RENAME, "r": Right.READ, "w": Right.OVERWRITE}
    return "".join(letter for letter, right in letters.items() if right in rights)


def directory_letters(rights: Collection[Right]) -> str:
    """Give the ``perm`` fact of a directory; entering one needs no right of its own."""
    letters = {
        "c": Right.CREATE,
        "d": Right.DELETE,
        "f": Right.RENAME,
        "l": Right.LIST,
        "m": Right.MAKE_DIRECTORY,
        "p": Right.DELETE,
    }
    return "e" + "".join(letter for letter, right in letters.items() if right in rights)
