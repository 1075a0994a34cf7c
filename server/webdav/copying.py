"""COPY and MOVE (RFC 4918 sections 9.8 and 9.9). WsgiDAV deletes the destination first; here it is lost in no case.

What a request replaces is replaced atomically (a file by a file) or put aside under another name
until the new one is in its place; a failure puts it back.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from wsgidav.dav_error import DAVError

from server.webdav.guards import check_conditions, check_member_change, check_unlocked
from server.webdav.multistatus import send_outcome
from server.webdav.places import Place, place_of
from server.webdav.removing import forget, remove_directory
from server.webdav.request import Answer, DavRequest, Environ, StartResponse, stat_or_none
from server.webdav.trees import Failure, copy_members
from server.webdav.urls import destination_of
from storage.files.api import Stat
from storage.files.errors import CrossesMounts, PermissionDenied, StorageError
from storage.files.path import VirtualPath
from storage.files.workspace import Workspace

log = structlog.get_logger(__name__)


def copy_or_move(request: DavRequest, environ: Environ, start_response: StartResponse, *, move: bool) -> Answer:
    """Serve COPY or MOVE."""
    workspace, source = request.workspace, request.path
    stat = workspace.stat(source, committed=True)
    target = destination_of(environ.get("HTTP_DESTINATION"), environ.get("HTTP_HOST", ""))
    overwrite = _overwrite(environ)
    deep = _deep(environ, stat, move=move)
    if _overlap(request, source, target):
        raise DAVError(403, "Source and destination are the same, or one lies in the other.")
    parent = stat_or_none(workspace, target.parent)
    if parent is None or not parent.is_directory:
        raise DAVError(409, "The destination's folder does not exist.")
    present = stat_or_none(workspace, target)

    check_conditions(request, environ, stat)
    if move:
        check_unlocked(request, environ, source, depth_infinity=True)
        check_unlocked(request, environ, source.parent)
    check_unlocked(request, environ, target, depth_infinity=True)
    if present is None:
        check_member_change(request, environ, target)
    elif not overwrite:
        raise DAVError(412, "The destination exists, and Overwrite is F.")

    job = _Job(request, environ, source, target, stat.is_directory, present)
    failures = job.move() if move else job.copy(deep=deep)
    return send_outcome(start_response, source, 201 if present is None else 204, failures)


@dataclass(frozen=True, slots=True)
class _Job:
    """One COPY or MOVE whose preconditions hold."""

    request: DavRequest
    environ: Environ
    source: VirtualPath
    target: VirtualPath
    is_directory: bool
    present: Stat | None  # at the target

    @property
    def workspace(self) -> Workspace:
        """The user's tree."""
        return self.request.workspace

    def move(self) -> list[Failure]:
        """Rename; between mounts copy, then remove."""
        try:
            self._replacing(lambda: self._rename(self.source, self.target))
        except CrossesMounts:
            return self._copy_and_remove()
        source, target = place_of(self.request, self.source), place_of(self.request, self.target)
        self._settle_target_locks()
        self.request.locks.forget(source.tree, source.key)
        self.request.properties.move(source.tree, source.key, target.tree, target.key)
        return []

    def copy(self, *, deep: bool) -> list[Failure]:
        """Copy a file atomically; a tree into a fresh directory first if it replaces something."""
        failures: list[Failure] = []
        if not self.is_directory and not (self.present is not None and self.present.is_directory):
            self.workspace.copy_file(self.source, self.target, replace=self.present is not None)
        elif self.present is None:
            failures = self._fill(self.target, deep=deep)
        else:
            failures = self._replace_by_copy(deep=deep)
            if failures:
                return failures
        source, target = place_of(self.request, self.source), place_of(self.request, self.target)
        self._settle_target_locks()
        self.request.properties.copy(source.tree, source.key, target.tree, target.key, deep=deep)
        if deep and self.is_directory:
            self._forget_what_was_not_copied(target)
        return failures

    def _forget_what_was_not_copied(self, target: Place) -> None:
        """Members that failed, or that this user may not see, leave no properties for whoever takes their names."""
        for key in self.request.properties.places_below(target.tree, target.key):
            member = self.target.joined(VirtualPath.parse(key).relative_to(target.path))
            try:
                copied = stat_or_none(self.workspace, member) is not None
            except PermissionDenied:
                copied = False
            if not copied:
                self.request.properties.forget(target.tree, key)

    def _replace_by_copy(self, *, deep: bool) -> list[Failure]:
        """Copy beside the destination and swap; if a member fails, the destination stays as it was."""
        beside = self._spare_name("copying")
        try:
            failures = self._fill(beside, deep=deep)
            if not failures:
                self._replacing(lambda: self._rename(beside, self.target))
        finally:
            self._discard(beside)
        return failures

    def _fill(self, target: VirtualPath, *, deep: bool) -> list[Failure]:
        if not self.is_directory:
            self.workspace.copy_file(self.source, target, replace=False)
            return []
        if deep:
            return copy_members(self.workspace, self.source, target)
        self.workspace.mkdir(target)
        return []

    def _copy_and_remove(self) -> list[Failure]:
        failures = self.copy(deep=True)
        if failures:
            return failures
        if self.is_directory:
            failures = remove_directory(self.request, self.environ, self.source)
        else:
            self.workspace.remove(self.source)
        if not failures:
            forget(self.request, self.source)
        return failures

    def _rename(self, source: VirtualPath, target: VirtualPath) -> None:
        both_files = self.present is not None and not self.present.is_directory and not self.is_directory
        self.workspace.rename(source, target, replace=both_files)

    def _replacing(self, act: Callable[[], None]) -> None:
        """Run ``act``, which puts something at the destination, with what is there put aside and back if it fails."""
        if self.present is None or not (self.present.is_directory or self.is_directory):
            act()
            return
        aside = self._spare_name("replaced")
        self.workspace.rename(self.target, aside, replace=False)
        try:
            act()
        except BaseException:
            self.workspace.rename(aside, self.target, replace=False)
            raise
        self._discard(aside)

    def _settle_target_locks(self) -> None:
        """Locks below a replaced destination end with what they were on; the one on itself stays (7.4)."""
        target = place_of(self.request, self.target)
        self.request.locks.forget(target.tree, target.key, with_root=False)

    def _spare_name(self, purpose: str) -> VirtualPath:
        return self.target.parent.child(f".{purpose}-{secrets.token_hex(8)}")

    def _discard(self, path: VirtualPath) -> None:
        with contextlib.suppress(StorageError):
            if not self.workspace.exists(path):
                return
            try:
                self.workspace.remove_tree(path)
            except StorageError as error:
                log.warning("webdav.leftover", path=str(path), error=error.code)


def _overlap(request: DavRequest, source: VirtualPath, target: VirtualPath) -> bool:
    """Whether one is the other or lies in it, also where one folder is mounted at several paths."""
    if target.is_within(source) or source.is_within(target):
        return True
    here, there = place_of(request, source), place_of(request, target)
    return here.tree == there.tree and (there.path.is_within(here.path) or here.path.is_within(there.path))


def _overwrite(environ: Environ) -> bool:
    match environ.get("HTTP_OVERWRITE", "T").strip().upper():
        case "T":
            return True
        case "F":
            return False
        case _:
            raise DAVError(400, "Overwrite must be T or F.")


def _deep(environ: Environ, stat: Stat, *, move: bool) -> bool:
    """Whether members are copied too; RFC 4918 9.8.3 allows 0 and infinity, 9.9.3 only infinity for MOVE."""
    match environ.get("HTTP_DEPTH", "infinity"):
        case "infinity":
            return True
        case "0" if not (move and stat.is_directory):
            return False
        case _:
            raise DAVError(400, "This Depth is not allowed here.")
