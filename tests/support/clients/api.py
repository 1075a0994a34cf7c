"""The shape that every real client takes here, and how programs are run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

LIMIT_S = 170


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server listens and who signs in; ``scratch`` is a folder of the test's own."""

    sftp_port: int
    ftps_port: int
    implicit_port: int
    http_port: int
    user: str
    password: str
    private_key: Path
    certificate: Path
    scratch: Path

    @property
    def dav_url(self) -> str:
        """The root of the WebDAV tree."""
        return f"https://localhost:{self.http_port}/dav"


class Client(Protocol):
    """One real client."""

    name: str

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        """Make the remote folder and send every file into it."""

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        """Fetch the named files of the remote folder into a local one."""


def run(
    command: Sequence[str | Path],
    *,
    text: str | None = None,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program to its end and give its output; anything but exit status 0 fails the test."""
    done = subprocess.run(
        [str(word) for word in command],
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT_S,
        check=False,
        cwd=cwd,
        env=os.environ | {"HOME": str(cwd or "/nonexistent"), "LC_ALL": "C.UTF-8"} | (env or {}),
    )
    assert done.returncode == 0, (
        f"{command[0]} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def ssh_options(endpoint: Endpoint) -> list[str]:
    """What makes OpenSSH programs use the test's key only and ask nothing."""
    return [
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
        *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={endpoint.private_key}"),
    ]


def quoted(text: str) -> str:
    """Quote for the batch languages of sftp, lftp and cadaver."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
