"""Our own server for the benches: the real ``quaymaster serve`` with one person to sign in."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import QuaymasterServer

USER, PASSWORD = "bench", "right-horse-battery"


@dataclass(frozen=True, slots=True)
class Ours:
    """A running Quaymaster: ports, and what it takes to sign in."""

    pid: int
    sftp_port: int
    ftps_port: int
    http_port: int
    user: str
    password: str
    private_key: Path
    public_key: Path
    host_key: Path
    certificate: Path
    tls_key: Path


@contextlib.contextmanager
def quaymaster(folder: Path, workers: int = 1) -> Iterator[Ours]:
    """Start the server with its data below ``folder``; peers get copies of its keys, so that they pay the same."""
    with QuaymasterServer(workers=workers, data=folder / "data") as server:
        server.add_user(USER, password=PASSWORD)
        private = server.add_key(USER)
        public = folder / "authorized_keys"
        derived = subprocess.run(["ssh-keygen", "-y", "-f", str(private)], capture_output=True, check=True)
        public.write_bytes(derived.stdout)
        copies = {}
        for name in ("tls.pem", "tls.key", "ssh_host_ecdsa.pem"):
            copies[name] = folder / name
            shutil.copyfile(server.data / "keys" / name, copies[name])
            copies[name].chmod(0o600)
        yield Ours(
            pid=server.pid,
            sftp_port=server.sftp_port,
            ftps_port=server.ftps_port,
            http_port=server.http_port,
            user=USER,
            password=PASSWORD,
            private_key=private,
            public_key=public,
            host_key=copies["ssh_host_ecdsa.pem"],
            certificate=copies["tls.pem"],
            tls_key=copies["tls.key"],
        )
