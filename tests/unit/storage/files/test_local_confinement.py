"""The local backend: nothing outside the root is read, written, listed or removed, whoever moves links."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from storage.files import confined
from storage.files.api import Filesystem, WriteMode
from storage.files.confined import Openat2, Resolver, Walk, best_resolver
from storage.files.contract import get, names, put
from storage.files.errors import AlreadyExists, DirectoryNotEmpty, InvalidPath, NotFound, PermissionDenied, StorageError
from storage.files.local import LocalFilesystem
from tests.support.trees import ROOT, P

RESOLVERS = [Openat2, Walk]
SECRET = b"outside"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(SECRET)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture(params=RESOLVERS)
def fs(request: pytest.FixtureRequest, root: Path) -> LocalFilesystem:
    return LocalFilesystem(root, resolver=request.param())


def _untouched(outside: Path) -> bool:
    return [entry.name for entry in outside.iterdir()] == ["secret"] and (outside / "secret").read_bytes() == SECRET


def every_verb(fs: Filesystem, path: str) -> list[Callable[[], object]]:
    """All that could touch something at ``path``."""
    place = P(path)
    return [
        lambda: fs.stat(place),
        lambda: list(fs.scan(place)),
        lambda: get(fs, path),
        lambda: fs.open_writer(place, WriteMode.REPLACE).commit(),
        lambda: fs.open_writer(place, WriteMode.CREATE).commit(),
        lambda: fs.open_writer(place, WriteMode.RESUME).commit(),
        lambda: fs.open_writer(place, WriteMode.IN_PLACE).write_at(0, b"X"),
        lambda: fs.truncate(place, 0),
        lambda: fs.set_times(place, 1, 1),
        lambda: fs.mkdir(place),
        lambda: fs.remove(place),
        lambda: fs.rmdir(place),
        lambda: fs.rename(place, P("/moved"), replace=True),
        lambda: fs.rename(P("/mine"), place, replace=True),
        lambda: fs.usage(place),
        lambda: fs.symlink(place, P("/new-link")),
        lambda: fs.read_link(place),
        lambda: fs.hard_link(place, P("/new-name")),
    ]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("../outside", "/l/secret"),
        ("../outside/secret", "/l"),
        ("{outside}", "/l/secret"),
        ("{outside}/secret", "/l"),
        ("../outside", "/l"),
        ("..", "/l/outside/secret"),
        ("/proc/self/root", "/l/etc/passwd"),
        ("/proc/self/cwd", "/l"),
        ("d/../../outside", "/l/secret"),
        ("nowhere", "/l"),
        ("l", "/l"),
        ("l2", "/l/secret"),
    ],
)
def test_links_that_lead_outside_are_not_there(
    fs: LocalFilesystem, root: Path, outside: Path, target: str, path: str
) -> None:
    """A link to the outside, dangling, or in a circle is hidden; no verb follows, removes or replaces it."""
    (root / "d").mkdir()
    (root / "l2").symlink_to("l/../../outside")
    (root / "l").symlink_to(target.format(outside=outside))
    put(fs, "/mine", b"1")

    for verb in every_verb(fs, path):
        with pytest.raises(StorageError):
            verb()
    assert names(fs, "/") == {"d", "mine"}
    assert _untouched(outside)
    assert (root / "l").is_symlink()


def test_a_link_that_was_moved_leads_nowhere(fs: LocalFilesystem, root: Path, outside: Path) -> None:
    """A link that stayed inside where it was made is refused once a rename makes it lead outside."""
    deep = root / "a/b/c"
    deep.mkdir(parents=True)
    (deep / "l").symlink_to("../../..")
    if fs.stat(P("/a/b/c")).is_directory and fs.is_link(P("/a/b/c/l")):
        with suppress(NotFound):  # the walk does not even see it
            fs.rename(P("/a/b/c/l"), P("/l"), replace=False)

    for path in ("/l", "/l/outside", "/l/outside/secret"):
        with pytest.raises(NotFound):
            fs.stat(P(path))
    assert _untouched(outside)


def test_special_files_are_never_opened(fs: LocalFilesystem, root: Path) -> None:
    """FIFOs, sockets and devices are not listed, not opened (nothing hangs), not removed, not replaced."""
    os.mkfifo(root / "fifo")
    os.mknod(root / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(root / "sock"))
    listener.close()
    (root / "link").symlink_to("fifo")
    put(fs, "/mine", b"1")

    for name in ("fifo", "null", "sock", "link"):
        for verb in every_verb(fs, f"/{name}"):
            with pytest.raises(StorageError):
                verb()
        assert os.path.lexists(root / name)
    assert names(fs, "/") == {"mine"}
    with pytest.raises(PermissionDenied):
        fs.open_reader(P("/fifo"))


def test_names_that_cannot_be_shown_harm_no_others(fs: LocalFilesystem, root: Path) -> None:
    """Names that are not UTF-8, have control characters, or belong to uploads are left out of a listing."""
    for name in (b"\xff\xfe", b"line\nbreak", b"esc\x1b", b"del\x7f", b".quaymaster-upload-left", b"\xed\xa0\x80"):
        (Path(os.fsdecode(os.fsencode(root) + b"/" + name))).write_bytes(b"1")
    put(fs, "/good", b"1")
    put(fs, "/güt", b"1")

    assert names(fs, "/") == {"good", "güt"}
    assert fs.usage(ROOT) == 7
    fs.mkdir(P("/d"))
    Path(os.fsdecode(os.fsencode(root) + b"/d/\xff")).write_bytes(b"")
    with pytest.raises(DirectoryNotEmpty):
        fs.rmdir(P("/d"))


def test_decomposed_names_on_the_disk_are_found(fs: LocalFilesystem, root: Path) -> None:
    """A name that is on the disk decomposed only is read, replaced and listed under its composed form."""
    nfd, nfc = "e\u0301", "\u00e9"
    (root / nfd).mkdir()
    (root / nfd / nfd).write_bytes(b"1")

    assert get(fs, f"/{nfc}/{nfc}") == b"1"
    put(fs, f"/{nfc}/{nfc}", b"2")
    put(fs, f"/{nfc}/ü", b"3")
    assert (root / nfd / nfd).read_bytes() == b"2"
    assert names(fs, "/") == {nfc}
    assert names(fs, f"/{nfc}") == {nfc, "ü"}
    with pytest.raises(AlreadyExists):
        fs.mkdir(P(f"/{nfc}"))
    assert fs.usage(P(f"/{nfc}")) == 2
    (root / nfc).mkdir()
    assert [entry.name for entry in fs.scan(ROOT)] == [nfc]
    assert names(fs, f"/{nfc}") == set()


def test_a_name_that_decomposes_too_long_is_left_out(fs: LocalFilesystem, root: Path) -> None:
    """A name on the disk whose composed form is over 255 bytes cannot be shown."""
    (root / ("\U0001d15e" * 63)).write_bytes(b"1")  # composed normal form takes 8 bytes for each 4

    assert names(fs, "/") == set()


def _swap(one: Path, other: Path, spare: Path, stop: threading.Event) -> None:
    while not stop.is_set():
        for source, target in ((one, spare), (other, one), (one, other), (spare, one)):
            source.rename(target)


@pytest.mark.parametrize("swapped", ["directory", "file"])
def test_swapping_links_in_a_race_wins_nothing(fs: LocalFilesystem, root: Path, outside: Path, swapped: str) -> None:
    """While a thread swaps a directory (or file) with a link to the outside, no verb ever gets outside."""
    (root / "d").mkdir()
    (root / "d/secret").write_bytes(b"inside")
    if swapped == "directory":
        one, other = root / "d", root / "evil"
        other.symlink_to("../outside")
    else:
        one, other = root / "d/secret", root / "evil"
        other.symlink_to("../../outside/secret")
        (root / "decoy").symlink_to("../outside/secret")
    put(fs, "/mine", b"mine")
    stop = threading.Event()
    racer = threading.Thread(target=_swap, args=(one, other, root / "spare", stop))
    racer.start()
    seen = set()
    try:
        for round_ in range(120):
            with suppress(StorageError):
                seen.add(get(fs, "/d/secret"))
            for verb in (
                lambda: fs.stat(P("/d/secret")),
                lambda: list(fs.scan(P("/d"))),
                lambda: put(fs, "/d/secret", b"inside"),
                lambda round_=round_: put(fs, f"/d/new{round_}", b"x"),
                lambda: fs.open_writer(P("/d/secret"), WriteMode.IN_PLACE).write_at(0, b"inside"),
                lambda: fs.truncate(P("/d/secret"), 6),
                lambda: fs.set_times(P("/d/secret"), 1, 1),
                lambda round_=round_: fs.mkdir(P(f"/d/dir{round_}")),
                lambda round_=round_: fs.remove(P(f"/d/new{round_}")),
                lambda round_=round_: fs.rmdir(P(f"/d/dir{round_}")),
                lambda: fs.sweep(0),
                lambda: fs.usage(P("/d")),
            ):
                with suppress(StorageError):
                    verb()
    finally:
        stop.set()
        racer.join()

    assert SECRET not in seen
    assert _untouched(outside)
    assert (outside / "secret").stat().st_mtime_ns != 1


class _Scripted:
    """A syscall that answers with errors first."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)
        self.real = confined._syscall

    def __call__(self, *arguments: object) -> int:
        if self.numbers:
            confined.ctypes.set_errno(self.numbers.pop(0))
            return -1
        return self.real(*arguments)


def test_openat2_is_retried_when_a_rename_raced(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EAGAIN and EINTR are tried again, for a bounded number of times."""
    fs = LocalFilesystem(root, resolver=Openat2())
    monkeypatch.setattr(confined, "_syscall", _Scripted(11, 4, 11))
    assert fs.stat(ROOT).is_directory
    monkeypatch.setattr(confined, "_syscall", _Scripted(*[11] * 1000))
    with pytest.raises(StorageError):
        fs.stat(ROOT)


@pytest.mark.parametrize(("number", "kind"), [(38, Walk), (1, Walk)], ids=["ENOSYS: an old kernel", "EPERM: a sandbox"])
def test_without_openat2_the_walk_is_used(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Resolver]
) -> None:
    """Where the kernel or the sandbox has no openat2, names are walked one by one."""
    fd = os.open(root, os.O_PATH)
    monkeypatch.setattr(confined, "_syscall", _Scripted(number))
    assert isinstance(best_resolver(fd), kind)
    assert isinstance(best_resolver(fd), Openat2)
    monkeypatch.setattr(confined, "_syscall", _Scripted(24))
    with pytest.raises(OSError, match="Too many open files"):
        best_resolver(fd)
    os.close(fd)


def test_the_root_cannot_be_spotted(fs: LocalFilesystem) -> None:
    """The root has no name that could be unlinked or renamed, and is no link."""
    with pytest.raises(InvalidPath):
        fs._places.take_spot(ROOT)
    assert not fs.is_link(ROOT)
    assert not fs.is_link(P("/missing/x"))


def test_no_descriptor_leaks(fs: LocalFilesystem, root: Path, outside: Path) -> None:
    """Whatever fails, no descriptor stays open."""
    (root / "l").symlink_to(outside)
    put(fs, "/mine", b"1")
    os.mkfifo(root / "fifo")
    fs.mkdir(P("/d"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("/l", "/l/secret", "/fifo", "/mine/x", "/missing", "/missing/x", "/d", "/mine"):
        for verb in every_verb(fs, path):
            with suppress(StorageError):
                verb()
    scan = fs.scan(ROOT)
    next(scan)
    del scan
    unused = fs.scan(ROOT)
    del unused

    assert len(list(Path("/proc/self/fd").iterdir())) == before
