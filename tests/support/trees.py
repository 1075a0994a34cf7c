"""Small trees of files for tests: mounts, rules and workspaces in a few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from storage.files.api import Filesystem, WriteMode
from storage.files.events import FileEvent
from storage.files.memory import MemoryFilesystem
from storage.files.mounts import Mount, MountTable
from storage.files.path import VirtualPath
from storage.files.permissions import Rule, parse_rights
from storage.files.quota import Quota
from storage.files.workspace import Workspace

P = VirtualPath.parse
ROOT = VirtualPath()


class Journal:
    """An observer that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[FileEvent] = []

    def happened(self, event: FileEvent) -> None:
        self.events.append(event)

    def lines(self) -> list[str]:
        return [
            " ".join(str(part) for part in (e.kind, e.path, e.target, e.size) if part is not None) for e in self.events
        ]


def table(
    rights: Mapping[str, str], mounts: Mapping[str, Filesystem] | None = None, quota: Quota | None = None
) -> MountTable:
    """Mounts by path (default: one memory home) and rights by path: ``"list read"`` or ``"full -delete"``."""
    mounts = {"/": MemoryFilesystem()} if mounts is None else mounts
    return MountTable(
        [Mount(P(path), filesystem, f"tree:{path}", quota) for path, filesystem in mounts.items()],
        [_rule(path, words.split()) for path, words in rights.items()],
    )


def _rule(path: str, words: Iterable[str]) -> Rule:
    words = list(words)
    return Rule(
        P(path),
        parse_rights(word for word in words if not word.startswith("-")),
        parse_rights(word[1:] for word in words if word.startswith("-")),
    )


def put(workspace: Workspace, path: str, data: bytes, mode: WriteMode = WriteMode.REPLACE) -> None:
    """Upload a file."""
    with workspace.open_writer(P(path), mode) as upload:
        upload.write_at(0, data)
        upload.commit()


def get(workspace: Workspace, path: str) -> bytes:
    """Download a file."""
    with workspace.open_reader(P(path)) as reader:
        return reader.read_at(0, reader.size)


def ls(workspace: Workspace, path: str) -> list[str]:
    """List a directory."""
    return sorted(entry.name for entry in workspace.scan(P(path)))
