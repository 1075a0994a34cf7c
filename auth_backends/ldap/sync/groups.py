"""The groups of a directory: who is in them, also by groups within groups and by AD's primary group."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate

from auth_backends.ldap.connection import Entry, LdapConnection, Scope
from auth_backends.ldap.dn import folded_dn
from auth_backends.ldap.errors import DirectoryUnreachable
from auth_backends.ldap.vendors import Preset, external_id_of
from config.ldap import LdapProvider
from storage.database.errors import InvalidName
from storage.database.names import canonical_name

SID = "objectSid"
MEMBER_UID = "memberuid"
_RANGE = re.compile(r"(?P<name>[^;]+);range=(?P<first>\d+)-(?P<last>\d+|\*)", re.IGNORECASE)
MAX_RANGES = 10_000
MIN_SID_BYTES = 12


@dataclass(frozen=True, slots=True)
class DirectoryGroup:
    """One group; ``name`` is canonical, or empty if it can be no group's name here (``problem`` says why)."""

    external_id: str
    dn: str
    name: str
    problem: str = ""


@dataclass(slots=True)
class GroupGraph:
    """All groups with their direct members, built page by page; memory holds one reference for each membership."""

    groups: dict[str, DirectoryGroup] = field(default_factory=dict)
    by_dn: dict[str, str] = field(default_factory=dict)
    by_relative_id: dict[int, str] = field(default_factory=dict)
    people: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Groups of each person, by the person's external id: direct ones only."""
    unknown: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Groups of each member that is no known person: a group, or somebody who is no user here."""

    def add(self, group: DirectoryGroup, relative_id: int | None, members: Iterable[str | Known]) -> None:
        """Add a group with its direct members: folded names, or people who are known already."""
        self.groups[group.external_id] = group
        self.by_dn[folded_dn(group.dn)] = group.external_id
        if relative_id is not None:
            self.by_relative_id[relative_id] = group.external_id
        for member in members:
            if isinstance(member, Known):
                self.people[member.external_id].append(group.external_id)
            else:
                self.unknown[member].append(group.external_id)

    def memberships(self) -> Memberships:
        """Follow groups within groups, whatever circles they make."""
        parents = {child: tuple(self.unknown[dn]) for dn, child in self.by_dn.items() if dn in self.unknown}
        return Memberships(dict(self.people), dict(self.by_relative_id), _closures(self.groups, parents))


@dataclass(frozen=True, slots=True)
class Known:
    """A member who is a person that was read already."""

    external_id: str


@dataclass(frozen=True, slots=True)
class Memberships:
    """Who is in which groups, nested and primary ones included."""

    direct: Mapping[str, Sequence[str]]
    by_relative_id: Mapping[int, str]
    closures: Mapping[str, frozenset[str]]
    """Each group with all groups that it is in, itself included."""

    def of(self, external_id: str, primary_group: int | None) -> frozenset[str]:
        """Give the external ids of all groups of a person."""
        found: set[str] = set()
        for group in self.direct.get(external_id, ()):
            found |= self.closures[group]
        primary = None if primary_group is None else self.by_relative_id.get(primary_group)
        if primary is not None:
            found |= self.closures[primary]
        return frozenset(found)


def _closures(groups: Iterable[str], parents: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    closures = {}
    for group in groups:
        reached, ahead = {group}, [group]
        while ahead:
            for parent in parents.get(ahead.pop(), ()):
                if parent not in reached:
                    reached.add(parent)
                    ahead.append(parent)
        closures[group] = frozenset(reached)
    return closures


@dataclass(frozen=True, slots=True)
class Selection:
    """Which groups are taken over, and which make a user: by name, with wildcards."""

    include: re.Pattern[str]
    exclude: re.Pattern[str] | None
    required: re.Pattern[str] | None

    @classmethod
    def of(cls, provider: LdapProvider) -> Selection:
        """Read the provider's lists."""
        include = _pattern(provider.groups_include)
        never = re.compile(r"(?!)")
        return cls(include or never, _pattern(provider.groups_exclude), _pattern(provider.groups_required))

    def takes(self, group: DirectoryGroup) -> bool:
        """Whether this group becomes a group here."""
        return bool(self.include.fullmatch(group.name)) and not (self.exclude and self.exclude.fullmatch(group.name))

    def admits(self, groups: Iterable[DirectoryGroup]) -> bool:
        """Whether somebody in these groups is a user here."""
        return self.required is None or any(self.required.fullmatch(group.name) for group in groups)


def _pattern(words: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(translate(word.casefold()) for word in words)) if words else None


@dataclass(frozen=True, slots=True)
class People:
    """Who is known already: external ids by folded DN, and by login name (RFC 2307, memberUid)."""

    at: Mapping[str, str]
    called: Mapping[str, str]


def read_groups(
    connection: LdapConnection,
    provider: LdapProvider,
    preset: Preset,
    people: People,
    heard: Callable[[Sequence[Entry]], None],
) -> GroupGraph:
    """Read all groups with their members; ``heard`` is given each page. Raises DirectoryUnreachable."""
    graph = GroupGraph()
    base = provider.group_base_dn or provider.base_dn
    wanted = [preset.id_attribute, preset.group_name_attribute, preset.changed_attribute, *preset.member_attributes]
    if preset.is_active_directory:
        wanted.append(SID)
    for page in connection.pages(base, preset.group_filter, wanted):
        for entry in page:
            group = group_of(entry, preset)
            if group is not None:
                graph.add(group, relative_id(entry), _members(connection, entry, preset, people))
        heard(page)
    return graph


def group_of(entry: Entry, preset: Preset) -> DirectoryGroup | None:
    """Read a group's entry; None if it has no immutable id."""
    external_id = external_id_of(preset, entry)
    if external_id is None:
        return None
    name = entry.text(preset.group_name_attribute) or ""
    try:
        return DirectoryGroup(external_id, entry.dn, canonical_name(name))
    except InvalidName as error:
        return DirectoryGroup(external_id, entry.dn, "", f"{name!r} cannot be a group's name: {error.message}")


def relative_id(entry: Entry) -> int | None:
    """Give the last part of an AD security identifier ([MS-DTYP] 2.4.2.2), or None."""
    for raw in entry.attributes.get(SID.casefold(), ()):
        if len(raw) >= MIN_SID_BYTES:
            return int.from_bytes(raw[-4:], "little")
    return None


def _members(connection: LdapConnection, entry: Entry, preset: Preset, people: People) -> Iterator[str | Known]:
    for attribute in preset.member_attributes:
        for value in _values(connection, entry, attribute):
            if attribute.casefold() == MEMBER_UID:
                known = people.called.get(value.casefold())
                if known is not None:
                    yield Known(known)
                continue
            dn = folded_dn(value)
            person = people.at.get(dn)
            yield dn if person is None else Known(person)


def _values(connection: LdapConnection, entry: Entry, attribute: str) -> Iterator[str]:
    """Give all values of an attribute; Active Directory hands out large ones in ranges ([MS-ADTS] 3.1.1.3.1.3.3)."""
    yield from entry.texts(attribute)
    found = _range_of(entry, attribute)
    for _ in range(MAX_RANGES):
        if found is None:
            return
        values, last = found
        yield from values
        if last is None:
            return
        option = f"{attribute};range={last + 1}-*"
        answer = connection.search(entry.dn, "(objectClass=*)", [option], scope=Scope.BASE, limit=1)
        found = _range_of(answer[0], attribute) if len(answer) == 1 else None
        if found is None:
            raise DirectoryUnreachable(f"the members of {entry.dn} stopped after {last + 1}", connection.host)


def _range_of(entry: Entry, attribute: str) -> tuple[tuple[str, ...], int | None] | None:
    for name in entry.attributes:
        match = _RANGE.fullmatch(name)
        if match is not None and match["name"].casefold() == attribute.casefold():
            return entry.texts(name), None if match["last"] == "*" else int(match["last"])
    return None
