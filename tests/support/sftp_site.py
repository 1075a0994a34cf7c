"""An SFTP worker in this process: the real ``run``, workspace and file system, and a stand-in for sign-in."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import asyncssh
import paramiko

from auth_backends.api import (
    ApiKeyToken,
    Credential,
    Factor,
    FrontEnd,
    Password,
    Principal,
    PublicKey,
    Reason,
    Refused,
    TryLater,
)
from config.settings import Settings
from server.services import Services
from server.sftp import worker
from storage.database.records import Method, Status, User
from storage.files.api import Filesystem
from storage.files.memory import MemoryFilesystem
from storage.files.mounts import Mount, MountTable, Rule
from storage.files.path import VirtualPath
from storage.files.permissions import ALL_RIGHTS
from storage.files.workspace import Workspace

ROOT = VirtualPath()
NAME, PASSWORD = "ada", "correct horse"


@dataclass
class StandInSession:
    """What a front end sees of a session."""

    principal: Principal
    workspace: Workspace
    cut: Callable[[str], None]
    id: str = "session"
    ended: str | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def end(self, reason: str) -> None:
        if self.ended is None:
            self.ended = reason
            self.workspace.end(reason)
        self.over.set()

    def revoke(self, reason: str) -> None:
        self.ended = reason
        self.workspace.end(reason)
        self.cut(reason)


class StandInSignIn:
    """One user table; counts what it is asked."""

    def __init__(self, filesystem: Filesystem, settings: Settings) -> None:
        self.filesystem = filesystem
        self.settings = settings
        self.passwords = {NAME: PASSWORD}
        self.keys: dict[str, set[bytes]] = {}
        self.both: set[str] = set()
        self.tried: list[Credential] = []
        self.offered: list[tuple[str, bytes]] = []
        self.sessions: list[StandInSession] = []
        self.down = False
        self.failing: Exception | None = None
        self.hold: threading.Event | None = None
        self.arrived = threading.Semaphore(0)
        self.inside = 0
        self.most_inside = 0
        self.lock = threading.Lock()

    def would_accept_key(self, username: str, algorithm: str, blob: bytes, peer: str) -> bool:
        self.offered.append((username, blob))
        return blob in self.keys.get(username, ())

    def try_in(
        self, front_end: FrontEnd, credential: Credential, peer: str, cut: Callable[[str], None]
    ) -> StandInSession | Refused | TryLater:
        with self.lock:
            self.tried.append(credential)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.arrived.release()
        try:
            if self.hold is not None:
                self.hold.wait(20)
            if self.failing is not None:
                raise self.failing
            if self.down:
                return TryLater(Reason.BACKEND_UNAVAILABLE, 5.0)
            return self._decide(credential, cut)
        finally:
            with self.lock:
                self.inside -= 1

    def _decide(self, credential: Credential, cut: Callable[[str], None]) -> StandInSession | Refused:
        match credential:
            case PublicKey(username=name, blob=blob, second=second) if blob in self.keys.get(name, ()):
                if name in self.both and second is None:
                    return Refused(Reason.NEEDS_KEY_AND_PASSWORD)
                if name in self.both and (second is None or second.reveal() != self.passwords[name]):
                    return Refused(Reason.WRONG_PASSWORD)
            case Password(username=name, secret=secret) if name not in self.both:
                if self.passwords.get(name) is None or secret.reveal() != self.passwords[name]:
                    return Refused(Reason.WRONG_PASSWORD)
            case ApiKeyToken() | _:
                return Refused(Reason.UNKNOWN_USER)
        user = User(id=name, name=name, method=Method.LOCAL, status=Status.ACTIVE, epoch=1, home=name)
        workspace = Workspace(
            MountTable([Mount(ROOT, self.filesystem, "home:1")], [Rule(ROOT, ALL_RIGHTS)]),
            max_open_files=self.settings.files.max_open_files,
            allow_hard_links=self.settings.files.allow_hard_links,
            allow_symlinks=self.settings.files.allow_symlinks,
        )
        session = StandInSession(Principal(user, Factor.PASSWORD, None), workspace, cut)
        self.sessions.append(session)
        return session


class SftpSite:
    """A running SFTP worker with one user, ``ada``."""

    def __init__(self, folder: Path, filesystem: Filesystem, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self.filesystem = filesystem
        self.sign_in = StandInSignIn(filesystem, settings)
        self.host_key = folder / "host_key"
        self.host_key.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.known_hosts = folder / "known_hosts"
        public = asyncssh.read_private_key(self.host_key).export_public_key().decode().strip()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public}\n")
        self._is_ready = threading.Event()
        self._drain: Callable[[float], None] | None = None
        self._thread = threading.Thread(target=self._run, name="sftp-worker")

    # The process's side: this object is its Control

    def ready(self) -> None:
        self._is_ready.set()

    def on_drain(self, callback: Callable[[float], None]) -> None:
        self._drain = callback

    def start(self) -> None:
        self._thread.start()
        assert self._is_ready.wait(20), "the worker did not become ready"

    def drain(self, grace_s: float) -> None:
        assert self._drain is not None
        self._drain(grace_s)

    def stop(self, grace_s: float = 0.0) -> None:
        if self._thread.is_alive():
            self.drain(grace_s)
        self.join()

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive(), "the worker did not end"

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        services = SimpleNamespace(
            settings=self.settings, sign_in=self.sign_in, keys=SimpleNamespace(ssh_host_keys=(self.host_key,))
        )
        worker.run(cast("Services", services), [self.socket], self)

    # Clients

    @contextlib.contextmanager
    def paramiko(self, name: str = NAME, password: str = PASSWORD) -> Iterator[paramiko.SFTPClient]:
        with self.transport() as transport:
            transport.auth_password(name, password, fallback=False)
            client = paramiko.SFTPClient.from_transport(transport)
            assert client is not None
            with client:
                yield client

    @contextlib.contextmanager
    def transport(self) -> Iterator[paramiko.Transport]:
        transport = paramiko.Transport(("127.0.0.1", self.port))
        try:
            transport.start_client(timeout=20)
            yield transport
        finally:
            transport.close()

    def options(self) -> list[str]:
        """Options that ssh, sftp and scp share; nothing of the host's own configuration is read."""
        return [
            "-F", "none", "-o", "BatchMode=no", "-o", f"UserKnownHostsFile={self.known_hosts}",
            "-o", "StrictHostKeyChecking=yes", "-o", "IdentityAgent=none", "-o", "IdentityFile=none",
            "-o", "NumberOfPasswordPrompts=1",
        ]  # fmt: skip

    def command(
        self, *arguments: str, password: str = PASSWORD, text: str = "", timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of OpenSSH with the password typed in."""
        program, *rest = arguments
        return subprocess.run(
            ["sshpass", "-e", program, *self.options(), *rest],
            input=text, capture_output=True, text=True, timeout=timeout_s, check=False,
            env={**os.environ, "SSHPASS": password},
        )  # fmt: skip

    def sftp(self, *lines: str, name: str = NAME, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
        """Run OpenSSH's sftp with a batch; ``-b -`` stops at the first failure."""
        return self.command(
            "sftp", "-b", "-", "-P", str(self.port), f"{name}@127.0.0.1",
            password=password, text="\n".join(lines) + "\n",
        )  # fmt: skip

    def stat_size(self, path: str) -> int:
        """Bytes of a committed file, by the backend itself."""
        return self.filesystem.stat(VirtualPath.parse(path)).size

    def read(self, path: str) -> bytes:
        """Content of a committed file, by the backend itself."""
        with self.filesystem.open_reader(VirtualPath.parse(path)) as reader:
            return reader.read_at(0, reader.size)

    def names(self, path: str = "/") -> list[str]:
        """Committed names in a directory, by the backend itself."""
        return sorted(entry.name for entry in self.filesystem.scan(VirtualPath.parse(path)))


@contextlib.contextmanager
def serving_sftp(folder: Path, *, filesystem: Filesystem | None = None, **sections: object) -> Iterator[SftpSite]:
    """Run a worker; keyword arguments are sections of the settings."""
    settings = Settings.model_validate({"data": folder, **sections})
    site = SftpSite(folder, filesystem or MemoryFilesystem(), settings)
    site.start()
    try:
        yield site
    finally:
        if site.sign_in.hold is not None:
            site.sign_in.hold.set()
        site.stop()
