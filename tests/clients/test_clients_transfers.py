"""Every real client moves real files up and down, and what arrives is what was sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.clients import CLIENTS, RESUMING, Client, Endpoint, digest

pytestmark = pytest.mark.system

NAMES = (
    "plain.txt",
    "with space.txt",
    "it's quoted.txt",
    'double "quoted".txt',
    "ünïcode-ÅÄÖ.txt",
    "日本語のファイル.txt",
    "файл.txt",
    "emoji-🚢📦.txt",
    "per%cent & plus+hash#.txt",
    "brackets [1] {2} (3).txt",
    "-leading-dash.txt",
    ".hidden",
    "empty",
)

# What a client's own command language cannot name; each with the reason.
CANNOT_NAME = {
    "cadaver": {'double "quoted".txt', "brackets [1] {2} (3).txt"},  # its parser has no escape for " and globs brackets
}


def ids(client: Client) -> str:
    return client.name


@pytest.mark.parametrize("client", CLIENTS, ids=ids)
def test_odd_names_and_an_empty_file_survive_the_round_trip(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    """Spaces, quotes, non-Latin letters, emoji and empty files come back as they were sent."""
    source, back = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    back.mkdir()
    names = [name for name in NAMES if name not in CANNOT_NAME.get(client.name, ())]
    for name in names:
        (source / name).write_bytes(b"" if name == "empty" else name.encode() * 100)
    if client.name == "scp":  # its one remote pattern, *, does not match a leading dot
        (source / ".hidden").unlink()
        names.remove(".hidden")

    client.put(endpoint, [source / name for name in names], f"/names-{client.name}")
    client.get(endpoint, names, f"/names-{client.name}", back)

    assert {name: (source / name).read_bytes() for name in names} == {
        file.name: file.read_bytes() for file in back.iterdir()
    }


@pytest.mark.parametrize("client", RESUMING, ids=ids)
def test_an_upload_is_resumed(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    """A client that finds the first part of its file there sends the rest only, and the whole is right."""
    whole, first = tmp_path / "resumed.bin", tmp_path / "first" / "resumed.bin"
    whole.write_bytes(os.urandom(3_000_001))
    first.parent.mkdir()
    first.write_bytes(whole.read_bytes()[:1_234_567])
    remote = f"/resume-up-{client.name}"
    client.put(endpoint, [first], remote)

    client.resume_put(endpoint, whole, f"{remote}/resumed.bin")

    back = tmp_path / "back"
    back.mkdir()
    client.get(endpoint, ["resumed.bin"], remote, back)
    assert digest(back / "resumed.bin") == digest(whole)


@pytest.mark.parametrize("client", RESUMING, ids=ids)
def test_a_download_is_resumed(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    """A client that has the first part of a file fetches the rest only, and the whole is right."""
    whole, part = tmp_path / "resumed.bin", tmp_path / "part.bin"
    whole.write_bytes(os.urandom(3_000_001))
    part.write_bytes(whole.read_bytes()[:1_234_567])
    remote = f"/resume-down-{client.name}"
    client.put(endpoint, [whole], remote)

    client.resume_get(endpoint, f"{remote}/resumed.bin", part)

    assert digest(part) == digest(whole)
