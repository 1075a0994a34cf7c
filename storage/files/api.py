"""The front door of file storage: what every backend offers and what it answers.

All verbs are blocking and thread-safe. Paths are relative to the backend's own root (a
``VirtualPath`` whose root is the mount's root). Every failure is a ``StorageError``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from storage.files.path import VirtualPath


class Kind(StrEnum):
    """What a place is. Links are shown as what they lead to inside the root, or not at all."""

    FILE = "file"
    DIRECTORY = "directory"


class Capability(StrEnum):
    """What only some backends can do; contract tests require these, never backend names."""

    IN_PLACE = "in_place"  # WriteMode.IN_PLACE
    FILE_DESCRIPTOR = "file_descriptor"  # Reader.fileno and Writer.fileno are not None
    SYMLINK = "symlink"
    HARD_LINK = "hard_link"
    ATOMIC_RENAME = "atomic_rename"
    SET_TIMES = "set_times"


class WriteMode(Enum):
    """How an upload starts and what its commit may replace."""

    REPLACE = auto()  # starts empty; commit replaces what is there, atomically
    CREATE = auto()  # starts empty; commit raises AlreadyExists if something is there by then
    RESUME = auto()  # starts with the present bytes (none if absent); commit replaces, atomically
    IN_PLACE = auto()  # writes go to the live file at once; abort keeps what was written


@dataclass(frozen=True, slots=True)
class Stat:
    """Facts about one file or directory.

    ``size`` is in bytes; times are nanoseconds since the Unix epoch, UTC. ``version`` changes
    whenever the content may have changed and is safe inside an HTTP strong ETag (RFC 9110 8.8.3).
    ``identity`` is stable for the object's life and unique within the filesystem.
    """

    kind: Kind
    size: int
    modified_ns: int
    accessed_ns: int
    changed_ns: int
    version: str
    identity: str
    links: int = 1

    @property
    def is_directory(self) -> bool:
        """Whether this is a directory."""
        return self.kind is Kind.DIRECTORY


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory, with its facts.

    ``link`` says that the name is a symbolic link; ``stat`` is then of what it leads to. Whoever
    walks a tree must not walk into links.
    """

    name: str
    stat: Stat
    link: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes in all, used, and free for this user; ``total`` is the quota where there is one."""

    total: int
    used: int
    available: int


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the composition root gives to a backend's ``build(options, dependencies)``.

    ``durable`` puts every commit on stable storage before it is reported.
    """

    durable: bool = False


class BackendFactory(Protocol):
    """What an entry point of the group ``quaymaster.storage`` names."""

    def __call__(self, options: Mapping[str, str], dependencies: Dependencies) -> Filesystem:
        """Make the backend; ``ValueError`` with a sentence for the operator if an option is wrong."""


@runtime_checkable
class Reader(Protocol):
    """An open file to read from; keeps the bytes it was opened on even if the file is replaced."""

    @property
    def size(self) -> int:
        """Bytes in the file now."""

    def stat(self) -> Stat:
        """Facts about the open file itself."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes at ``offset``; fewer only at the end, ``b""`` past it."""

    def fileno(self) -> int | None:
        """Give a descriptor that ``os.pread`` may use until ``close``, or None."""

    def close(self) -> None:
        """Release the file; a second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Writer(Protocol):
    """An upload in flight. It ends by ``commit`` or ``abort``; leaving a ``with`` block aborts.

    Not closing: a front end calls ``commit`` only on the protocol's positive proof that the client
    sent everything. After a failed write, ``commit`` raises UploadFailed.
    """

    @property
    def size(self) -> int:
        """Bytes that the file would have if committed now."""

    def stat(self) -> Stat:
        """Facts as they would be if committed now."""

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data`` at ``offset``, or raise; a gap before it reads as zeros."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Read back what was written so far (SFTP read-write handles)."""

    def truncate(self, size: int) -> None:
        """Cut or extend to ``size`` bytes."""

    def set_times(self, modified_ns: int | None, accessed_ns: int | None) -> None:
        """Set times that the committed file will have; None leaves one as it is."""

    def sync(self) -> None:
        """Put what was written so far on stable storage."""

    def retarget(self, path: VirtualPath, *, replace: bool | None = None) -> None:
        """Make ``commit`` publish under another path of the same filesystem.

        ``replace`` says whether it may replace what is there by then; None leaves that as it was.
        """

    def fileno(self) -> int | None:
        """Give a descriptor that ``os.pwrite`` may use until commit or abort, or None.

        Whoever writes through it reports each write to ``wrote`` and obeys the quota there.
        """

    def wrote(self, end: int) -> None:
        """Note that bytes before ``end`` were written through ``fileno``."""

    def commit(self) -> Stat:
        """Publish everything under the final name, atomically, and give its facts."""

    def abort(self) -> None:
        """Throw the upload away; what was there before stays. A second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Filesystem(Protocol):
    """One storage backend with one root; nothing outside the root can be named or reached."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this backend can do beyond the common verbs."""

    def stat(self, path: VirtualPath) -> Stat:
        """Facts about what is at ``path``; NotFound if nothing, or a link that leads outside."""

    def is_link(self, path: VirtualPath) -> bool:
        """Whether the name itself is a symbolic link; False if nothing is there."""

    def scan(self, path: VirtualPath) -> Iterator[Entry]:
        """List a directory in no set order, without uploads in flight and unrepresentable names."""

    def open_reader(self, path: VirtualPath) -> Reader:
        """Open a regular file; IsADirectory for a directory, PermissionDenied for a device or FIFO."""

    def open_writer(self, path: VirtualPath, mode: WriteMode) -> Writer:
        """Start an upload; the parent must exist. CREATE raises AlreadyExists at once if it can tell."""

    def mkdir(self, path: VirtualPath) -> None:
        """Make one directory; AlreadyExists if anything is there."""

    def remove(self, path: VirtualPath) -> None:
        """Remove a file, or a link whatever it leads to; IsADirectory for a directory."""

    def rmdir(self, path: VirtualPath) -> None:
        """Remove an empty directory, or a link to a directory (the link alone)."""

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool) -> None:
        """Move atomically; without ``replace``, AlreadyExists if anything is at ``target``."""

    def set_times(self, path: VirtualPath, modified_ns: int | None, accessed_ns: int | None) -> None:
        """Set times; None leaves one as it is."""

    def truncate(self, path: VirtualPath, size: int) -> None:
        """Cut or extend the live file (SFTP SETSTAT size)."""

    def space(self) -> Space:
        """Bytes of the disk or bucket behind the root."""

    def usage(self, path: VirtualPath) -> int:
        """Bytes of all files at and below ``path`` (for quota reconciliation)."""

    def sweep(self, older_than_s: float) -> int:
        """Remove temporary files of uploads that nobody drives any more; give how many."""


@runtime_checkable
class Linker(Protocol):
    """The further verbs of a backend with Capability.SYMLINK and Capability.HARD_LINK."""

    def symlink(self, target: VirtualPath, path: VirtualPath) -> None:
        """Make a link at ``path`` that leads to ``target``, which must exist inside the root."""

    def read_link(self, path: VirtualPath) -> str:
        """Give the text of the link at ``path``; NotFound if it leads outside, InvalidPath if it is none."""

    def hard_link(self, source: VirtualPath, path: VirtualPath) -> None:
        """Give the regular file at ``source`` the further name ``path``; AlreadyExists if taken."""
