"""SFTP by OpenSSH's sftp and scp, by a mounted tree, and by paramiko."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import paramiko

from tests.support.clients.api import Endpoint, quoted, run, ssh_options


class OpenSshSftp:
    """OpenSSH's sftp in batch mode."""

    name = "sftp"

    def batch(self, endpoint: Endpoint, lines: Sequence[str]) -> str:
        command = ["sftp", "-q", "-P", str(endpoint.sftp_port), *ssh_options(endpoint), "-b", "-"]
        return run([*command, f"{endpoint.user}@127.0.0.1"], text="\n".join(lines) + "\n")

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        sends = [f"put {quoted(str(file))} {quoted(remote + '/' + file.name)}" for file in files]
        self.batch(endpoint, [f"-mkdir {remote}", *sends])

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        self.batch(endpoint, [f"get {quoted(remote + '/' + name)} {quoted(str(folder / name))}" for name in names])

    def resume_put(self, endpoint: Endpoint, file: Path, remote: str) -> None:
        """Go on with an upload whose first part is there."""
        self.batch(endpoint, [f"reput {file} {remote}"])

    def resume_get(self, endpoint: Endpoint, remote: str, file: Path) -> None:
        """Go on with a download whose first part is there."""
        self.batch(endpoint, [f"reget {remote} {file}"])


class Scp:
    """OpenSSH's scp, which speaks SFTP since 9.0; its exit status must be 0."""

    name = "scp"

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        OpenSshSftp().batch(endpoint, [f"-mkdir {remote}"])
        base = ["scp", "-q", "-s", "-P", str(endpoint.sftp_port), *ssh_options(endpoint)]
        run([*base, *files, f"{endpoint.user}@127.0.0.1:{remote}/"])

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        base = ["scp", "-q", "-s", "-P", str(endpoint.sftp_port), *ssh_options(endpoint)]
        # scp globs remote names: the whole folder is fetched by one pattern
        run([*base, f"{endpoint.user}@127.0.0.1:{remote}/*", str(folder)])
        assert {*names} <= {path.name for path in folder.iterdir()}


@contextlib.contextmanager
def sshfs_mount(endpoint: Endpoint) -> Iterator[Path]:
    """The user's tree mounted by sshfs while the block runs."""
    point = endpoint.scratch / "sshfs"
    point.mkdir(exist_ok=True)
    options = [option for word in ssh_options(endpoint)[1::2] for option in ("-o", word)]
    run(["sshfs", "-p", str(endpoint.sftp_port), *options, f"{endpoint.user}@127.0.0.1:/", point])
    try:
        yield point
    finally:
        run(["fusermount3", "-u", point])


class Sshfs:
    """A mounted tree, used by plain file operations."""

    name = "sshfs"

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        with sshfs_mount(endpoint) as root:
            folder = root / remote.lstrip("/")
            folder.mkdir(exist_ok=True)
            for file in files:
                shutil.copyfile(file, folder / file.name)

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        with sshfs_mount(endpoint) as root:
            for name in names:
                shutil.copyfile(root / remote.lstrip("/") / name, folder / name)


class Paramiko:
    """Paramiko's SFTP client; its put compares the size with a stat afterwards."""

    name = "paramiko"

    @contextlib.contextmanager
    def session(self, endpoint: Endpoint) -> Iterator[paramiko.SFTPClient]:
        """A signed-in SFTP client."""
        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            client.connect(
                "127.0.0.1",
                endpoint.sftp_port,
                endpoint.user,
                password=endpoint.password,
                allow_agent=False,
                look_for_keys=False,
            )
            with client.open_sftp() as sftp:
                yield sftp

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        with self.session(endpoint) as sftp:
            with contextlib.suppress(OSError):
                sftp.mkdir(remote)
            for file in files:
                sftp.put(str(file), f"{remote}/{file.name}")

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        with self.session(endpoint) as sftp:
            for name in names:
                sftp.get(f"{remote}/{name}", str(folder / name))
