"""What a workspace tells its observer: one event for each thing that was done to files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from storage.files.path import VirtualPath


class EventKind(StrEnum):
    """What happened."""

    UPLOADED = "uploaded"
    UPLOAD_ABORTED = "upload_aborted"
    DOWNLOADED = "downloaded"  # a reader that gave at least one byte was closed
    REMOVED = "removed"
    RENAMED = "renamed"
    MADE_DIRECTORY = "made_directory"
    REMOVED_DIRECTORY = "removed_directory"
    LINKED = "linked"


@dataclass(frozen=True, slots=True)
class FileEvent:
    """One thing that was done. ``path`` is the client's; ``target`` is where a rename went.

    ``size`` is the bytes of the file (uploads) or the bytes given (downloads).
    """

    kind: EventKind
    path: VirtualPath
    tree: str
    target: VirtualPath | None = None
    size: int | None = None


class Observer(Protocol):
    """Told of each event after it happened; must be quick, thread-safe, and must not raise."""

    def happened(self, event: FileEvent) -> None:
        """Take note of one event."""
