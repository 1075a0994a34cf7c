"""The nodes that the memory backend's tree is made of."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from storage.files.api import Kind, Stat
from storage.files.errors import DirectoryNotEmpty, IsADirectory, NotADirectory
from storage.files.path import VirtualPath

_ids = itertools.count(1)


@dataclass(slots=True, eq=False)
class FileNode:
    """A file's bytes and times. A commit that replaces a file puts a new node in its place."""

    data: bytearray
    modified_ns: int
    accessed_ns: int
    changed_ns: int
    generation: int = 0
    id: int = field(default_factory=lambda: next(_ids))


@dataclass(slots=True, eq=False)
class DirectoryNode:
    """A directory's names and times."""

    modified_ns: int
    accessed_ns: int
    changed_ns: int
    children: dict[str, FileNode | DirectoryNode] = field(default_factory=dict)
    generation: int = 0
    id: int = field(default_factory=lambda: next(_ids))


Node = FileNode | DirectoryNode


def facts(node: Node) -> Stat:
    """Say what a node is."""
    return Stat(
        kind=Kind.FILE if isinstance(node, FileNode) else Kind.DIRECTORY,
        size=len(node.data) if isinstance(node, FileNode) else 0,
        modified_ns=node.modified_ns,
        accessed_ns=node.accessed_ns,
        changed_ns=node.changed_ns,
        version=f"{node.id:x}-{node.generation:x}",
        identity=f"{node.id:x}",
    )


def weigh(node: Node) -> int:
    """Bytes of all files at and below a node."""
    return len(node.data) if isinstance(node, FileNode) else sum(weigh(child) for child in node.children.values())


def check_replaceable(node: Node, present: Node | None, target: VirtualPath) -> None:
    """Raise unless ``node`` may take the place of ``present`` (rename(2))."""
    match node, present:
        case FileNode(), DirectoryNode():
            raise IsADirectory(str(target))
        case DirectoryNode(), FileNode():
            raise NotADirectory(str(target))
        case _, DirectoryNode(children=children) if children:
            raise DirectoryNotEmpty(str(target))
