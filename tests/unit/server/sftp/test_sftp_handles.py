"""Open files of a session, below the protocol."""

from __future__ import annotations

import pytest
from asyncssh import constants

from server.sftp.attributes import Changes
from server.sftp.handles import MAX_OFFSET, OpenFiles
from storage.files.api import Capability, WriteMode, Writer
from storage.files.errors import (
    AlreadyExists,
    InvalidPath,
    NotFound,
    PermissionDenied,
    SessionEnded,
    Unsupported,
    UploadFailed,
)
from storage.files.memory import MemoryFilesystem
from storage.files.mounts import Mount, MountTable, Rule
from storage.files.path import VirtualPath
from storage.files.permissions import ALL_RIGHTS, PRESETS, Right
from storage.files.workspace import Workspace

ROOT, A = VirtualPath(), VirtualPath.parse("/a")
READ, WRITE, APPEND = constants.FXF_READ, constants.FXF_WRITE, constants.FXF_APPEND
CREAT, TRUNC, EXCL = constants.FXF_CREAT, constants.FXF_TRUNC, constants.FXF_EXCL


class NoInPlace(MemoryFilesystem):
    """As an object store: nothing can be changed in place."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities - {Capability.IN_PLACE}

    def open_writer(self, path: VirtualPath, mode: WriteMode) -> Writer:
        if mode is WriteMode.IN_PLACE:
            raise Unsupported("in place")
        return super().open_writer(path, mode)


def workspace(fs: MemoryFilesystem, rights: frozenset[Right] = ALL_RIGHTS) -> Workspace:
    return Workspace(MountTable([Mount(ROOT, fs, "home:1")], [Rule(ROOT, rights)]))


@pytest.fixture
def fs() -> MemoryFilesystem:
    return MemoryFilesystem()


@pytest.fixture
def files(fs: MemoryFilesystem) -> OpenFiles:
    return OpenFiles(workspace(fs))


def put(fs: MemoryFilesystem, data: bytes) -> None:
    with fs.open_writer(A, WriteMode.REPLACE) as writer:
        writer.write_at(0, data)
        writer.commit()


def get(fs: MemoryFilesystem) -> bytes:
    with fs.open_reader(A) as reader:
        return reader.read_at(0, reader.size)


@pytest.mark.parametrize(
    ("flags", "present", "after"),
    [
        (WRITE | CREAT | TRUNC, b"old bytes", b"new"),
        (WRITE | CREAT | TRUNC, None, b"new"),
        (WRITE | CREAT | EXCL, None, b"new"),
        (WRITE | CREAT, None, b"new"),
        (WRITE | CREAT, b"old bytes", b"new bytes"),
        (WRITE, b"old bytes", b"new bytes"),
        (READ | WRITE, b"old bytes", b"new bytes"),
        (READ | WRITE | CREAT, None, b"new"),
        (READ | WRITE | CREAT | TRUNC, b"old bytes", b"new"),
        (WRITE | TRUNC, b"old bytes", b"new"),
        (APPEND, b"old bytes", b"old bytesnew"),
        (WRITE | APPEND | CREAT, None, b"new"),
    ],
)
def test_what_the_flags_mean(
    fs: MemoryFilesystem, files: OpenFiles, flags: int, present: bytes | None, after: bytes
) -> None:
    """A write of "new" at 0 and a CLOSE, for each combination that clients send."""
    if present is not None:
        put(fs, present)
    handle = files.open(A, flags)
    handle.write(0, b"new")
    handle.close()

    assert get(fs) == after


@pytest.mark.parametrize(
    ("flags", "present", "error"),
    [
        (READ, None, NotFound),
        (WRITE, None, NotFound),
        (WRITE | TRUNC, None, NotFound),
        (READ | WRITE, None, NotFound),
        (WRITE | CREAT | EXCL, b"old", AlreadyExists),
        (READ | CREAT | EXCL, b"old", AlreadyExists),
        (0, b"old", Unsupported),
        (CREAT, None, Unsupported),
    ],
)
def test_what_the_flags_refuse(
    fs: MemoryFilesystem, files: OpenFiles, flags: int, present: bytes | None, error: type[Exception]
) -> None:
    """Nothing is made and nothing changed."""
    if present is not None:
        put(fs, present)
    with pytest.raises(error):
        files.open(A, flags)

    assert files.workspace.pending(A) is None
    assert [entry.name for entry in fs.scan(ROOT)] == ([] if present is None else ["a"])


def test_reading_may_create(fs: MemoryFilesystem, files: OpenFiles) -> None:
    """READ|CREAT makes an empty file."""
    handle = files.open(A, READ | CREAT)

    assert handle.read(0, 10) == b""
    assert get(fs) == b""


def test_random_access_without_in_place_is_published_at_close() -> None:
    """Where the backend cannot, READ|WRITE works on a copy."""
    fs = NoInPlace()
    put(fs, b"old bytes")
    handle = OpenFiles(workspace(fs)).open(A, READ | WRITE)
    handle.write(0, b"new")

    assert handle.read(0, 100) == b"new bytes"
    assert get(fs) == b"old bytes"
    handle.close()
    assert get(fs) == b"new bytes"


def test_a_drop_box_takes_new_files_only(fs: MemoryFilesystem) -> None:
    """upload-only may create, whatever the flags, and neither read nor replace."""
    put(fs, b"old")
    files = OpenFiles(workspace(fs, PRESETS["upload-only"]))
    for flags in (READ, WRITE | CREAT | TRUNC, READ | WRITE):
        with pytest.raises(PermissionDenied):
            files.open(A, flags)
    handle = files.open(VirtualPath.parse("/b"), WRITE | CREAT)
    handle.write(0, b"mine")
    handle.close()

    assert get(fs) == b"old"
    assert sorted(entry.name for entry in fs.scan(ROOT)) == ["a", "b"]


def test_a_failed_write_spoils_the_close(fs: MemoryFilesystem, files: OpenFiles) -> None:
    """Also one that failed before it reached the backend."""
    put(fs, b"old")
    handle = files.open(A, WRITE | CREAT | TRUNC)
    with pytest.raises(InvalidPath):
        handle.write(MAX_OFFSET, b"x")
    with pytest.raises(UploadFailed):
        handle.close()

    assert get(fs) == b"old"


def test_a_handle_ends_once(fs: MemoryFilesystem, files: OpenFiles) -> None:
    """An abort after a close takes nothing back."""
    handle = files.open(A, WRITE | CREAT)
    handle.write(0, b"new")
    handle.close()
    handle.abort()

    assert get(fs) == b"new"


def test_times_and_size_set_on_a_handle(fs: MemoryFilesystem, files: OpenFiles) -> None:
    """FSETSTAT before CLOSE holds for the committed file; on a reading handle the size may not be set."""
    handle = files.open(A, WRITE | CREAT)
    handle.write(0, b"12345")
    handle.change(Changes(size=3, modified_ns=5_000_000_000))
    handle.close()
    reading = files.open(A, READ)
    reading.change(Changes(modified_ns=7_000_000_000))
    with pytest.raises(PermissionDenied):
        reading.change(Changes(size=1))

    assert get(fs) == b"123"
    assert fs.stat(A).modified_ns == 7_000_000_000


def test_a_revoked_session_commits_nothing(fs: MemoryFilesystem, files: OpenFiles) -> None:
    """CLOSE after the session's end raises, and the old bytes stay."""
    put(fs, b"old")
    handle = files.open(A, WRITE | CREAT | TRUNC)
    handle.write(0, b"new")
    files.workspace.end("user_disabled")
    with pytest.raises((SessionEnded, UploadFailed)):
        handle.close()

    assert get(fs) == b"old"


def test_a_renamed_upload_is_committed_at_its_new_name(fs: MemoryFilesystem, files: OpenFiles) -> None:
    """The handle follows."""
    handle = files.open(VirtualPath.parse("/part"), WRITE | CREAT)
    handle.write(0, b"new")
    files.workspace.rename(VirtualPath.parse("/part"), A, replace=False)
    handle.close()

    assert handle.path == A
    assert get(fs) == b"new"
