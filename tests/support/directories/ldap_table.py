"""Entries in memory and searches over them, for the directory server that misbehaves."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.support.directories.ldap_wire import Attributes, Search, parts

Entries = Mapping[str, Attributes]
_RANGE = re.compile(r"(?P<name>[^;]+);range=(?P<first>\d+)-(?P<last>\d+|\*)", re.IGNORECASE)


def found(entries: Entries, search: Search, max_values: int | None = None) -> dict[str, Attributes]:
    """Give the entries that a search finds, with the attributes that it asks for.

    Filters are ``&``, ``|``, ``!``, equality without regard to case, and presence; any other matches nothing.
    With ``max_values`` an attribute with more values is given as Active Directory does: as no values under its name
    and the first of them under NAME;range=0-LAST (seen in ldapjs/node-ldapjs#582).
    """
    return {
        dn: _selected(attributes, search.attributes, max_values)
        for dn, attributes in entries.items()
        if _is_within(dn, search) and _matches(search.filter, attributes)
    }


def _is_within(dn: str, search: Search) -> bool:
    name, base = dn.lower(), search.base.lower()
    match search.scope:
        case 0:
            return name == base
        case 1:
            return name.split(",", 1)[-1] == base and name != base
        case _:
            return name == base or not base or name.endswith(f",{base}")


def _matches(wanted: tuple[int, bytes], attributes: Attributes) -> bool:
    tag, body = wanted
    match tag:
        case 0xA0:  # and
            return all(_matches(part, attributes) for part in parts(body))
        case 0xA1:  # or
            return any(_matches(part, attributes) for part in parts(body))
        case 0xA2:  # not
            return not _matches(parts(body)[0], attributes)
        case 0xA3:  # equalityMatch
            (_, name), (_, value) = parts(body)
            return value.lower() in [each.lower() for each in _values(attributes, name.decode())]
        case 0x87:  # present
            return body.lower() == b"objectclass" or bool(_values(attributes, body.decode()))
        case _:
            return False


def _values(attributes: Attributes, name: str) -> list[bytes]:
    return [value for key, values in attributes.items() if key.lower() == name.lower() for value in values]


def _selected(attributes: Attributes, names: tuple[str, ...], max_values: int | None) -> Attributes:
    ranges = {match["name"].lower(): match for match in map(_RANGE.fullmatch, names) if match}
    plain = {name.lower() for name in names}
    selected: dict[str, list[bytes]] = {}
    for name, values in attributes.items():
        if asked := ranges.get(name.lower()):
            first = int(asked["first"])
            last = len(values) - 1 if asked["last"] == "*" else int(asked["last"])
            selected |= _cut(name, list(values), first, last, max_values)
        elif not names or plain & {"*", "+", name.lower()}:
            if max_values is not None and len(values) > max_values:
                selected[name] = []
                selected |= _cut(name, list(values), 0, len(values) - 1, max_values)
            else:
                selected[name] = list(values)
    return selected


def _cut(name: str, values: list[bytes], first: int, last: int, max_values: int | None) -> dict[str, list[bytes]]:
    if max_values is not None:
        last = min(last, first + max_values - 1)
    end = "*" if last >= len(values) - 1 else str(last)
    return {f"{name};range={first}-{end}": values[first : last + 1]}
