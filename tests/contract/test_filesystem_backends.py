"""Every backend in the tree passes the shipped contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.files.api import Dependencies, Filesystem
from storage.files.confined import Openat2, Walk
from storage.files.contract import FilesystemContract
from storage.files.local import LocalFilesystem, build
from storage.files.memory import MemoryFilesystem


class TestMemory(FilesystemContract):
    """The reference."""

    @pytest.fixture
    def fs(self) -> Filesystem:
        return MemoryFilesystem()


class TestLocalWithOpenat2(FilesystemContract):
    """The local disk, confined by the kernel."""

    @pytest.fixture
    def fs(self, tmp_path: Path) -> Filesystem:
        return LocalFilesystem(tmp_path, resolver=Openat2())


class TestLocalWithWalk(FilesystemContract):
    """The local disk, confined name by name."""

    @pytest.fixture
    def fs(self, tmp_path: Path) -> Filesystem:
        return LocalFilesystem(tmp_path, resolver=Walk())


class TestLocalDurable(FilesystemContract):
    """The local disk as the composition root builds it, with everything put on stable storage."""

    @pytest.fixture
    def fs(self, tmp_path: Path) -> Filesystem:
        return build({"root": str(tmp_path / "new"), "create": "yes"}, Dependencies(durable=True))
