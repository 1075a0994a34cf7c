"""Every real client moves one very large file up and down; apart from the small ones, so that both can run at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import CLIENTS, Client, Endpoint, digest

pytestmark = pytest.mark.system

BIG_BYTES = 1 << 30


def ids(client: Client) -> str:
    return client.name


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of 1 GiB without a pattern that a wrong offset could hide in."""
    file = tmp_path_factory.mktemp("big") / "big.bin"
    with file.open("wb") as sink:
        for _ in range(BIG_BYTES >> 20):
            sink.write(os.urandom(1 << 20))
    yield file
    file.unlink()


@pytest.mark.parametrize("client", CLIENTS, ids=ids)
def test_one_gibibyte_comes_back_whole(client: Client, endpoint: Endpoint, big: Path, tmp_path: Path) -> None:
    """A file of 1 GiB goes up and comes down with the same checksum."""
    client.put(endpoint, [big], f"/big-{client.name}")
    client.get(endpoint, [big.name], f"/big-{client.name}", tmp_path)

    assert digest(tmp_path / big.name) == digest(big)
    (tmp_path / big.name).unlink()
