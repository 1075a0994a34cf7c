"""What one run has read of the directory: people on disk, groups in memory, and where to read on next time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from auth_backends.ldap.connection import LdapConnection
from auth_backends.ldap.dn import folded_dn
from auth_backends.ldap.sync.api import Listener, Progress
from auth_backends.ldap.sync.cursor import Cursor, HighWater, cursor_now
from auth_backends.ldap.sync.groups import DirectoryGroup, GroupGraph, Memberships, People, read_groups
from auth_backends.ldap.sync.people import PRIMARY_GROUP, Person, PersonReader, Unusable
from auth_backends.ldap.sync.spool import Spool
from auth_backends.ldap.vendors import Preset, external_id_of
from config.ldap import LdapProvider

Beat = Callable[[], None]
Places = Callable[[], Iterator[tuple[str, str]]]
NOBODY = Memberships({}, {}, {})


@dataclass(slots=True)
class Snapshot:
    """``groups`` None means that they were not read, since nothing of them changed.

    ``seen`` are the external ids of all people read, ``left`` those of people who are there but no longer users here;
    ``primary`` are the primary groups of people of whom nothing else was read.
    """

    cursor: Cursor
    people: Spool[Person] = field(default_factory=Spool)
    unusable: list[Unusable] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    groups: dict[str, DirectoryGroup] | None = None
    memberships: Memberships = NOBODY
    primary: dict[str, int] = field(default_factory=dict)
    complete: bool = False

    def close(self) -> None:
        """Free the disk."""
        self.people.close()


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads one directory over one connection. ``beat`` is called for each page; it may raise to stop."""

    connection: LdapConnection
    provider: LdapProvider
    preset: Preset
    reader: PersonReader
    listen: Listener
    beat: Beat
    now: float

    def everything(self, before: Cursor | None) -> Snapshot:
        """Read all people and all groups. Raises DirectoryUnreachable."""
        begun = cursor_now(self.connection, self.preset, self.now)
        snapshot, water = Snapshot(begun, complete=True), HighWater(self.preset)
        try:
            places: dict[str, str] = {}
            called: dict[str, str] = {}
            for person in self._people(self.preset.user_filter, snapshot, water):
                places[folded_dn(person.dn)] = person.external_id
                called[person.name] = person.external_id
            graph = self._groups(places, called)
            self._keep(snapshot, graph)
            snapshot.cursor = water.next(begun, before)
        except BaseException:
            snapshot.close()
            raise
        return snapshot

    def changes(self, since: Cursor, places: Places) -> Snapshot | None:
        """Read what changed since then; None if this server cannot say, and everything must be read.

        ``places`` gives the external id and the last known DN of every linked person.
        """
        begun = cursor_now(self.connection, self.preset, self.now)
        if not since.fits(begun):
            return None
        snapshot, water = Snapshot(begun), HighWater(self.preset)
        try:
            changed = since.changed_filter(self.preset)
            for _ in self._people(f"(&{self.preset.user_filter}{changed})", snapshot, water):
                pass
            self._look_for_leavers(changed, snapshot, water)
            touched = self._any_group_changed(changed, water)
            if touched and self.provider.groups_required:
                snapshot.close()
                return None  # whoever joined a required group may be nobody's change but the group's
            if touched or len(snapshot.people):
                self._groups_of_known(snapshot, places)
            snapshot.cursor = water.next(begun, since)
        except BaseException:
            snapshot.close()
            raise
        return snapshot

    def _people(self, wanted: str, snapshot: Snapshot, water: HighWater) -> Iterator[Person]:
        base = self.provider.user_base_dn or self.provider.base_dn
        for page in self.connection.pages(base, wanted, self.reader.wanted):
            self.beat()
            for entry in page:
                water.see(entry)
                found = self.reader.read(entry)
                if isinstance(found, Unusable):
                    snapshot.unusable.append(found)
                    if found.external_id:
                        snapshot.seen.add(found.external_id)
                    continue
                if found.external_id in snapshot.seen:
                    continue  # an entry that moved between two pages
                snapshot.seen.add(found.external_id)
                snapshot.people.append(found)
                yield found
            self.listen(Progress("people read", len(snapshot.seen)))

    def _look_for_leavers(self, changed: str, snapshot: Snapshot, water: HighWater) -> None:
        """Find changed entries that the user filter no longer takes: whoever left the filter changed, too."""
        wanted = (self.preset.id_attribute, self.preset.changed_attribute)
        for page in self.connection.pages(self.provider.base_dn, f"(&{self.preset.anybody_filter}{changed})", wanted):
            self.beat()
            for entry in page:
                water.see(entry)
                external_id = external_id_of(self.preset, entry)
                if external_id is not None and external_id not in snapshot.seen:
                    snapshot.left.add(external_id)

    def _any_group_changed(self, changed: str, water: HighWater) -> bool:
        base = self.provider.group_base_dn or self.provider.base_dn
        wanted = (self.preset.id_attribute, self.preset.changed_attribute)
        found = False
        for page in self.connection.pages(base, f"(&{self.preset.group_filter}{changed})", wanted):
            self.beat()
            for entry in page:
                water.see(entry)
                found = True
        return found

    def _groups_of_known(self, snapshot: Snapshot, places: Places) -> None:
        """Read all groups; people are told by where they were last seen, and by where the changed ones are now."""
        known: dict[str, str] = {folded_dn(hint): external_id for external_id, hint in places() if hint}
        called: dict[str, str] = {}
        for page in snapshot.people.pages(1000):
            for person in page:
                known[folded_dn(person.dn)] = person.external_id
                called[person.name] = person.external_id
        for dn, external_id in known.items():
            called.setdefault(_login_of(dn), external_id)
        if self.preset.is_active_directory:
            self._primary_groups(snapshot)
        self._keep(snapshot, self._groups(known, called))

    def _primary_groups(self, snapshot: Snapshot) -> None:
        """Read who has which primary group: no group names these members, and their change is the person's."""
        base = self.provider.user_base_dn or self.provider.base_dn
        for page in self.connection.pages(base, self.preset.user_filter, (self.preset.id_attribute, PRIMARY_GROUP)):
            self.beat()
            for entry in page:
                external_id, group = external_id_of(self.preset, entry), entry.text(PRIMARY_GROUP)
                if external_id is not None and group is not None and group.isdigit():
                    snapshot.primary[external_id] = int(group)

    def _groups(self, places: dict[str, str], called: dict[str, str]) -> GroupGraph:
        def heard(count: int) -> None:
            self.beat()
            self.listen(Progress("groups read", count))

        return read_groups(self.connection, self.provider, self.preset, People(places, called), heard)

    def _keep(self, snapshot: Snapshot, graph: GroupGraph) -> None:
        snapshot.groups = graph.groups
        snapshot.memberships = graph.memberships()


def _login_of(dn: str) -> str:
    """Give the value of a folded DN's first part: a posix group names its members by it (RFC 2307, memberUid)."""
    return dn.partition(",")[0].partition("=")[2]
