"""Copying a file and removing a tree, with the verbs of one session."""

from __future__ import annotations

import contextlib
import os
from itertools import islice
from typing import TYPE_CHECKING

from storage.files.access import Access
from storage.files.api import Entry, Stat, WriteMode
from storage.files.errors import InvalidPath, NotFound
from storage.files.events import EventKind
from storage.files.mounts import Mount
from storage.files.path import VirtualPath
from storage.files.readers import SessionReader
from storage.files.session_state import SessionState
from storage.files.uploads import Upload

if TYPE_CHECKING:  # the workspace imports this file
    from storage.files.workspace import Workspace

COPY_BLOCK = 1 << 20
KERNEL_BLOCK = 1 << 24  # small enough that the end of a session is noticed soon
BATCH = 512


def copy_file(workspace: Workspace, source: VirtualPath, target: VirtualPath, *, replace: bool) -> Stat:
    """Copy a file's bytes and modification time through an upload."""
    if source == target:
        raise InvalidPath("a file cannot be copied onto itself")
    mode = WriteMode.REPLACE if replace else WriteMode.CREATE
    with workspace.open_reader(source) as reader, workspace.open_writer(target, mode) as upload:
        before = reader.stat()
        upload.expect(before.size)
        offset = copy_bytes(reader, upload)
        while data := reader.read_at(offset, COPY_BLOCK):
            upload.write_at(offset, data)
            offset += len(data)
        upload.set_times(before.modified_ns, None)
        return upload.commit()


def copy_bytes(reader: SessionReader, upload: Upload) -> int:
    """Copy inside the kernel as far as it does that; give how many bytes it did."""
    offset = 0
    while True:
        with reader.lease() as source, upload.lease() as target:
            if source is None or target is None:
                return offset
            try:
                done = os.copy_file_range(source, target, KERNEL_BLOCK, offset, offset)
            except OSError:
                return offset  # the caller goes on block by block, and meets a full disk there
        if done == 0:
            return offset
        offset += done
        upload.wrote(offset)
        reader.gave(done)


def remove_tree(state: SessionState, access: Access, path: VirtualPath) -> None:
    """Remove everything at and below ``path``; the caller has checked the rights.

    Holds at most ``BATCH`` names per level. Links are removed, never followed.
    """
    mount, inner = access.require(path)
    uploads = state.uploads.within(path)
    for upload in uploads:
        upload.abort_for_removal()
    entry = _entry(mount, inner)
    if entry is None:
        if not uploads:
            raise NotFound(str(path))
        return
    if entry.stat.is_directory and not entry.link:
        _clear(state, mount, inner)
        mount.filesystem.rmdir(inner)
        state.tell(EventKind.REMOVED_DIRECTORY, path, mount)
    else:
        _remove(mount, inner)
        state.tell(EventKind.REMOVED, path, mount)


def _clear(state: SessionState, mount: Mount, top: VirtualPath) -> None:
    """Empty a directory."""
    levels: list[tuple[VirtualPath, list[str]]] = [(top, [])]  # a directory, and names in it still to go into
    while levels:
        state.check_live()
        here, below = levels[-1]
        if not below:
            batch = _batch(mount, here)
            if not batch:
                levels.pop()
                if levels:
                    _rmdir(mount, here)
                continue
            for entry in batch:
                if entry.stat.is_directory and not entry.link:
                    below.append(entry.name)
                else:
                    _remove(mount, here.child(entry.name))
        if below:
            levels.append((here.child(below.pop()), []))


def _batch(mount: Mount, directory: VirtualPath) -> list[Entry]:
    try:
        entries = mount.filesystem.scan(directory)
    except NotFound:  # somebody else removed it
        return []
    return list(islice(entries, BATCH))


def _entry(mount: Mount, inner: VirtualPath) -> Entry | None:
    try:
        stat = mount.filesystem.stat(inner)
    except NotFound:
        return None
    return Entry(inner.name, stat, link=mount.filesystem.is_link(inner))


def _remove(mount: Mount, inner: VirtualPath) -> None:
    freed = mount.filesystem.usage(inner) if mount.quota else 0
    with contextlib.suppress(NotFound):
        mount.filesystem.remove(inner)
        if mount.quota:
            mount.quota.charge(-freed)


def _rmdir(mount: Mount, inner: VirtualPath) -> None:
    with contextlib.suppress(NotFound):
        mount.filesystem.rmdir(inner)
