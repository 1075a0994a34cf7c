"""MemoryFilesystem: the reference backend. It holds everything in the process and is exact, not fast."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from storage.files.api import Capability, Dependencies, Entry, Filesystem, Reader, Space, Stat, WriteMode, Writer
from storage.files.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    InvalidPath,
    IsADirectory,
    NoSpace,
    NotADirectory,
    NotFound,
    PermissionDenied,
)
from storage.files.memory_handles import MemoryReader, MemoryWriter
from storage.files.memory_nodes import DirectoryNode, FileNode, Node, check_replaceable, facts, weigh
from storage.files.path import VirtualPath

DEFAULT_CAPACITY = 1 << 30


class MemoryFilesystem:
    """A tree of files in memory with a fixed capacity in bytes. See ``api.Filesystem``."""

    capabilities = frozenset({Capability.IN_PLACE, Capability.ATOMIC_RENAME, Capability.SET_TIMES})

    def __init__(self, *, capacity: int = DEFAULT_CAPACITY, clock: Callable[[], int] = time.time_ns) -> None:
        self.lock = threading.RLock()
        self._capacity = capacity
        self.clock = clock
        self.pending = 0  # bytes of uploads in flight; they count against the capacity
        self._root = _new_directory(clock())

    def stat(self, path: VirtualPath) -> Stat:
        """Facts about what is at ``path``."""
        with self.lock:
            return facts(self.node(path))

    def is_link(self, path: VirtualPath) -> bool:  # noqa: ARG002 - the interface's signature
        """There are no links."""
        return False

    def scan(self, path: VirtualPath) -> Iterator[Entry]:
        """List a directory as it is now."""
        with self.lock:
            entries = [Entry(name, facts(node)) for name, node in self._directory(path).children.items()]
        return iter(entries)

    def open_reader(self, path: VirtualPath) -> Reader:
        """Open a file to read from."""
        with self.lock:
            return MemoryReader(self, self.file(path))

    def open_writer(self, path: VirtualPath, mode: WriteMode) -> Writer:
        """Start an upload."""
        with self.lock:
            present = self.peek(path)
            if isinstance(present, DirectoryNode):
                raise IsADirectory(str(path))
            if mode is WriteMode.CREATE and present is not None:
                raise AlreadyExists(str(path))
            if mode is WriteMode.IN_PLACE:
                if present is None:
                    present = _new_file(self.clock())
                    self.put(path, present)
                return MemoryWriter(self, path, present, mode)
            start = present.data if mode is WriteMode.RESUME and present is not None else b""
            self.allocate(len(start), pending=True)
            return MemoryWriter(self, path, _new_file(self.clock(), start), mode)

    def mkdir(self, path: VirtualPath) -> None:
        """Make one directory."""
        with self.lock:
            if self.peek(path) is not None:
                raise AlreadyExists(str(path))
            self.put(path, _new_directory(self.clock()))

    def remove(self, path: VirtualPath) -> None:
        """Remove a file."""
        with self.lock:
            self.file(path)
            self._detach(path)

    def rmdir(self, path: VirtualPath) -> None:
        """Remove an empty directory."""
        with self.lock:
            if path.is_root:
                raise PermissionDenied("the root stays")
            if self._directory(path).children:
                raise DirectoryNotEmpty(str(path))
            self._detach(path)

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool) -> None:
        """Move a file or a directory."""
        with self.lock:
            if source.is_root or target.is_root:
                raise PermissionDenied("the root stays")
            node = self.node(source)
            present = self.peek(target)
            if present is not None and not replace:
                raise AlreadyExists(str(target))
            if source == target:
                return
            if target.is_within(source):
                raise InvalidPath("a directory cannot move into itself")
            check_replaceable(node, present, target)
            self._detach(source)
            self.put(target, node)

    def set_times(self, path: VirtualPath, modified_ns: int | None, accessed_ns: int | None) -> None:
        """Set times."""
        with self.lock:
            node = self.node(path)
            node.modified_ns = node.modified_ns if modified_ns is None else modified_ns
            node.accessed_ns = node.accessed_ns if accessed_ns is None else accessed_ns
            node.changed_ns = self.clock()

    def truncate(self, path: VirtualPath, size: int) -> None:
        """Cut or extend the live file."""
        with self.lock:
            self.resize(self.file(path), size)

    def space(self) -> Space:
        """Bytes of the capacity."""
        used = self.usage(VirtualPath())
        return Space(self._capacity, used, max(0, self._capacity - used - self.pending))

    def usage(self, path: VirtualPath) -> int:
        """Bytes of all files at and below ``path``."""
        with self.lock:
            return weigh(self.node(path))

    def sweep(self, older_than_s: float) -> int:  # noqa: ARG002 - uploads in flight leave nothing behind in memory
        """Nothing is ever left behind."""
        return 0

    # What the handles use, under ``lock`` ----------------------------------------------------------

    def node(self, path: VirtualPath) -> Node:
        """Give what is at ``path``, or raise NotFound or NotADirectory."""
        node: Node = self._root
        for name in path.names:
            if isinstance(node, FileNode):
                raise NotADirectory(str(path))
            found = node.children.get(name)
            if found is None:
                raise NotFound(str(path))
            node = found
        return node

    def file(self, path: VirtualPath) -> FileNode:
        """Give the file at ``path``."""
        node = self.node(path)
        if isinstance(node, DirectoryNode):
            raise IsADirectory(str(path))
        return node

    def peek(self, path: VirtualPath) -> Node | None:
        """Give what is at ``path``, None if only the last name is missing."""
        return self._root if path.is_root else self._directory(path.parent).children.get(path.name)

    def put(self, path: VirtualPath, node: Node) -> None:
        """Place ``node`` at ``path`` whatever is there."""
        parent = self._directory(path.parent)
        parent.children[path.name] = node
        self._touch(parent)

    def resize(self, node: FileNode, size: int, *, pending: bool = False) -> None:
        """Cut ``node`` or extend it with zeros; NoSpace beyond the capacity."""
        self.allocate(size - len(node.data), pending=pending)
        if size < len(node.data):
            del node.data[size:]
        else:
            node.data.extend(bytes(size - len(node.data)))
        self._touch(node)

    def overwrite(self, node: FileNode, offset: int, data: memoryview, *, pending: bool = False) -> None:
        """Put ``data`` at ``offset``, with zeros in a gap before it."""
        if offset + len(data) > len(node.data):
            self.resize(node, offset + len(data), pending=pending)
        node.data[offset : offset + len(data)] = data
        self._touch(node)

    def allocate(self, size: int, *, pending: bool) -> None:
        """Count ``size`` more bytes; NoSpace if the capacity has no room for them."""
        if size > 0 and weigh(self._root) + self.pending + size > self._capacity:
            raise NoSpace(f"the capacity of {self._capacity} bytes is used up")
        if pending:
            self.pending += size

    def _directory(self, path: VirtualPath) -> DirectoryNode:
        node = self.node(path)
        if isinstance(node, FileNode):
            raise NotADirectory(str(path))
        return node

    def _detach(self, path: VirtualPath) -> None:
        parent = self._directory(path.parent)
        del parent.children[path.name]
        self._touch(parent)

    def _touch(self, node: Node) -> None:
        node.modified_ns = node.changed_ns = self.clock()
        node.generation += 1


def _new_directory(now: int) -> DirectoryNode:
    return DirectoryNode(now, now, now)


def _new_file(now: int, data: bytes | bytearray = b"") -> FileNode:
    return FileNode(bytearray(data), now, now, now)


_shared: dict[str, MemoryFilesystem] = {}
_shared_lock = threading.Lock()


def build(options: Mapping[str, str], dependencies: Dependencies) -> Filesystem:  # noqa: ARG001 - the factories' signature
    """Give the process's memory filesystem called ``options["name"]``, made with ``capacity`` bytes at first use."""
    unknown = set(options) - {"name", "capacity"}
    if unknown:
        message = f"unknown option {min(unknown)!r} of the memory backend; known are name, capacity"
        raise ValueError(message)
    with _shared_lock:
        name = options.get("name", "")
        if name not in _shared:
            _shared[name] = MemoryFilesystem(capacity=int(options.get("capacity", DEFAULT_CAPACITY)))
        return _shared[name]
