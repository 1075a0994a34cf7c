"""An installation of its own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A command line over a data folder that does not exist yet."""
    return Cli(tmp_path / "data")
