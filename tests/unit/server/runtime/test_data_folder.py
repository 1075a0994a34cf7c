"""The data folder: private, and held by one server."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.runtime.data_folder import DataFolderUnusable, held


def test_the_folder_is_made_private(tmp_path: Path) -> None:
    """Made with mode 0700, and a wider one is narrowed."""
    made, wide = tmp_path / "a" / "data", tmp_path / "wide"
    wide.mkdir(mode=0o755)
    with held(made), held(wide):
        modes = [folder.stat().st_mode & 0o777 for folder in (made, wide)]

    assert modes == [0o700, 0o700]


def test_a_second_server_is_told_who_has_the_folder(tmp_path: Path) -> None:
    """The message names the process and the way out; afterwards the folder is free again."""
    with (
        held(tmp_path),
        pytest.raises(DataFolderUnusable, match=r"process \d+\) uses .* QUAYMASTER_DATA"),
        held(tmp_path),
    ):
        pass
    with held(tmp_path):
        assert (tmp_path / "serve.lock").exists()


def test_a_place_that_is_no_folder_is_explained(tmp_path: Path) -> None:
    """A file in the folder's place is refused in words."""
    place = tmp_path / "file"
    place.touch()
    with pytest.raises(DataFolderUnusable, match="cannot be used"), held(place):
        pass
