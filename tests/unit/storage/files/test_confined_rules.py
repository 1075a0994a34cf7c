"""What the kernel is asked for when a client's path is opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.files.confined import Openat2

NO_MAGICLINKS, BENEATH = 0x02, 0x08  # openat2(2)


@pytest.mark.parametrize("flags", [os.O_PATH, os.O_RDONLY | os.O_DIRECTORY, os.O_RDONLY | os.O_NOFOLLOW])
def test_every_open_is_beneath_the_root_and_without_magic_links(tmp_path: Path, flags: int) -> None:
    """Both by name: that BENEATH refuses magic links too is no promise of the kernel. No child inherits the file."""
    resolver = Openat2()
    root = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        fd = resolver.open(root, b".", flags)
        try:
            inherited = os.get_inheritable(fd)
        finally:
            os.close(fd)
    finally:
        os.close(root)

    assert [how.resolve for how in resolver._hows.values()] == [NO_MAGICLINKS | BENEATH]
    assert not inherited
