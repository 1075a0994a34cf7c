"""Symbolic and hard links in a session's tree, where the site allows them."""

from __future__ import annotations

from storage.files.access import Access
from storage.files.api import Capability, Linker
from storage.files.errors import CrossesMounts, InvalidPath, NotFound, PermissionDenied, Unsupported
from storage.files.events import EventKind
from storage.files.mounts import Mount
from storage.files.path import VirtualPath
from storage.files.permissions import Right
from storage.files.session_state import SessionState


def symlink(state: SessionState, target_text: str, path: VirtualPath, *, allowed: bool) -> None:
    """Make a link at ``path``; its text is read as a path of the client's tree, and must lead to something."""
    access = state.live()
    target = VirtualPath.parse(target_text, base=path.parent)
    mount, linker, inner = _linker(access, path, Capability.SYMLINK, allowed=allowed)
    linker.symlink(_inner_source(access, mount, target, path), inner)
    state.tell(EventKind.LINKED, path, mount, target=target)


def read_link(state: SessionState, path: VirtualPath, *, allowed: bool) -> str:
    """Give the text of the link at ``path``."""
    access = state.live()
    if not allowed:
        raise Unsupported("links are switched off")
    mount, inner = access.require(path, Right.LIST)
    if Capability.SYMLINK not in mount.filesystem.capabilities or not isinstance(mount.filesystem, Linker):
        raise Unsupported("this backend has no links")
    return mount.filesystem.read_link(inner)


def link_text(state: SessionState, path: VirtualPath, *, allowed: bool) -> str | None:
    """Give the text of the link at ``path``; None for anything else and for what the session may not see."""
    access = state.live()
    if not allowed or access.synthetic(path) or access.table.is_mount_point(path) or state.uploads.at(path) is not None:
        return None
    mount, inner = access.locate(path)
    if not mount.filesystem.is_link(inner):
        return None
    try:
        return read_link(state, path, allowed=allowed)
    except (NotFound, PermissionDenied, Unsupported, InvalidPath):  # InvalidPath: a file has the name by now
        return None


def hard_link(state: SessionState, source: VirtualPath, path: VirtualPath, *, allowed: bool) -> None:
    """Give the file at ``source`` the further name ``path``; its size counts once more against the quota."""
    access = state.live()
    mount, linker, inner = _linker(access, path, Capability.HARD_LINK, allowed=allowed)
    origin = _inner_source(access, mount, source, path)
    size = mount.filesystem.stat(origin).size
    if mount.quota:
        mount.quota.charge(size)
    try:
        linker.hard_link(origin, inner)
    except BaseException:
        if mount.quota:
            mount.quota.charge(-size, forced=True)
        raise
    state.tell(EventKind.LINKED, path, mount, target=source)


def _linker(
    access: Access, path: VirtualPath, capability: Capability, *, allowed: bool
) -> tuple[Mount, Linker, VirtualPath]:
    if not allowed:
        raise Unsupported("links are switched off")
    mount, inner = access.require(path, Right.CREATE)
    if capability not in mount.filesystem.capabilities or not isinstance(mount.filesystem, Linker):
        raise Unsupported("this backend has no such links")
    return mount, mount.filesystem, inner


def _inner_source(access: Access, mount: Mount, source: VirtualPath, path: VirtualPath) -> VirtualPath:
    """Give the source inside the same mount, if a link to it cannot widen anybody's rights."""
    source_mount, inner = access.require(source, Right.READ, Right.LIST)
    if source_mount.path != mount.path:
        raise CrossesMounts(f"{source} and {path} are in different mounts")
    if not access.is_uniform(mount):
        raise PermissionDenied("links are made only where rights are the same in the whole mount")
    return inner
