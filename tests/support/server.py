"""The real server as a process: ``quaymaster serve`` on free loopback ports with a data folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from auth_backends.api import Secret
from auth_backends.api_keys import issue
from auth_backends.passwords import PasswordHasher
from auth_backends.ssh_keys import generate_key_pair
from storage.database.changes import AddApiKey, AddSshKey, CreateUser, SetPassword
from storage.database.records import Method, Role, User
from storage.database.store import Store, open_store
from tests.support.drivers import Ports
from tests.support.ports import claim_ports

READY = "Quaymaster is ready"
TRACEBACK = "Traceback (most recent call last)"
READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 60.0
QUAYMASTER = Path(sys.executable).with_name("quaymaster")


class ServerFailed(AssertionError):
    """The server did not start, did not stop, or wrote a traceback; the text holds the end of its log."""


class QuaymasterServer:
    """Starts on entering the ``with`` block, and is stopped and held against its log on leaving it.

    ``environment`` adds to the settings, as in ``{"QUAYMASTER_FILES__STALE_UPLOAD_S": "1"}``.
    Changes are made through ``store`` (a connection of this process) or through ``cli``.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
        demo: bool = False,
        drain_s: float = 5.0,
        data: Path | None = None,
        config: Path | None = None,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="quaymaster-test-"))
        self._block = claim_ports()
        self.data = data or self._folder / "data"
        self.config = config
        self.log_file = self._folder / "server.log"
        self.sftp_port = self._block.port(0)
        self.ftps_port = self._block.port(1)
        self.implicit_port = self._block.port(2)
        self.http_port = self._block.port(3)
        self._arguments = [
            "serve",
            "--workers",
            str(workers),
            *(["--demo"] if demo else []),
            *(["--config", str(config)] if config else []),
        ]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("QUAYMASTER_")},
            "QUAYMASTER_DATA": str(self.data),
            "QUAYMASTER_DRAIN_S": str(drain_s),
            "QUAYMASTER_SFTP__PORT": str(self.sftp_port),
            "QUAYMASTER_FTPS__PORT": str(self.ftps_port),
            "QUAYMASTER_FTPS__IMPLICIT_PORT": str(self.implicit_port),
            "QUAYMASTER_FTPS__PASSIVE_PORTS": self._block.passive,
            "QUAYMASTER_HTTP__PORT": str(self.http_port),
            **(environment or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self._store: Store | None = None
        self._reader: threading.Thread | None = None
        self._ready = threading.Event()
        self.output: list[str] = []

    # Life -------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
            if kind is None and TRACEBACK in self.log:
                around = self.log.index(TRACEBACK)
                raise ServerFailed(f"the server logged a traceback\n{self.log[max(0, around - 2000) : around + 6000]}")
        finally:
            if kind is not None:
                sys.stderr.write(f"--- the server's log ---\n{self.log[-20_000:]}\n")
            self._clean_up()

    def start(self) -> None:
        """Start and wait until it is ready."""
        self._ready.clear()
        with self.log_file.open("a") as log:
            self._process = subprocess.Popen(
                [str(QUAYMASTER), *self._arguments],
                env=self.environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._ready.wait(0.05):
            if self._process.poll() is not None:
                self._fail(f"the server ended with status {self._process.returncode} instead of getting ready")
            if time.monotonic() > deadline:
                self._fail(f"the server was not ready within {READY_WITHIN_S} s")

    def stop(self) -> int:
        """Send SIGTERM, wait for the end, and give the exit status; again if it ended already."""
        if self._store is not None:
            self._store.close()
            self._store = None
        process = self._running()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            self._fail("the server did not stop")
        if self._reader is not None:
            self._reader.join(5.0)
        return status

    def restart(self) -> None:
        """Stop and start again on the same data folder and ports."""
        self.stop()
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        self._running().send_signal(number)

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._running().pid

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def worker_pids(self, role: str) -> list[int]:
        """Process ids of the workers of a role: sftp, ftps, http or jobs."""
        found = []
        for child in psutil.Process(self.pid).children():
            try:
                command = child.cmdline()
            except psutil.NoSuchProcess:
                continue
            if "server.runtime.worker" in command and role in command:
                found.append(child.pid)
        return found

    # People -----------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The server's user store, opened by this process."""
        if self._store is None:
            self._store = open_store(self.database_url, pool_size=2)
        return self._store

    @property
    def database_url(self) -> str:
        """The database that the server uses."""
        return self.environment.get("QUAYMASTER_DATABASE__URL") or f"sqlite:///{self.data / 'quaymaster.db'}"

    def add_user(
        self,
        name: str,
        *,
        method: Method | str = Method.LOCAL,
        password: str | None = None,
        provider: str | None = None,
        break_glass: bool = False,
        role: Role = Role.USER,
        expires_at: float | None = None,
        quota_bytes: int | None = None,
    ) -> User:
        """Give the user of this name, made if there is none; with this password in either case.

        One that the user has already is not set anew: that would cut the user's sessions.
        """
        hasher = PasswordHasher(concurrency=1)
        known = self.store.users.by_name(name)
        if known is not None:
            kept = self.store.credentials.password_hash(known.id)
            if password is not None and (kept is None or not hasher.verify(kept, Secret(password))):
                self.store.apply(SetPassword(known.id, hasher.hash(Secret(password))), actor="test")
            return self.user(name)
        hashed = None if password is None else hasher.hash(Secret(password))
        method = Method(method)
        change = CreateUser(
            name=name,
            method=method,
            provider=provider or ("demo" if method.is_sso or method is Method.LDAP else None),
            role=Role.ADMIN if break_glass else role,
            break_glass=break_glass,
            expires_at=expires_at,
            quota_bytes=quota_bytes,
            password_hash=hashed,
        )
        self.store.apply(change, actor="test")
        return self.user(name)

    def user(self, name: str) -> User:
        """Give the present row of a user that must be there."""
        user = self.store.users.by_name(name)
        assert user is not None, f"there is no user {name}"
        return user

    def add_key(self, name: str, *, read_only: bool = False) -> Path:
        """Give a user a new SSH key; the private key's file, unencrypted."""
        pair = generate_key_pair(f"{name}@test")
        file = self._folder / f"{name.replace('/', '_')}-{pair.public.fingerprint[7:15].replace('/', '_')}"
        file.touch(mode=0o600)
        file.write_text(pair.private.reveal())
        public = pair.public
        change = AddSshKey(
            user_id=self.user(name).id,
            algorithm=public.algorithm,
            blob=public.blob,
            fingerprint=public.fingerprint,
            title="test",
            read_only=read_only,
        )
        self.store.apply(change, actor="test")
        return file

    def issue_api_key(
        self,
        name: str,
        *,
        read_only: bool = False,
        protocols: frozenset[str] = frozenset(),
        prefixes: tuple[str, ...] = (),
    ) -> str:
        """Give a user a new API key; its text."""
        issued = issue()
        change = AddApiKey(
            user_id=self.user(name).id,
            id=issued.id,
            digest=issued.digest,
            title="test",
            read_only=read_only,
            protocols=protocols,
            path_prefixes=prefixes,
        )
        self.store.apply(change, actor="test")
        return issued.token.reveal()

    def forget_failures(self) -> None:
        """Forget all failed sign-ins, so that a test's refusals throttle nobody."""
        self.store.throttle.prune(time.time() + 1.0)

    # Places -----------------------------------------------------------------------------------------

    @property
    def certificate(self) -> Path:
        """The certificate to trust."""
        return self.data / "keys" / "tls.pem"

    @property
    def driver_ports(self) -> Ports:
        """Where the drivers find the front ends."""
        return Ports(sftp=self.sftp_port, ftps=self.ftps_port, http=self.http_port, certificate=self.certificate)

    def home_of(self, name: str) -> Path:
        """The folder on the disk that is the user's ``/``; it is made at the first sign-in."""
        return self.data / "files" / "home" / self.user(name).home

    def cli(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run another ``quaymaster`` command on this installation."""
        return subprocess.run(
            [str(QUAYMASTER), *arguments],
            env=self.environment,
            cwd=self._folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    # Inside -----------------------------------------------------------------------------------------

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the server was not started"
        return self._process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line.rstrip("\n"))
                if line.startswith(READY):
                    self._ready.set()

    def _fail(self, what: str) -> None:
        raise ServerFailed(f"{what}\n--- the server's log ---\n{self.log[-8000:]}")

    def _clean_up(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._block.release()
        shutil.rmtree(self._folder, ignore_errors=True)
