"""Every real client moves very many small files up and down; apart from the others, as it takes longest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clients import CLIENTS, Client, Endpoint

pytestmark = pytest.mark.system

MANY = 2000


def ids(client: Client) -> str:
    return client.name


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """2,000 small files, each with a content of its own."""
    folder = tmp_path_factory.mktemp("many")
    files = [folder / f"file-{number:04}.txt" for number in range(MANY)]
    for number, file in enumerate(files):
        file.write_bytes(f"{number}\n".encode() * (1 + number % 40))
    return files


@pytest.mark.parametrize("client", CLIENTS, ids=ids)
def test_two_thousand_small_files_come_back_whole(
    client: Client, endpoint: Endpoint, many: list[Path], tmp_path: Path
) -> None:
    """2,000 small files go up and come down, none missing and none mixed up."""
    client.put(endpoint, many, f"/many-{client.name}")
    client.get(endpoint, [file.name for file in many], f"/many-{client.name}", tmp_path)

    assert {file.name: file.read_bytes() for file in many} == {
        file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()
    }
