"""Whole trees: removal and copy that go on after one member failed, and say which did.

Nothing here recurses on the stack or holds a tree in memory; links are never followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from wsgidav.dav_error import DAVError

from server.webdav.errors import dav_error
from server.webdav.limits import MAX_DESCENDANTS
from storage.files.errors import NotFound, SessionEnded, StorageError
from storage.files.path import VirtualPath
from storage.files.workspace import Workspace

Check = Callable[[VirtualPath], None]
"""Raises DAVError if a member must not be touched (somebody's lock)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One member on which the operation failed."""

    path: VirtualPath
    is_directory: bool
    error: DAVError


@dataclass(slots=True)
class Budget:
    """How many members one request may touch; DAVError 507 beyond."""

    left: int = MAX_DESCENDANTS

    def spend(self) -> None:
        """Count one member."""
        self.left -= 1
        if self.left < 0:
            raise DAVError(507, "Too many files for one request; work on smaller folders.")


def remove_members(workspace: Workspace, top: VirtualPath, check: Check) -> list[Failure]:
    """Remove everything at and below ``top`` that can be; directories that keep something stay."""
    failures: list[Failure] = []
    budget = Budget()
    levels: list[_Level] = [_Level(top, _members(workspace, top))]
    while levels:
        level = levels[-1]
        member = next(level.members, None)
        if member is None:
            levels.pop()
            kept = bool(level.keeps) or not _tried(level.path, True, failures, _remover(workspace.rmdir, check))
            if kept and levels:
                levels[-1].keeps = True
            continue
        budget.spend()
        path, is_directory = member
        if is_directory:
            try:
                levels.append(_Level(path, _members(workspace, path)))
            except StorageError as error:
                level.keeps = True
                failures.append(Failure(path, True, _member_error(error)))
        elif not _tried(path, False, failures, _remover(workspace.remove, check)):
            level.keeps = True
    return failures


def copy_members(workspace: Workspace, source: VirtualPath, target: VirtualPath) -> list[Failure]:
    """Make ``target``, a directory that does not exist yet, a copy of ``source`` as far as can be."""
    failures: list[Failure] = []
    budget = Budget()
    if not _tried(source, True, failures, lambda _: workspace.mkdir(target)):
        return failures
    waiting = [source]
    while waiting:
        here = waiting.pop()
        there = target.joined(here.relative_to(source))
        try:
            members = list(_members(workspace, here))
        except StorageError as error:
            failures.append(Failure(here, True, _member_error(error)))
            continue
        for path, is_directory in members:
            budget.spend()
            into = there.child(path.name)
            if is_directory:
                if _tried(path, True, failures, lambda _, into=into: workspace.mkdir(into)):  # type: ignore[misc]  # mypy loses the default argument
                    waiting.append(path)
            else:
                _tried(path, False, failures, lambda path, into=into: _copy(workspace, path, into))  # type: ignore[misc]  # as above
    return failures


@dataclass(slots=True)
class _Level:
    path: VirtualPath
    members: Iterator[tuple[VirtualPath, bool]]
    keeps: bool = field(default=False)


def _members(workspace: Workspace, path: VirtualPath) -> Iterator[tuple[VirtualPath, bool]]:
    """List a directory before anything in it changes: (path, whether it is a directory to go into)."""
    entries = [
        (entry.name, entry.stat.is_directory and not entry.link) for entry in workspace.scan(path, committed=True)
    ]
    return iter([(path.child(name), is_directory) for name, is_directory in entries])


def _remover(remove: Check, check: Check) -> Check:
    def run(path: VirtualPath) -> None:
        check(path)
        try:
            remove(path)
        except NotFound:  # somebody else was faster
            return

    return run


def _copy(workspace: Workspace, path: VirtualPath, target: VirtualPath) -> None:
    workspace.copy_file(path, target, replace=True)


def _tried(path: VirtualPath, is_directory: bool, failures: list[Failure], act: Check) -> bool:  # noqa: FBT001 - a field of Failure
    try:
        act(path)
    except (StorageError, DAVError) as error:
        failures.append(Failure(path, is_directory, _member_error(error)))
        return False
    return True


def _member_error(error: StorageError | DAVError) -> DAVError:
    if isinstance(error, SessionEnded):
        raise error
    return dav_error(error)
