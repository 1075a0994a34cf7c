"""Names: every script arrives unchanged, and hostile ones reach nothing outside the tree."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.files.api import Filesystem
from tests.support.ftps_site import FtpsSite, serving_ftps
from tests.support.raw_ftp import RawFtp

NAMES = [
    "plain", "with space", "  leading", "quote'\"", "ünïcödé", "日本語", "العربية", "😀🎉", "#%&?;*[]{}!$", "-rf", "~",
    "a\\b", ".hidden", "e\u0301-decomposed", "x" * 255,
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FtpsSite]:
    with serving_ftps(tmp_path) as site:
        yield site


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_of_any_script_goes_up_and_down(site: FtpsSite, name: str) -> None:
    """Stored, listed, read, renamed and deleted under the same name, in NFC."""
    with RawFtp(site).login() as client:
        assert client.upload(f"STOR /{name}", b"data").startswith("226 ")
        listed = client.download("NLST")[0].decode().removesuffix("\r\n")
        assert listed == site.names()[0]
        assert client.download(f"RETR {listed}")[0] == b"data"
        assert client.ask(f"RNFR {name}").startswith("350 ")
        assert client.ask(f"RNTO {name[:-1] or 'y'}y").startswith("250 ")
        assert client.ask(f"DELE {name[:-1] or 'y'}y").startswith("250 ")


@pytest.mark.parametrize("line", [b"SIZE /caf\xe9", b"MKD \xff\xfe", b"DELE /\xed\xa0\x80", b"STOR \xc0\xaf"])
def test_a_name_that_is_not_utf_8_is_refused_alone(site: FtpsSite, line: bytes) -> None:
    """501, and the next command is itself again: not the rest of the refused one, nor U+FFFD."""
    site.put("/caf\ufffd", b"another file")
    with RawFtp(site).login() as client:
        assert client.ask(line).startswith("501 ")

        assert client.ask("SIZE /caf\ufffd") == "213 12"
        assert site.names() == ["caf\ufffd"]


def test_replies_cannot_be_forged_by_names(site: FtpsSite) -> None:
    """A control character in a name is refused, and none is echoed."""
    with RawFtp(site).login() as client:
        reply = client.ask(b"MKD a\n226 forged")
        assert reply.startswith("553 ")
        assert "\n" not in client.ask(b"NO\rSUCH\n226 forged")


def hostile_paths(count: int, secret: Path) -> list[str]:
    """Paths that try to leave the tree, from a seed of their own."""
    dice = random.Random(20261123)
    outside = str(secret)
    parts = ["..", "...", ".", "", "link", "%2e%2e", "..%2f", "\\..", "dir", "~root", "/", outside, "proc/self/root"]
    return ["/".join(dice.choice(parts) for _ in range(dice.randint(1, 12))) + outside for _ in range(count)]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[tuple[FtpsSite, Path, Path]]:
    """A site on the local disk, its root, and a secret outside it."""
    from storage.files.local import LocalFilesystem

    root, secret = tmp_path / "root", tmp_path / "secret"
    root.mkdir()
    (root / "dir").mkdir()
    secret.write_bytes(b"not yours")
    (root / "link").symlink_to(tmp_path)
    filesystem: Filesystem = LocalFilesystem(root)
    with serving_ftps(tmp_path, filesystem=filesystem) as site:
        yield site, root, secret


def test_hostile_paths_reach_nothing_outside(local: tuple[FtpsSite, Path, Path]) -> None:
    """A thousand paths of dots, links and absolute names: nothing outside is read, made, changed or removed."""
    site, root, secret = local
    outside_before = sorted(path.name for path in root.parent.iterdir())
    verbs = [
        "SIZE",
        "MDTM",
        "DELE",
        "MKD",
        "RMD",
        "RNFR",
        "CWD",
        "MLST",
        "STAT",
        "SITE CHMOD 777",
        "MFMT 20200101000000",
    ]
    with RawFtp(site).login() as client:
        for number, path in enumerate(hostile_paths(1000, secret)):
            reply = client.ask(f"{verbs[number % len(verbs)]} {path}")
            assert "not yours" not in reply
            if reply.startswith("350"):
                client.ask("RNTO /moved")
            client.ask("CWD /")

        assert secret.read_bytes() == b"not yours"
        assert sorted(path.name for path in root.parent.iterdir()) == outside_before


def test_a_racing_symlink_leads_nowhere(local: tuple[FtpsSite, Path, Path]) -> None:
    """A directory that turns into a link and back while files are read and stored: never the outside."""
    site, root, secret = local
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (root / "swap").mkdir(exist_ok=True)
            (root / "swap").rename(root / "kept")
            (root / "swap").symlink_to(root.parent)
            (root / "swap").unlink()
            (root / "kept").rename(root / "swap")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        with RawFtp(site).login() as client:
            for _ in range(200):
                sock = client.connect()
                reply = client.ask("RETR /swap/secret")
                assert not reply.startswith(("125", "150"))
                assert client.ask("DELE /swap/secret").startswith("550 ")
                assert client.ask("SIZE /swap/secret").startswith("550 ")
                sock.close()
    finally:
        over.set()
        swapper.join(20)

    assert secret.read_bytes() == b"not yours"
