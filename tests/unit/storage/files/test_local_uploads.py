"""The local backend: temporary files, modes, short writes, sweeps, and what happens around a commit."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from storage.files import local_writer, renameat2
from storage.files.api import Dependencies, WriteMode, Writer
from storage.files.contract import get, names, put
from storage.files.errors import (
    AlreadyExists,
    CrossesMounts,
    InvalidPath,
    NoSpace,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    StorageError,
    StorageUnavailable,
    UploadFailed,
)
from storage.files.local import LocalFilesystem, build
from storage.files.path import TEMP_PREFIX
from tests.support.trees import ROOT, P


@pytest.fixture
def fs(tmp_path: Path) -> LocalFilesystem:
    return LocalFilesystem(tmp_path)


def _fill(writer: Writer) -> None:
    for block in range(40):
        writer.write_at(block * 65536, b"x" * 65536)


def _temps(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.name.startswith(TEMP_PREFIX)]


def test_modes_of_what_is_made(fs: LocalFilesystem, tmp_path: Path) -> None:
    """New files are 0600 and directories 0700; a replaced file's mode stays, without setuid."""
    put(fs, "/a", b"")
    put(fs, "/live", b"")
    fs.mkdir(P("/d"))
    (tmp_path / "b").touch()
    (tmp_path / "b").chmod(0o4644)
    put(fs, "/b", b"")

    assert [(tmp_path / name).stat().st_mode & 0o7777 for name in ("a", "d", "b")] == [0o600, 0o700, 0o644]


def test_a_running_upload_is_a_hidden_locked_file_beside_the_target(fs: LocalFilesystem, tmp_path: Path) -> None:
    """The temporary file has the reserved prefix, is private, and is gone after commit and after abort."""
    fs.mkdir(P("/d"))
    (tmp_path / "d/a").touch(0o644)
    with fs.open_writer(P("/d/a"), WriteMode.REPLACE) as writer:
        (temp,) = _temps(tmp_path / "d")

        assert (tmp_path / "d" / temp).stat().st_mode & 0o777 == 0o600
        writer.commit()
    assert _temps(tmp_path / "d") == []


def test_sweep_removes_only_what_nobody_holds_and_is_old(fs: LocalFilesystem, tmp_path: Path) -> None:
    """A live upload's file stays whatever its age; an abandoned one goes when it is older than asked."""
    fs.mkdir(P("/d"))
    abandoned, young, fifo = (tmp_path / "d" / f"{TEMP_PREFIX}{name}" for name in ("old", "young", "fifo"))
    for path in (abandoned, young):
        path.write_bytes(b"x")
    os.mkfifo(fifo)
    writer = fs.open_writer(P("/d/live"), WriteMode.REPLACE)
    for path in (tmp_path / "d").iterdir():
        if path != young:
            os.utime(path, ns=(0, 0))

    assert fs.sweep(3600) == 1
    assert not abandoned.exists()
    assert young.exists()
    assert fifo.exists()
    assert fs.sweep(-1) == 1
    assert writer.commit().size == 0


def test_what_a_killed_process_left_is_swept(fs: LocalFilesystem, tmp_path: Path) -> None:
    """After SIGKILL in the middle of an upload the final name is as before, and the sweep takes the rest."""
    put(fs, "/a", b"old")
    code = textwrap.dedent(f"""
        import os, pathlib, signal
        from storage.files.api import WriteMode
        from storage.files.local import LocalFilesystem
        from storage.files.path import VirtualPath
        fs = LocalFilesystem(pathlib.Path({str(tmp_path)!r}))
        writer = fs.open_writer(VirtualPath.parse("/a"), WriteMode.REPLACE)
        writer.write_at(0, b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[4])

    assert done.returncode == -9
    assert get(fs, "/a") == b"old"
    assert len(_temps(tmp_path)) == 1
    assert fs.sweep(-1) == 1
    assert names(fs, "/") == {"a"}


def test_a_directory_with_abandoned_uploads_can_be_removed(fs: LocalFilesystem, tmp_path: Path) -> None:
    """Leftovers do not keep a directory that looks empty; a live upload does."""
    fs.mkdir(P("/d"))
    (tmp_path / "d" / f"{TEMP_PREFIX}old").touch()
    writer = fs.open_writer(P("/d/a"), WriteMode.REPLACE)
    with pytest.raises(StorageError):
        fs.rmdir(P("/d"))
    writer.abort()
    (tmp_path / "d" / f"{TEMP_PREFIX}old").touch()
    fs.rmdir(P("/d"))

    assert names(fs, "/") == set()


def test_a_temp_that_a_sweep_took_at_birth_is_made_again(
    fs: LocalFilesystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making and locking its file, an upload may lose it to a sweep; it makes another one."""
    real, taken = local_writer.fcntl.flock, []

    def lose_the_first(fd: int, operation: int) -> None:
        if not taken:
            taken.extend(_temps(tmp_path))
            (tmp_path / taken[0]).unlink()
        real(fd, operation)

    monkeypatch.setattr(local_writer.fcntl, "flock", lose_the_first)
    put(fs, "/a", b"1")

    assert len(taken) == 1
    assert get(fs, "/a") == b"1"


def test_a_lock_that_fails_leaves_nothing(fs: LocalFilesystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the filesystem has no locks, the upload does not start and leaves no file."""

    def no_locks(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(local_writer.fcntl, "flock", no_locks)
    with pytest.raises(StorageUnavailable):
        fs.open_writer(P("/a"), WriteMode.REPLACE)

    assert list(tmp_path.iterdir()) == []


def test_a_vanished_temp_or_directory_fails_the_upload(fs: LocalFilesystem, tmp_path: Path) -> None:
    """If somebody removed the temporary file, the commit says so and publishes nothing."""
    writer = fs.open_writer(P("/a"), WriteMode.REPLACE)
    (tmp_path / _temps(tmp_path)[0]).unlink()

    with pytest.raises(UploadFailed):
        writer.commit()
    assert names(fs, "/") == set()


def test_a_special_file_that_came_meanwhile_is_not_replaced(fs: LocalFilesystem, tmp_path: Path) -> None:
    """A commit does not replace a FIFO or a link that took the name while the upload ran."""
    for make in (os.mkfifo, lambda path: path.symlink_to("nowhere")):
        writer = fs.open_writer(P("/a"), WriteMode.REPLACE)
        make(tmp_path / "a")
        with pytest.raises(AlreadyExists):
            writer.commit()
        (tmp_path / "a").unlink()
    assert _temps(tmp_path) == []


def test_writes_go_on_until_all_is_written(fs: LocalFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pwrite and pread may do less than asked; every byte still arrives."""
    real_write, real_read = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real_write(fd, bytes(data)[:7], offset))
    monkeypatch.setattr(os, "pread", lambda fd, size, offset: real_read(fd, min(size, 5), offset))
    data = os.urandom(100)
    put(fs, "/a", data)

    assert get(fs, "/a") == data


def test_a_write_that_takes_nothing_is_an_error(fs: LocalFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pwrite that keeps answering 0 is a full disk, not an endless loop."""
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
        with pytest.raises(NoSpace):
            writer.write_at(0, b"x")
        with pytest.raises(UploadFailed):
            writer.commit()


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, NoSpace), (errno.EDQUOT, QuotaExceeded), (errno.EIO, StorageUnavailable), (errno.EFBIG, NoSpace)],
)
def test_errors_of_the_disk_fail_the_upload(
    fs: LocalFilesystem, monkeypatch: pytest.MonkeyPatch, number: int, error: type[StorageError]
) -> None:
    """An error while writing, cutting or syncing is named, and the upload cannot be committed any more."""

    def fail(*_: object) -> int:
        raise OSError(number, "scripted")

    for name, act in (
        ("pwrite", lambda writer: writer.write_at(0, b"x")),
        ("ftruncate", lambda writer: writer.truncate(1)),
        ("fsync", lambda writer: writer.sync()),
    ):
        for mode in (WriteMode.REPLACE, WriteMode.IN_PLACE):
            with monkeypatch.context() as patch, fs.open_writer(P(f"/{mode.name}"), mode) as writer:
                patch.setattr(os, name, fail)
                with pytest.raises(error):
                    act(writer)
                with pytest.raises(UploadFailed):
                    writer.commit()


def test_the_file_size_limit_of_the_process_never_truncates_silently(tmp_path: Path) -> None:
    """Under RLIMIT_FSIZE a block that fits half-way raises; the old file stays and nothing is left."""
    code = textwrap.dedent(f"""
        import pathlib, resource, signal
        from storage.files.api import WriteMode
        from storage.files.errors import NoSpace, UploadFailed
        from storage.files.local import LocalFilesystem
        from storage.files.path import VirtualPath
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        fs, path = LocalFilesystem(pathlib.Path({str(tmp_path)!r})), VirtualPath.parse("/a")
        with fs.open_writer(path, WriteMode.REPLACE) as writer:
            try:
                writer.write_at(0, b"x" * 8000)
            except NoSpace:
                try:
                    writer.commit()
                except UploadFailed:
                    print("refused")
    """)
    (tmp_path / "a").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[4]
    )

    assert done.stdout == "refused\n"
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a", b"old")]


def test_resume_copies_where_the_kernel_cannot(fs: LocalFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without copy_file_range the old bytes are copied block by block; a failing copy leaves nothing."""
    put(fs, "/a", b"12345")

    def cannot(*_: object) -> int:
        raise OSError(number, "scripted")

    monkeypatch.setattr(os, "copy_file_range", cannot)
    number = errno.EXDEV
    with fs.open_writer(P("/a"), WriteMode.RESUME) as writer:
        assert writer.read_at(0, 9) == b"12345"
    number = errno.ENOSPC
    with pytest.raises(NoSpace):
        fs.open_writer(P("/a"), WriteMode.RESUME)
    assert names(fs, "/") == {"a"}


@pytest.mark.parametrize("how", ["no function", "EINVAL", "ENOSYS"])
def test_no_replace_holds_without_the_kernels_flag(
    fs: LocalFilesystem, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Where renameat2 has no RENAME_NOREPLACE, files and directories still never replace anything."""

    def refuse(*_: object) -> int:
        renameat2.ctypes.set_errno(getattr(errno, how))
        return -1

    monkeypatch.setattr(renameat2, "_renameat2", None if how == "no function" else refuse)
    with fs.open_writer(P("/a"), WriteMode.CREATE) as writer:
        writer.write_at(0, b"1")
        writer.commit()
    fs.rename(P("/a"), P("/b"), replace=False)
    fs.mkdir(P("/d"))
    fs.rename(P("/d"), P("/e"), replace=False)
    fs.mkdir(P("/f"))

    for source, target in (("/b", "/e"), ("/e", "/b"), ("/e", "/f")):
        with pytest.raises(AlreadyExists):
            fs.rename(P(source), P(target), replace=False)
    with pytest.raises(InvalidPath):
        fs.rename(P("/e"), P("/e/x"), replace=False)
    assert names(fs, "/") == {"b", "e", "f"}
    assert names(fs, "/e") == set()


def test_a_directory_that_is_full_says_so_in_any_words(fs: LocalFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some filesystems answer EEXIST instead of ENOTEMPTY to a rename onto a full directory."""
    fs.mkdir(P("/a"))
    fs.mkdir(P("/b"))

    def fail(*_: object, **__: object) -> None:
        raise FileExistsError(errno.EEXIST, "scripted")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(StorageError, match="/b"):
        fs.rename(P("/a"), P("/b"), replace=True)


def test_unlink_of_a_directory_in_any_words(fs: LocalFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """POSIX lets unlink answer EPERM for a directory; for a file it stays a refusal."""
    fs.mkdir(P("/d"))
    put(fs, "/f", b"")

    def fail(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "scripted")

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(StorageError, match="/d"):
        fs.remove(P("/d"))
    with pytest.raises(PermissionDenied):
        fs.remove(P("/f"))


def test_a_target_on_another_disk_is_refused(fs: LocalFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload cannot be moved to where another disk is mounted."""
    fs.mkdir(P("/d"))
    devices = iter([1, 2])
    with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(local_writer.os, "fstat", lambda _: type("Facts", (), {"st_dev": next(devices)}))
            with pytest.raises(CrossesMounts):
                writer.retarget(P("/d/a"))
        writer.commit()
    assert names(fs, "/") == {"a", "d"}


def test_times_that_no_disk_can_hold(fs: LocalFilesystem) -> None:
    """A time beyond the kernel's types is refused, not wrapped around."""
    put(fs, "/a", b"")
    with pytest.raises(StorageError):
        fs.set_times(P("/a"), 2**100, None)


def test_deep_trees_need_few_descriptors(fs: LocalFilesystem, tmp_path: Path) -> None:
    """Usage and sweep work on trees deeper than the directories they hold open, and pass over closed ones."""
    here = tmp_path
    for depth in range(80):
        here = here / f"d{depth}"
        here.mkdir()
        (here / "f").write_bytes(b"x")
        (here / f"{TEMP_PREFIX}x").touch()

    assert fs.usage(ROOT) == 80
    assert fs.usage(P("/d0/d1")) == 79
    assert fs.sweep(-1) == 80


def test_build_reads_its_options(tmp_path: Path) -> None:
    """The factory makes the folder on demand, and names a wrong option."""
    fs = build({"root": str(tmp_path / "a/b"), "create": "yes"}, Dependencies())
    put(fs, "/x", b"1")

    assert (tmp_path / "a/b/x").read_bytes() == b"1"
    with pytest.raises(ValueError, match="colour"):
        build({"root": str(tmp_path), "colour": "red"}, Dependencies())
    for options in ({}, {"root": "relative"}):
        with pytest.raises(ValueError, match="absolute"):
            build(options, Dependencies())
    with pytest.raises(NotFound):
        build({"root": str(tmp_path / "missing")}, Dependencies())


@pytest.mark.system
def test_a_full_disk_never_shows_a_part_of_a_file(tmp_path: Path) -> None:
    """On a disk of 1 MiB: the upload that does not fit fails, old bytes stay, and small files go on."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)], check=True)
    try:
        fs = LocalFilesystem(tmp_path)
        put(fs, "/a", b"old" * 1000)
        for mode in (WriteMode.REPLACE, WriteMode.RESUME, WriteMode.CREATE):
            name = "/new" if mode is WriteMode.CREATE else "/a"
            with fs.open_writer(P(name), mode) as writer:
                with pytest.raises(NoSpace):
                    _fill(writer)
                with pytest.raises(UploadFailed):
                    writer.commit()
        assert get(fs, "/a") == b"old" * 1000
        assert names(fs, "/") == {"a"}
        assert _temps(tmp_path) == []
        put(fs, "/b", b"1" * 1000)
        assert fs.space().available > 900_000
        del fs, writer
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
