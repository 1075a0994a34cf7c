"""Access: a mount table seen through one session's limits (API-key prefixes, read-only)."""

from __future__ import annotations

from collections.abc import Iterator

from storage.files.errors import NotFound, PermissionDenied
from storage.files.mounts import Mount, MountTable
from storage.files.path import VirtualPath
from storage.files.permissions import NO_RIGHTS, READ_ONLY, Right


class Access:
    """Rights and ways through one tree for one session; immutable, replaced whole when grants change.

    Outside the prefixes nothing is reachable, except that the directories above a reachable place
    are there and show only the way down to it.
    """

    def __init__(self, table: MountTable, *, read_only: bool = False, prefixes: tuple[VirtualPath, ...] = ()) -> None:
        self.table = table
        self._read_only = read_only
        self._prefixes = prefixes
        self._points = tuple(
            {*(mount.path for mount in table.mounts), *table.rule_paths, *prefixes}  # where rights may change
        )
        self._changes_below: set[tuple[str, ...]] = set()
        self._ways: dict[tuple[str, ...], set[str]] = {}
        for point in self._points:
            open_here = bool(self.rights(point))
            for above, name in _steps(point):
                self._changes_below.add(above)
                if open_here:
                    self._ways.setdefault(above, set()).add(name)
        self._above_mounts = {above for mount in table.mounts for above, _ in _steps(mount.path)}
        self._synthetic = {
            above for mount in table.mounts if self.visible(mount.path) for above, _ in _steps(mount.path)
        }

    def rights(self, path: VirtualPath) -> frozenset[Right]:
        """Give what the session may do at ``path``."""
        if self._prefixes and not any(path.is_within(prefix) for prefix in self._prefixes):
            return NO_RIGHTS
        rights = self.table.rights_at(path)
        return rights & READ_ONLY if self._read_only else rights

    def ways_down(self, path: VirtualPath) -> frozenset[str]:
        """Names in ``path`` that lead to a place where the session has rights."""
        return frozenset(self._ways.get(path.names, ()))

    def visible(self, path: VirtualPath) -> bool:
        """Whether the session may know of ``path``."""
        return path.is_root or bool(self.rights(path)) or path.names in self._ways

    def synthetic(self, path: VirtualPath) -> bool:
        """Whether ``path`` is a directory even if no backend has it: the root, or above a mount."""
        return path.is_root or path.names in self._synthetic

    def has_rules_below(self, path: VirtualPath) -> bool:
        """Whether rights or mounts change somewhere strictly below ``path``."""
        return path.names in self._changes_below

    def is_fixed(self, path: VirtualPath) -> bool:
        """Whether ``path`` may be neither moved nor removed: the root, a mount point, or above one."""
        return path.is_root or self.table.is_mount_point(path) or path.names in self._above_mounts

    def is_uniform(self, mount: Mount) -> bool:
        """Whether the session's rights are the same everywhere in ``mount``."""
        held = self.rights(mount.path)
        found = ((point, self.table.find(point)) for point in self._points)
        return all(self.rights(point) == held for point, place in found if place is not None and place[0] is mount)

    def missing_below(self, path: VirtualPath, right: Right) -> bool:
        """Whether the session lacks ``right`` at ``path`` or anywhere below it."""
        inside = (point for point in self._points if point.is_within(path))
        return right not in self.rights(path) or any(right not in self.rights(point) for point in inside)

    def locate(self, path: VirtualPath) -> tuple[Mount, VirtualPath]:
        """Give the mount and the path inside it; NotFound for places that the session may not know of."""
        found = self.table.find(path)
        if found is None or not self.visible(path):
            raise NotFound(f"{path} is in no mount of this session")
        return found

    def require(self, path: VirtualPath, *rights: Right) -> tuple[Mount, VirtualPath]:
        """Give the mount and the path inside it if the session has all ``rights`` there, and any at all.

        Raises:
            PermissionDenied: a right is missing.
            NotFound: the session may know neither of the place nor of the directory around it.
        """
        if not self.visible(path.parent):
            raise NotFound(f"{path} is in no mount of this session")
        found = self.table.find(path)
        held = self.rights(path)
        missing = [right for right in rights if right not in held]
        if found is None or missing or not held:
            raise PermissionDenied(f"no right to {', '.join(missing) or 'be'} at {path}")
        return found


def _steps(path: VirtualPath) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each directory strictly above ``path``, with the name in it that leads on."""
    return ((path.names[:depth], path.names[depth]) for depth in range(len(path.names)))
