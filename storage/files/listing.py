"""Listing a directory of a session's tree: backend, own uploads and mounts laid over each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from storage.files.access import Access
from storage.files.api import Entry, Kind, Stat
from storage.files.errors import NotADirectory, NotFound, PermissionDenied, StorageError
from storage.files.path import VirtualPath
from storage.files.permissions import Right
from storage.files.session_state import SessionState
from storage.files.uploads import Upload


def synthetic_stat(access: Access, path: VirtualPath, opened_ns: int) -> Stat:
    """Facts about a directory above a mount: the backend's if it has one there, else made up."""
    found = access.table.find(path)
    if found is not None:
        with contextlib.suppress(StorageError):
            stat = found[0].filesystem.stat(found[1])
            if stat.is_directory:
                return stat
    return Stat(Kind.DIRECTORY, 0, opened_ns, opened_ns, opened_ns, "synthetic", f"synthetic:{path}")


def scan(
    state: SessionState, access: Access, path: VirtualPath, opened_ns: int, *, committed: bool = False
) -> Iterator[Entry]:
    """List ``path``.

    With LIST everything that the session may know of. Without it only its own files and the ways
    down to mounts and other reachable places; if there can be neither, PermissionDenied.
    """
    rights = access.rights(path)
    if Right.LIST in rights:
        backend = _backend_entries(access, path)
    else:
        _check_directory(access, path)
        if Right.CREATE not in rights and not access.ways_down(path) and not access.synthetic(path):
            raise PermissionDenied(f"no right to list {path}")
        backend = _known_entries(state, access, path)
    pending = {} if committed else state.uploads.names_in(path)
    return _laid_over(state, access, path, backend, pending=pending, opened_ns=opened_ns)


def _check_directory(access: Access, path: VirtualPath) -> None:
    if access.synthetic(path):
        return
    mount, inner = access.locate(path)
    if not mount.filesystem.stat(inner).is_directory:
        raise NotADirectory(str(path))


def _backend_entries(access: Access, path: VirtualPath) -> Iterator[Entry]:
    found = access.table.find(path)
    if found is not None:
        try:
            return found[0].filesystem.scan(found[1])
        except (NotFound, NotADirectory):
            if not access.synthetic(path):
                raise
    elif not access.synthetic(path):
        raise NotFound(str(path))
    return iter(())


def _known_entries(state: SessionState, access: Access, path: VirtualPath) -> Iterator[Entry]:
    """Entries that need no LIST: own files, and what lies on a way down."""
    found = access.table.find(path)
    if found is None:
        return
    mount, inner = found
    ways = access.ways_down(path)
    for name in {*state.own.names_in(path), *ways}:
        with contextlib.suppress(StorageError):
            stat = mount.filesystem.stat(inner.child(name))
            child = path.child(name)
            seen = state.own.has(child, stat) or access.rights(child) & {Right.LIST, Right.READ}
            if seen or (stat.is_directory and name in ways):
                yield Entry(name, stat)


def _laid_over(
    state: SessionState,
    access: Access,
    path: VirtualPath,
    backend: Iterator[Entry],
    *,
    pending: Mapping[str, Upload],
    opened_ns: int,
) -> Iterator[Entry]:
    mounts = {
        name
        for name in access.ways_down(path)
        if access.table.is_mount_point(path.child(name)) or access.synthetic(path.child(name))
    }
    filtered = access.has_rules_below(path)
    may_list = Right.LIST in access.rights(path)
    for entry in backend:
        if state.live() is not access and may_list:
            state.live().require(path, Right.LIST)  # it may have been taken away since the listing began
        if entry.name in pending or entry.name in mounts:
            continue
        if filtered and not access.visible(path.child(entry.name)):
            continue
        yield entry
    for name, upload in pending.items():
        if name not in mounts:
            with contextlib.suppress(StorageError):  # over since the listing began
                yield Entry(name, upload.stat())
    for name in mounts:
        yield Entry(name, synthetic_stat(access, path.child(name), opened_ns))
