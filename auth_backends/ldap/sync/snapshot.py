"""What one run has read of the directory: people on disk, groups in memory, and where to read on next time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from auth_backends.ldap.connection import LdapConnection
from auth_backends.ldap.dn import folded_dn
from auth_backends.ldap.entry import Entry
from auth_backends.ldap.sync.api import Listener, Progress
from auth_backends.ldap.sync.cursor import Cursor, HighWater, cursor_now
from auth_backends.ldap.sync.groups import DirectoryGroup, Memberships, People, read_groups
from auth_backends.ldap.sync.people import PRIMARY_GROUP, Person, PersonReader, Unusable
from auth_backends.ldap.sync.spool import Spool
from auth_backends.ldap.vendors import Preset, external_id_of, id_filter
from config.ldap import LdapProvider

Beat = Callable[[], None]
Links = Callable[[Sequence[str]], set[str]]
NOBODY = Memberships({}, {}, {})
MAX_PENDING = 500
CHUNK = 500
IDS = 50  # in one filter


@dataclass(slots=True)
class Snapshot:
    """``groups`` None means that they were not read, since nothing of them changed.

    ``seen`` are the external ids of all people read, ``left`` those of linked people who are there but no longer users
    here, ``asked`` those that were asked for again whether they changed or not.
    ``present`` are the external ids of everybody who is a user there, where that was read, with the primary group if
    there is one; whoever is linked and not among them has gone.
    """

    cursor: Cursor
    people: Spool[Person] = field(default_factory=Spool)
    unusable: list[Unusable] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    groups: dict[str, DirectoryGroup] | None = None
    memberships: Memberships = NOBODY
    present: dict[str, int | None] | None = None
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
            self._read_groups(snapshot, People(places, called), water)
            snapshot.cursor = water.next(begun, before)
        except BaseException:
            snapshot.close()
            raise
        return snapshot

    def changes(self, since: Cursor, pending: Sequence[str], links: Links) -> Snapshot | None:
        """Read what changed since then; None if this server cannot say, and everything must be read.

        ``pending`` are external ids to read again whether they changed or not: of people and groups that could not be
        brought here the last time. ``links`` gives those of some external ids that are linked.
        """
        begun = cursor_now(self.connection, self.preset, self.now)
        if not since.fits(begun):
            return None
        snapshot, water = Snapshot(begun), HighWater(self.preset)
        try:
            changed = since.changed_filter(self.preset)
            self._take(f"(&{self.preset.user_filter}{changed})", snapshot, water)
            self._look_for_leavers(changed, snapshot, water, links)
            maybe_groups = self._read_again(pending, snapshot)
            touched = self._any_group_changed(changed, water) or maybe_groups
            if touched and self.provider.groups_required:
                snapshot.close()
                return None  # whoever joined a required group may be nobody's change but the group's
            if touched or self._moves_groups(snapshot, links):
                self._groups_of_everybody(snapshot, water)
            snapshot.cursor = water.next(begun, since)
        except BaseException:
            snapshot.close()
            raise
        return snapshot

    def _moves_groups(self, snapshot: Snapshot, links: Links) -> bool:
        """Whether these people may be in other groups than before, though no group changed: new ones, and AD's."""
        if self.preset.is_active_directory:  # the primary group is the person's own attribute
            return len(snapshot.people) > 0
        pages = snapshot.people.pages(CHUNK)
        return any(len(links([person.external_id for person in page])) < len(page) for page in pages)

    def _take(self, wanted: str, snapshot: Snapshot, water: HighWater) -> None:
        for _ in self._people(wanted, snapshot, water):
            pass

    def _read_again(self, pending: Sequence[str], snapshot: Snapshot) -> bool:
        """Read people again by their ids; say whether some of them are none, and so may be groups."""
        snapshot.asked = set(pending[:MAX_PENDING])
        for wanted in self._by_ids(self.preset.user_filter, sorted(snapshot.asked)):
            self._take(wanted, snapshot, HighWater(self.preset))
        return not snapshot.seen.issuperset(snapshot.asked)

    def _by_ids(self, of: str, external_ids: Sequence[str]) -> Iterator[str]:
        for start in range(0, len(external_ids), IDS):
            wanted = "".join(id_filter(self.preset, one) for one in external_ids[start : start + IDS])
            yield f"(&{of}(|{wanted}))"

    def places(self, external_ids: Sequence[str], *, everywhere: bool) -> dict[str, str]:
        """Give the DNs of those of these who are there, as users or ``everywhere`` as whatever they are."""
        base = self.provider.user_base_dn or self.provider.base_dn
        of, base = (
            (self.preset.anybody_filter, self.provider.base_dn) if everywhere else (self.preset.user_filter, base)
        )
        found: dict[str, str] = {}
        for wanted in self._by_ids(of, external_ids):
            for page in self.connection.pages(base, wanted, (self.preset.id_attribute,)):
                self.beat()
                for entry in page:
                    external_id = external_id_of(self.preset, entry)
                    if external_id is not None:
                        found[external_id] = entry.dn
        return found

    def _people(self, wanted: str, snapshot: Snapshot, water: HighWater) -> Iterator[Person]:
        base = self.provider.user_base_dn or self.provider.base_dn
        for page in self.connection.pages(base, wanted, self.reader.wanted):
            self.beat()
            for entry in page:
                water.see(entry)
                found = self.reader.read(entry)
                if isinstance(found, Unusable):
                    snapshot.unusable.append(found)
                    continue
                if found.external_id in snapshot.seen:
                    continue  # an entry that moved between two pages
                snapshot.seen.add(found.external_id)
                snapshot.people.append(found)
                yield found
            self.listen(Progress("people read", len(snapshot.seen)))

    def _look_for_leavers(self, changed: str, snapshot: Snapshot, water: HighWater, links: Links) -> None:
        """Find changed entries of linked people that the user filter no longer takes: leaving it is a change, too.

        Somebody who changed between the two searches is no leaver, so those are asked for once more.
        """
        wanted = (self.preset.id_attribute, self.preset.changed_attribute)
        for page in self.connection.pages(self.provider.base_dn, f"(&{self.preset.anybody_filter}{changed})", wanted):
            self.beat()
            for entry in page:
                water.see(entry)
            ids = {external_id_of(self.preset, entry) for entry in page} - snapshot.seen - {None}
            doubtful = links(sorted(external_id for external_id in ids if external_id is not None))
            for again in self._by_ids(self.preset.user_filter, sorted(doubtful)):
                self._take(again, snapshot, water)
            snapshot.left |= doubtful - snapshot.seen

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

    def _groups_of_everybody(self, snapshot: Snapshot, water: HighWater) -> None:
        """Read who is there and where, and all groups.

        Where somebody was last seen is not enough: a folder above may have another name, which is nobody's change but
        the folder's. Nor does any group tell of those who have it as their primary group.
        """
        at: dict[str, str] = {}
        called: dict[str, str] = {}
        snapshot.present = {}
        base = self.provider.user_base_dn or self.provider.base_dn
        wanted = [self.preset.id_attribute, self.preset.login_attribute]
        if self.preset.is_active_directory:
            wanted.append(PRIMARY_GROUP)
        for page in self.connection.pages(base, self.preset.user_filter, wanted):
            self.beat()
            for entry in page:
                external_id = external_id_of(self.preset, entry)
                if external_id is None:
                    continue
                group = entry.text(PRIMARY_GROUP)
                snapshot.present[external_id] = int(group) if group is not None and group.isdigit() else None
                at[folded_dn(entry.dn)] = external_id
                called[(entry.text(self.preset.login_attribute) or "").casefold()] = external_id
            self.listen(Progress("people looked at", len(snapshot.present)))
        self._read_groups(snapshot, People(at, called), water)

    def _read_groups(self, snapshot: Snapshot, people: People, water: HighWater) -> None:
        count = 0

        def heard(page: Sequence[Entry]) -> None:
            nonlocal count
            count += len(page)
            self.beat()
            for entry in page:
                water.see(entry)
            self.listen(Progress("groups read", count))

        graph = read_groups(self.connection, self.provider, self.preset, people, heard)
        snapshot.groups = graph.groups
        snapshot.memberships = graph.memberships()
