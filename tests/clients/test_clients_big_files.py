"""Every real client moves a large file up and down; apart from the small ones, so that both can run at once.

One client of each front end moves a whole GiB, the others a quarter of one: fifteen whole ones would take a third of
the half hour that a run may. ``QUAYMASTER_TEST_WHOLE_GIB=1`` in the environment lets every client move a whole one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import CLIENTS, Client, Endpoint, digest

pytestmark = pytest.mark.system

GIB = 1 << 30
WHOLE = {"sftp", "curl-ftps", "curl-webdav"}


def ids(client: Client) -> str:
    return client.name


def random_file(folder: Path, size: int) -> Path:
    """A file without a pattern that a wrong offset could hide in."""
    file = folder / "big.bin"
    with file.open("wb") as sink:
        for _ in range(size >> 20):
            sink.write(os.urandom(1 << 20))
    return file


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One GiB."""
    file = random_file(tmp_path_factory.mktemp("whole"), GIB)
    yield file
    file.unlink()


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """256 MiB."""
    file = random_file(tmp_path_factory.mktemp("quarter"), GIB // 4)
    yield file
    file.unlink()


@pytest.mark.parametrize("client", CLIENTS, ids=ids)
def test_a_large_file_comes_back_whole(
    client: Client, endpoint: Endpoint, whole: Path, quarter: Path, tmp_path: Path
) -> None:
    """It goes up and comes down with the same checksum."""
    all_whole = os.environ.get("QUAYMASTER_TEST_WHOLE_GIB") == "1"
    big = whole if client.name in WHOLE or all_whole else quarter
    client.put(endpoint, [big], f"/big-{client.name}")
    client.get(endpoint, [big.name], f"/big-{client.name}", tmp_path)

    assert digest(tmp_path / big.name) == digest(big)
    (tmp_path / big.name).unlink()
