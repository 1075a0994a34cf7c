"""Mounts: which backend serves which part of a user's tree, and with which rights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from storage.files.api import Filesystem
from storage.files.path import VirtualPath
from storage.files.permissions import Right, Rule, decide, rights_at
from storage.files.quota import Quota

__all__ = ["Mount", "MountTable", "Rule"]


@dataclass(frozen=True, slots=True)
class Mount:
    """One backend at one path of the user's tree.

    ``tree`` names the backend's root for locks, properties and logs, the same for every user who
    sees it (``home:<user id>``, ``folder:<folder id>``). ``quota`` is shared by all of them.
    """

    path: VirtualPath
    filesystem: Filesystem
    tree: str
    quota: Quota | None = None


class MountTable:
    """All mounts of one user with the rules over them; immutable.

    Of two mounts at one path the first counts. A mount at ``/a/b`` makes ``/a`` visible even if no
    backend has it. Without any mount the tree is an empty root.
    """

    def __init__(self, mounts: Iterable[Mount], rules: Iterable[Rule]) -> None:
        table: dict[tuple[str, ...], Mount] = {}
        for mount in mounts:
            table.setdefault(mount.path.names, mount)
        self._mounts = table
        self._decided = decide(rules)

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """All mounts that count."""
        return tuple(self._mounts.values())

    @property
    def rule_paths(self) -> tuple[VirtualPath, ...]:
        """Every path at which some rule decides anew."""
        return tuple(VirtualPath(names) for names in self._decided)

    def find(self, path: VirtualPath) -> tuple[Mount, VirtualPath] | None:
        """Give the deepest mount at or above ``path`` and the rest of the path inside it, or None."""
        names = path.names
        for depth in range(len(names), -1, -1):
            mount = self._mounts.get(names[:depth])
            if mount is not None:
                return mount, VirtualPath(names[depth:])
        return None

    def is_mount_point(self, path: VirtualPath) -> bool:
        """Whether a backend is mounted exactly here."""
        return path.names in self._mounts

    def rights_at(self, path: VirtualPath) -> frozenset[Right]:
        """Give the rights that the deepest rule at or above ``path`` leaves."""
        return rights_at(self._decided, path)
