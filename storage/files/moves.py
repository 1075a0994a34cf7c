"""Renaming in a session's tree: the rights on both sides, and uploads that follow."""

from __future__ import annotations

import contextlib

from storage.files.access import Access
from storage.files.api import Stat
from storage.files.errors import AlreadyExists, CrossesMounts, NotFound, PermissionDenied, UploadFailed
from storage.files.events import EventKind
from storage.files.mounts import Mount
from storage.files.path import VirtualPath
from storage.files.permissions import Right
from storage.files.session_state import SessionState
from storage.files.uploads import Upload, moved


def rename(state: SessionState, access: Access, source: VirtualPath, target: VirtualPath, *, replace: bool) -> None:
    """Move a file, a directory or an upload in flight.

    Needs RENAME at the source, and at the target OVERWRITE for what is replaced. Into another
    directory it also needs CREATE or MAKE_DIRECTORY there, and DELETE here if the rights differ:
    moving must not give what copying and deleting would not. A directory whose rights are not the
    same throughout stays where it is.
    """
    if access.is_fixed(source) or access.is_fixed(target):
        raise PermissionDenied("a mount, or what is above one, stays where it is")
    if not access.visible(source):
        raise NotFound(str(source))
    upload = state.uploads.at(source)
    mount, inner = access.require(source)
    target_mount, target_inner = access.require(target)
    if mount.tree != target_mount.tree or mount.path != target_mount.path:
        raise CrossesMounts(f"{source} and {target} are in different mounts")
    committed = _peek(mount, inner)
    if upload is None and committed is None:
        raise NotFound(str(source))
    replaced = _peek(target_mount, target_inner) if source != target else None
    present = state.uploads.at(target) if source != target else None
    if (replaced is not None or present is not None) and not replace:
        raise AlreadyExists(str(target))
    _check_rights(state, access, (source, committed), (target, replaced))
    own = committed is not None and state.own.has(source, committed)

    if committed is not None:
        freed = replaced.size if mount.quota and replaced and not replaced.is_directory else 0
        mount.filesystem.rename(inner, target_inner, replace=replace)
        if mount.quota:
            mount.quota.charge(-freed)
    if present is not None:
        present.abort_for_removal()
    state.own.move(source, target)
    if own and (now := _peek(target_mount, target_inner)) is not None:
        state.own.changed(target, now)
    over = _may_replace(access, target, asked=replace, replaced=replaced is not None)
    _follow(state, (source, inner), (target, target_inner), upload, replace=over)
    state.tell(EventKind.RENAMED, source, mount, target=target)


def _follow(
    state: SessionState,
    source: tuple[VirtualPath, VirtualPath],
    target: tuple[VirtualPath, VirtualPath],
    upload: Upload | None,
    *,
    replace: bool | None,
) -> None:
    """Take uploads at and below the source along; ``replace`` is for the one at the source."""
    for each in state.uploads.within(source[0]):
        rest = each.path.relative_to(source[0])
        try:
            over = replace if rest.is_root else None
            each.move(target[0].joined(rest), moved(each.terms, target[1].joined(rest)), replace=over)
        except UploadFailed:  # it ended meanwhile
            if each is upload:
                raise


def _may_replace(access: Access, target: VirtualPath, *, asked: bool, replaced: bool) -> bool | None:
    """Whether an upload that was renamed may replace what is at its new place by its end; None: as before.

    sshfs may rename a new file over another one before it sends CLOSE. The right to overwrite is
    that of the new place, not of the old one.
    """
    if asked and replaced:
        return True
    if Right.OVERWRITE not in access.rights(target):
        return False
    return True if asked else None


def _peek(mount: Mount, inner: VirtualPath) -> Stat | None:
    with contextlib.suppress(NotFound):
        return mount.filesystem.stat(inner)
    return None


def _check_rights(
    state: SessionState,
    access: Access,
    source: tuple[VirtualPath, Stat | None],
    target: tuple[VirtualPath, Stat | None],
) -> None:
    here, stat = source
    there, replaced = target
    is_directory = stat is not None and stat.is_directory
    if is_directory and (access.has_rules_below(here) or access.has_rules_below(there)):
        raise PermissionDenied(f"rights differ below {here} or {there}")
    own = stat is None or (Right.CREATE in access.rights(here) and state.own.has(here, stat))
    if not own:
        access.require(here, Right.RENAME)
        if here.parent != there.parent and access.rights(here) != access.rights(there):
            access.require(here, Right.DELETE, *(() if is_directory else (Right.READ,)))
    if here.parent != there.parent or own:
        access.require(there, Right.MAKE_DIRECTORY if is_directory else Right.CREATE)
    if access.rights(there) != access.rights(here):
        access.require(there, Right.MAKE_DIRECTORY if is_directory else Right.CREATE)
    if replaced is not None and not (Right.CREATE in access.rights(there) and state.own.has(there, replaced)):
        access.require(there, Right.DELETE if replaced.is_directory else Right.OVERWRITE)
