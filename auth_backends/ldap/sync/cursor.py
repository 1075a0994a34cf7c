"""How far the sync has read a directory, in the directory's own terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from auth_backends.ldap.connection import Entry, LdapConnection
from auth_backends.ldap.vendors import ChangeMarker, Preset

FORMAT = "%Y%m%d%H%M%SZ"
OVERLAP = timedelta(seconds=60)  # replicas lag
THE_BEGINNING = "19700101000000Z"
_TIME = re.compile(r"(\d{14})(?:[.,]\d+)?Z")
INVOCATION_ID = "invocationId"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place to read on from; it means something only at the ``server`` that gave it.

    ``since`` is a USN ([MS-ADTS] 3.1.1.1.9) or a generalized time (RFC 4517 section 3.3.13) as text. ``latest`` is the
    latest change seen, and ``at`` our own time of the run, in Unix seconds: the two clocks are never compared.
    """

    marker: ChangeMarker
    server: str
    since: str
    latest: str = ""
    at: float = 0.0

    @classmethod
    def read(cls, kept: Mapping[str, object]) -> Self | None:
        """Read what :meth:`kept` gave; None if it is nothing of that kind."""
        marker, server, since = (str(kept.get(name, "")) for name in ("marker", "server", "since"))
        if marker not in {*ChangeMarker} or not since:
            return None
        at = kept.get("at")
        latest = str(kept.get("latest", ""))
        return cls(ChangeMarker(marker), server, since, latest, float(at) if isinstance(at, int | float) else 0.0)

    def kept(self) -> dict[str, object]:
        """Give what a database can hold."""
        return {
            "marker": self.marker.value,
            "server": self.server,
            "since": self.since,
            "latest": self.latest,
            "at": self.at,
        }

    def fits(self, other: Cursor) -> bool:
        """Whether reading may go on from this cursor where the other one was made."""
        return self.marker is other.marker and self.server == other.server

    def changed_filter(self, preset: Preset) -> str:
        """Give the filter of entries that changed at or after this place."""
        if self.marker is ChangeMarker.USN_CHANGED:
            return f"({preset.changed_attribute}>={int(self.since) + 1})"
        return f"({preset.changed_attribute}>={self.since})"


def cursor_now(connection: LdapConnection, preset: Preset, now: float) -> Cursor:
    """Give the place from which the next run must read, asked before this run reads anything.

    Raises DirectoryUnreachable.
    """
    if preset.change_marker is ChangeMarker.USN_CHANGED:
        root = connection.root(("highestCommittedUSN", "dsServiceName"))
        service = root.text("dsServiceName") or ""
        return Cursor(preset.change_marker, _invocation(connection, service), root.text("highestCommittedUSN") or "0")
    return Cursor(preset.change_marker, f"{connection.host}:{connection.port}", THE_BEGINNING, at=now)


def _invocation(connection: LdapConnection, service: str) -> str:
    """Name the domain controller's database: restored from a backup it has another id, and its USNs start anew."""
    if not service:
        return connection.host
    found = connection.search_base(service, (INVOCATION_ID,))
    raw = found.attributes.get(INVOCATION_ID.casefold(), (b"",))[0] if found is not None else b""
    return f"{service.casefold()}#{raw.hex()}"


class HighWater:
    """The latest change that a run has seen, by generalized time."""

    def __init__(self, preset: Preset) -> None:
        self._preset = preset
        self._latest = ""

    def see(self, entry: Entry) -> None:
        """Take an entry into account."""
        if self._preset.change_marker is ChangeMarker.MODIFY_TIMESTAMP:
            match = _TIME.fullmatch(entry.text(self._preset.changed_attribute) or "")
            if match is not None:
                self._latest = max(self._latest, match[1] + "Z")

    def next(self, begun: Cursor, before: Cursor | None) -> Cursor:
        """Give the next run's cursor: a minute before the last change seen, for what was being written or copied then.

        Once a later run has seen no later change, everything of that second has been read, and reading goes on just
        after it: then a run that finds nothing reads next to nothing.
        """
        if begun.marker is ChangeMarker.USN_CHANGED:
            return begun
        known = before if before is not None and before.fits(begun) else None
        latest = max(self._latest, known.latest if known is not None else "")
        if not latest:
            return begun
        moment = datetime.strptime(latest, FORMAT).replace(tzinfo=UTC)
        is_settled = known is not None and known.latest == latest and begun.at - known.at >= OVERLAP.total_seconds()
        since = moment + timedelta(seconds=1) if is_settled else moment - OVERLAP
        if known is not None and known.latest == latest and not is_settled:
            return replace(begun, since=max(known.since, generalized(since)), latest=latest, at=known.at)
        return replace(begun, since=generalized(since), latest=latest)


def generalized(moment: datetime) -> str:
    """Write a time as LDAP does, to the second."""
    return moment.astimezone(UTC).strftime(FORMAT)
