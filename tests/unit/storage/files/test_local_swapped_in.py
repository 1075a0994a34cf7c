"""Special files that take a name between the look at it and the opening."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from storage.files import local_writer
from storage.files.api import WriteMode
from storage.files.errors import PermissionDenied
from storage.files.local import LocalFilesystem
from tests.support.trees import P


def test_a_special_file_that_takes_the_name_is_not_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened is looked at once more: a FIFO, a socket or a device gets no byte, and nothing hangs."""
    live = tmp_path / "a"
    live.write_bytes(b"old")
    filesystem = LocalFilesystem(tmp_path)
    look = local_writer._check_writable

    def swapped(*args: object, **kwargs: object) -> None:
        look(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came
        live.unlink()
        os.mkfifo(live)

    monkeypatch.setattr(local_writer, "_check_writable", swapped)
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    with pytest.raises(PermissionDenied):
        filesystem.open_writer(P("/a"), WriteMode.IN_PLACE)

    assert stat.S_ISFIFO(live.lstat().st_mode)
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208 - a count
