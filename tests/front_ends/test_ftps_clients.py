"""Real clients against the running worker: up, down, resume, mirror; explicit and implicit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.files.local import LocalFilesystem
from tests.support.ftps_site import NAME, PASSWORD, FtpsSite, serving_ftps

pytestmark = pytest.mark.system

NAMES = ["plain.txt", "with space", "ünïcödé 日本語 😀", 'it\'s "quoted"', "empty"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FtpsSite]:
    root = tmp_path / "root"
    root.mkdir()
    with serving_ftps(tmp_path, filesystem=LocalFilesystem(root)) as site:
        yield site


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A local tree with awkward names, an empty file and two megabytes."""
    folder = tmp_path / "tree"
    (folder / "sub folder").mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_bytes(b"" if name == "empty" else name.encode() * 100)
    (folder / "sub folder" / "large").write_bytes(os.urandom(2_000_000))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
@pytest.mark.parametrize("version", ["--tls-max 1.2", "--tlsv1.3"])
def test_curl(site: FtpsSite, tmp_path: Path, *, implicit: bool, version: str) -> None:
    """Upload into a new folder, resume both ways, rename and delete by quoted commands."""
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(1_000_000))
    options = version.split()

    def curl(*arguments: str) -> None:
        done = site.curl(*options, *arguments, implicit=implicit)
        assert done.returncode == 0, done.stderr

    curl("--ftp-create-dirs", "-T", str(source), "{url}/new/folder/a%20b")
    assert site.get("/new/folder/a b") == source.read_bytes()
    back.write_bytes(source.read_bytes()[:400_000])
    curl("-C", "-", "-o", str(back), "{url}/new/folder/a%20b")
    assert back.read_bytes() == source.read_bytes()
    site.put("/part", source.read_bytes()[:300_000])
    curl("-C", "-", "-T", str(source), "{url}/part")
    assert site.get("/part") == source.read_bytes()
    curl("-a", "-T", str(source), "{url}/part")
    assert site.get("/part") == source.read_bytes() * 2
    curl("-Q", "RNFR part", "-Q", "RNTO whole", "-Q", "DELE new/folder/a b", "{url}/")
    assert "whole" in site.names()
    curl("-I", "{url}/whole")


def test_curl_without_tls_is_refused(site: FtpsSite) -> None:
    """Plain FTP gets no further than USER."""
    done = site.run("curl", "-sS", "-4", "--user", f"{NAME}:{PASSWORD}", f"ftp://localhost:{site.port}/")

    assert done.returncode != 0
    assert site.sign_in.tried == []


def test_lftp_in_active_mode(site: FtpsSite, tmp_path: Path) -> None:
    """The server connects to the client; curl 7.88 would then send its data in clear, and is refused."""
    source = tmp_path / "source"
    source.write_bytes(b"data" * 1000)
    done = site.lftp(f"set ftp:passive-mode false; put {source} -o a; get a -o {tmp_path}/back; ls")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
def test_lftp_mirrors_both_ways(site: FtpsSite, tree: Path, tmp_path: Path, *, implicit: bool) -> None:
    """A tree goes up and down in parallel, with times, and a second mirror has nothing to do."""
    up = site.lftp(f"mirror -R --parallel=3 {tree} up", implicit=implicit)
    assert up.returncode == 0, up.stderr
    again = site.lftp(f"mirror -R --verbose {tree} up", implicit=implicit)
    assert "Transferring" not in again.stdout
    down = site.lftp(f"mirror --parallel=3 up {tmp_path}/down", implicit=implicit)
    assert down.returncode == 0, down.stderr

    assert content(tmp_path / "down") == content(tree)


def test_lftp_resumes(site: FtpsSite, tmp_path: Path) -> None:
    """``put -c`` and ``get -c`` go on where an earlier transfer stopped."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1_000_000))
    site.put("/a", source.read_bytes()[:123_456])
    (tmp_path / "back").write_bytes(source.read_bytes()[:654_321])
    done = site.lftp(f"put -c {source} -o a; get -c a -o {tmp_path}/back; chmod 644 a; mv a b; cat b | head -c 1; rm b")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
def test_rclone_copies_checks_and_purges(site: FtpsSite, tree: Path, tmp_path: Path, *, implicit: bool) -> None:
    """With its own checks on: sizes and times agree after copying, both ways."""
    program = str(Path(sys.executable).with_name("rclone"))
    port = site.implicit_port if implicit else site.port
    secret = subprocess.run([program, "obscure", PASSWORD], capture_output=True, text=True, check=True).stdout.strip()
    environment = {
        **os.environ,
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CA_CERT": str(site.certificate),
        "RCLONE_FTP_HOST": "localhost",
        "RCLONE_FTP_PORT": str(port),
        "RCLONE_FTP_USER": NAME,
        "RCLONE_FTP_PASS": secret,
        "RCLONE_FTP_TLS" if implicit else "RCLONE_FTP_EXPLICIT_TLS": "true",
    }

    def rclone(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments, "--retries", "1", "--low-level-retries", "1"],
            capture_output=True, text=True, timeout=90, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    rclone("copy", str(tree), ":ftp:up")
    rclone("check", str(tree), ":ftp:up")
    assert "nothing to transfer" in rclone("copy", "-v", str(tree), ":ftp:up")
    rclone("copy", ":ftp:up", str(tmp_path / "down"))
    assert content(tmp_path / "down") == content(tree)
    rclone("moveto", ":ftp:up/plain.txt", ":ftp:moved.txt")
    rclone("purge", ":ftp:up")
    assert site.names() == ["moved.txt"]
