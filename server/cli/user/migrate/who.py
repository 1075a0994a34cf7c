"""Whom ``quaymaster user migrate`` is about, and the immutable ids that an admin gives for them."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.cli.context import Site
from server.cli.output import Failure
from storage.database.names import storable
from storage.database.records import Method, User

HEADINGS = frozenset({"name", "user", "login", "login name", "user name", "user id", "samaccountname"})
LINE = "a line is: login name, immutable id"
SEPARATORS = (",", ";", "\t")
MAX_ID = 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the admin asked for. ``ids`` has the id that was given for a user, by the user's id.

    ``named`` are the ids of the users whom the admin named, on the command line or in a file.
    """

    users: tuple[User, ...]
    ids: dict[str, str]
    named: frozenset[str]


def wanted_users(
    site: Site,
    *,
    names: Sequence[str],
    group: str | None,
    everybody: bool,
    pilots_of: str | None,
    of_provider: str | None,
    ids_file: Path | None,
    external_id: str | None,
) -> Wanted:
    """Find the users, each once and by name. Raises Failure for a choice that is none, or is two."""
    given = _read_ids(site, ids_file) if ids_file is not None else {}
    ways = [bool(names), group is not None, everybody, pilots_of is not None]
    if sum(ways) > 1:
        raise Failure("Whom do you mean?", "names, --group, --all and --pilots exclude each other", "give one of them")
    if not any(ways) and not given:
        raise Failure("Who shall move?", then="give names, --group GROUP, --pilots, --all, or --ids FILE")
    if external_id is not None and (len(names) != 1 or given):
        raise Failure("--external-id is one person's.", then="give it with one name and without --ids")
    users = site.store.users
    if names:
        found = [site.user(name) for name in names]
    elif group is not None:
        found = users.list(group=site.group(group).id)
    elif everybody:
        found = users.list(method=Method.LDAP)
    else:
        by_id = {pilot.user_id for pilot in site.store.migrations.pilots(pilots_of)} if pilots_of else set(given)
        found = [user for user in users.list() if user.id in by_id]
    if of_provider is not None:
        others = [user.name for user in found if user.provider != of_provider]
        if others and (names or sum(ways) == 0):
            raise Failure(f"{', '.join(others)} does not belong to {of_provider!r}.", then="leave --from away")
        found = [user for user in found if user.provider == of_provider]
    if external_id is not None:
        given = {found[0].id: _checked(external_id, "--external-id")}
    chosen = {user.id: user for user in sorted(found, key=lambda user: user.name)}
    return Wanted(tuple(chosen.values()), given, frozenset(chosen) if names else frozenset(given))


def _read_ids(site: Site, file: Path) -> dict[str, str]:
    """Read lines of login name and immutable id; a first line of headings may be there."""
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    is_first = True
    for number, name, external_id in _lines(file):
        if is_first and " ".join(re.split(r"[\s_-]+", name.lower())) in HEADINGS:
            is_first = False
            continue
        is_first = False
        where = f"Line {number} of {file}"
        if not external_id:
            raise Failure(f"{where} has no id.", then=LINE)
        user = site.user(name)
        if user.id in found:
            raise Failure(f"{where} names {user.name} a second time.", then="give each user one id")
        if external_id in taken:
            raise Failure(f"{where} gives {user.name} the id of {taken[external_id]}.", then="give each user an own id")
        found[user.id] = _checked(external_id, where)
        taken[external_id] = user.name
    if not found:
        raise Failure(f"{file} has nobody in it.", then=LINE)
    return found


def _lines(file: Path) -> list[tuple[int, str, str]]:
    """Give the lines that are not empty: number, login name, immutable id. Raises Failure."""
    try:
        lines = re.split(r"\r\n|\r|\n", _text(file.read_bytes()))
        reader = csv.reader(lines, delimiter=_separator(lines))
        rows = [(reader.line_num, [part.strip() for part in row]) for row in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        raise Failure(f"{file} cannot be read.", str(error), f"give a CSV file; {LINE}") from None
    return [(number, row[0], row[1] if len(row) > 1 else "") for number, row in rows if any(row)]


def _text(raw: bytes) -> str:
    """Decode UTF-8, with the mark that spreadsheets put before it or without, or UTF-16 with its mark."""
    is_wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return raw.decode("utf-16" if is_wide else "utf-8-sig")


def _separator(lines: Sequence[str]) -> str:
    """Give what separates in most lines; of several the first: spreadsheets write what the country is used to."""
    return max(SEPARATORS, key=lambda separator: sum(separator in line for line in lines))


def _checked(external_id: str, where: str) -> str:
    if not external_id or len(external_id) > MAX_ID or not storable(external_id) or not external_id.isprintable():
        raise Failure(f"{where}: this is no immutable id.", then=f"1 to {MAX_ID} printable characters")
    return external_id
