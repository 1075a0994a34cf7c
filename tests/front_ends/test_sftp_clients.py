"""Real SFTP clients against the worker: OpenSSH, scp, paramiko, rclone, asyncssh."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from storage.files.local import LocalFilesystem
from tests.support.sftp_site import NAME, PASSWORD, SftpSite, serving_sftp

NAMES = ["plain", "with space", "quo\"te's", "日本語", "emoji 🎉", "-dash", "a;b&c|d$e"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SftpSite]:
    home = tmp_path / "home"
    home.mkdir()
    with serving_sftp(tmp_path, filesystem=LocalFilesystem(home)) as site:
        yield site


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "local"
    folder.mkdir()
    return folder


def noise(path: Path, size: int) -> str:
    path.write_bytes(os.urandom(size))
    return digest(path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.system
@pytest.mark.parametrize("size", [0, 1, 32768, 5_000_001])
def test_openssh_sftp_brings_files_up_and_down(site: SftpSite, local: Path, size: int) -> None:
    """Checksums agree, an empty file included."""
    want = noise(local / "up", size)
    done = site.sftp(f"put {local}/up /file", f"get /file {local}/down")

    assert done.returncode == 0, done.stderr
    assert digest(local / "down") == want


@pytest.mark.system
def test_openssh_sftp_knows_every_name(site: SftpSite, local: Path) -> None:
    """Spaces, quotes, other alphabets and emoji, up, listed and down."""
    for name in NAMES:
        (local / name).write_text(name)
    with site.paramiko() as client:
        for name in NAMES:
            client.put(str(local / name), f"/{name}")
        listed = sorted(client.listdir("/"))
    done = site.sftp(f"get * {local}/")

    assert listed == sorted(NAMES)
    assert done.returncode == 0, done.stderr


@pytest.mark.system
def test_openssh_sftp_resumes(site: SftpSite, local: Path) -> None:
    """Reput goes on with the bytes that are there; reget too."""
    want = noise(local / "up", 3_000_000)
    (local / "part").write_bytes((local / "up").read_bytes()[:1_000_000])
    done = site.sftp(f"put {local}/part /file", f"reput {local}/up /file", f"reget /file {local}/part")

    assert done.returncode == 0, done.stderr
    assert digest(local / "part") == want


@pytest.mark.system
def test_openssh_sftp_changes_the_tree(site: SftpSite, local: Path) -> None:
    """mkdir, rename over a file (posix-rename), chmod (ignored), rm, rmdir, df, cp."""
    (local / "a").write_text("a")
    (local / "b").write_text("b")
    done = site.sftp(
        "mkdir d", f"put {local}/a d/a", f"put {local}/b d/b", "rename d/a d/b", "chmod 600 d/b", "ls -l d",
        "df d", "cp d/b d/c", "rm d/b", "rm d/c", "rmdir d", "pwd",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert site.names() == []


@pytest.mark.system
def test_openssh_sftp_keeps_times(site: SftpSite, local: Path) -> None:
    """``put -p`` and ``get -p`` carry the modification time."""
    (local / "up").write_text("x")
    os.utime(local / "up", (1_500_000_000, 1_500_000_000))
    done = site.sftp(f"put -p {local}/up /file", f"get -p /file {local}/down")

    assert done.returncode == 0, done.stderr
    assert (local / "down").stat().st_mtime == 1_500_000_000


@pytest.mark.system
def test_failures_have_names(site: SftpSite) -> None:
    """What OpenSSH prints for what cannot be."""
    missing = site.sftp("get /none")
    link = site.sftp("ln -s /a /b")
    full = site.sftp("mkdir /d", "mkdir /d/e", "rmdir /d")

    assert "not found" in missing.stderr
    assert "Operation unsupported" in link.stderr
    assert "not empty" in full.stderr.lower() or "Failure" in full.stderr


@pytest.mark.system
def test_scp_succeeds_and_says_so(site: SftpSite, local: Path) -> None:
    """Scp over SFTP, up and down, recursive too, ends with status 0 (asyncssh sends no exit status: 255)."""
    want = noise(local / "up", 300_000)
    folder = local / "folder"
    folder.mkdir()
    (folder / "one").write_text("1")
    remote = f"{NAME}@127.0.0.1:"
    port = ("-P", str(site.port))
    runs = [
        site.command("scp", *port, str(local / "up"), f"{remote}/file"),
        site.command("scp", *port, f"{remote}/file", str(local / "down")),
        site.command("scp", *port, "-r", str(folder), f"{remote}folder"),
        site.command("scp", *port, "-p", str(local / "up"), f"{remote}~/timed"),
    ]

    assert [run.returncode for run in runs] == [0] * 4, [run.stderr for run in runs]
    assert digest(local / "down") == want
    assert site.names() == ["file", "folder", "timed"]


@pytest.mark.system
@pytest.mark.parametrize(
    "words",
    [("scp", "-O", "-P", "{port}", "{file}", "ada@127.0.0.1:/x"), ("ssh", "-p", "{port}", "ada@127.0.0.1", "id"),
     ("ssh", "-p", "{port}", "ada@127.0.0.1")],
    ids=["scp -O", "exec", "shell"],
)  # fmt: skip
def test_no_commands(site: SftpSite, local: Path, words: tuple[str, ...]) -> None:
    """Old scp, a command and a shell fail at once, with a sentence that says what is offered."""
    (local / "up").write_text("x")
    filled = [word.format(port=site.port, file=local / "up") for word in words]
    done = site.command(*filled)

    assert done.returncode == 1
    assert "offers SFTP only" in done.stderr
    assert site.names() == []


@pytest.mark.system
def test_other_subsystems_and_forwarding_are_refused(site: SftpSite) -> None:
    """Subsystem netconf, TCP forwarding both ways, agent."""
    port = ("-p", str(site.port))
    subsystem = site.command("ssh", *port, "-s", "ada@127.0.0.1", "netconf")
    there = site.command("ssh", *port, "-W", "127.0.0.1:22", "ada@127.0.0.1")
    back = site.command("ssh", *port, "-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22", "ada@127.0.0.1")

    assert subsystem.returncode != 0
    assert there.returncode != 0
    assert back.returncode != 0
    assert "forwarding failed" in back.stderr


@pytest.mark.system
def test_rclone_copies_and_checks(site: SftpSite, local: Path) -> None:
    """Rclone probes for a shell and for md5sum, finds neither at once, and copies."""
    tree = local / "tree"
    tree.mkdir()
    for number in range(30):
        noise(tree / f"f{number}", number * 1000)
    rclone = Path(sys.executable).parent / "rclone"
    hidden = subprocess.run([rclone, "obscure", PASSWORD], capture_output=True, text=True, check=True).stdout.strip()
    remote = f":sftp,host=127.0.0.1,port={site.port},user={NAME},pass={hidden}:"
    environment = {**os.environ, "RCLONE_CONFIG": str(local / "rclone.conf"), "HOME": str(local)}
    start = time.monotonic()
    up = subprocess.run(
        [rclone, "copy", str(tree), f"{remote}/tree"],
        capture_output=True, text=True, check=False, env=environment, timeout=60,
    )  # fmt: skip
    checked = subprocess.run(
        [rclone, "check", "--download", str(tree), f"{remote}/tree"],
        capture_output=True, text=True, check=False, env=environment, timeout=60,
    )  # fmt: skip

    assert up.returncode == 0, up.stderr
    assert checked.returncode == 0, checked.stderr
    assert time.monotonic() - start < 40


def test_paramiko_moves_a_file_with_confirmation(site: SftpSite, local: Path) -> None:
    """``put`` stats the file after it; ``getfo`` prefetches with many requests in flight."""
    want = noise(local / "up", 2_000_000)
    with site.paramiko() as client:
        client.put(str(local / "up"), "/file", confirm=True)
        client.get("/file", str(local / "down"))
        client.truncate("/file", 10)
        client.utime("/file", (1, 2))
        facts = client.stat("/file")

    assert digest(local / "down") == want
    assert (facts.st_size, facts.st_mtime) == (10, 2)


def test_paramiko_renames_only_where_nothing_is(site: SftpSite) -> None:
    """Version 3's rename never replaces; posix_rename does."""
    with site.paramiko() as client:
        for name in ("/a", "/b"):
            with client.open(name, "w") as file:
                file.write(name)
        with pytest.raises(OSError, match="exists"):
            client.rename("/a", "/b")
        client.posix_rename("/a", "/b")

    assert site.read("/b") == b"/a"


def test_asyncssh_asks_for_limits_and_obeys_them(site: SftpSite, local: Path) -> None:
    """Its client takes read and write sizes from limits@openssh.com."""
    want = noise(local / "up", 3_000_000)

    async def scenario() -> None:
        async with (
            asyncssh.connect(
                "127.0.0.1", site.port, username=NAME, password=PASSWORD, known_hosts=None, config=None, client_keys=[]
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            assert client.limits.max_read_len == 256 * 1024
            await client.put(str(local / "up"), "/file")
            await client.get("/file", str(local / "down"))
            async with client.open("/file", "rb") as source, client.open("/copy", "wb") as target:
                await client.remote_copy(source, target)

    asyncio.run(scenario())

    assert digest(local / "down") == want
    assert hashlib.sha256(site.read("/copy")).hexdigest() == want


def test_many_clients_at_once(site: SftpSite) -> None:
    """Twenty sessions write twenty files; each file is its own."""

    async def one(number: int) -> None:
        async with (
            asyncssh.connect(
                "127.0.0.1", site.port, username=NAME, password=PASSWORD, known_hosts=None, config=None, client_keys=[]
            ) as connection,
            connection.start_sftp_client() as client,
            client.open(f"/f{number}", "wb") as file,
        ):
            for block in range(20):
                await file.write(bytes([number]) * 10_000, block * 10_000)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(20)))

    asyncio.run(all_of_them())

    assert all(site.read(f"/f{number}") == bytes([number]) * 200_000 for number in range(20))
