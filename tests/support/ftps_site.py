"""An FTPS worker in this process: the real ``run``, Workspace and file system, and a stand-in for sign-in."""

from __future__ import annotations

import contextlib
import datetime as dt
import ftplib
import ipaddress
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auth_backends.api import Credential, Factor, FrontEnd, Password, Principal, Reason, Refused, TryLater
from config.settings import Settings
from server.ftps import worker
from server.services import Services
from storage.database.records import Method, Status, User
from storage.files.api import Filesystem, WriteMode
from storage.files.memory import MemoryFilesystem
from storage.files.mounts import Mount, MountTable, Rule
from storage.files.path import VirtualPath
from storage.files.permissions import ALL_RIGHTS, Right
from storage.files.workspace import Workspace
from tests.support.ports import claim_ports
from tests.support.waiting import eventually

ROOT = VirtualPath()
NAME, PASSWORD = "ada", "correct horse"


@dataclass
class StandInSession:
    """What the front end sees of a session, and ``revoke`` as the registry does it."""

    principal: Principal
    workspace: Workspace
    cut: Callable[[str], None]
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
    """One user with a password; notes what it is asked, and can be slow or down."""

    def __init__(self, filesystem: Filesystem) -> None:
        self.filesystem = filesystem
        self.passwords = {NAME: PASSWORD, "bob": "battery staple"}
        self.rights: frozenset[Right] = ALL_RIGHTS
        self.tried: list[Credential] = []
        self.peers: list[str] = []
        self.sessions: list[StandInSession] = []
        self.down = False
        self.hold: threading.Event | None = None
        self.arrived = threading.Semaphore(0)

    def try_in(
        self, front_end: FrontEnd, credential: Credential, peer: str, cut: Callable[[str], None]
    ) -> StandInSession | Refused | TryLater:
        assert front_end is FrontEnd.FTPS
        self.tried.append(credential)
        self.peers.append(peer)
        self.arrived.release()
        if self.hold is not None and isinstance(credential, Password) and credential.username == NAME:
            self.hold.wait(20)
        if self.down:
            return TryLater(Reason.BACKEND_UNAVAILABLE, 5.0)
        if (
            not isinstance(credential, Password)
            or self.passwords.get(credential.username) != credential.secret.reveal()
        ):
            return Refused(Reason.WRONG_PASSWORD)
        name = credential.username
        user = User(id=name, name=name, method=Method.LOCAL, status=Status.ACTIVE, epoch=1, home=name)
        workspace = Workspace(MountTable([Mount(ROOT, self.filesystem, "home:1")], [Rule(ROOT, self.rights)]))
        session = StandInSession(Principal(user, Factor.PASSWORD, None), workspace, cut)
        self.sessions.append(session)
        return session


def write_certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Write a self-signed certificate for ``name`` and 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


class FtpsSite:
    """A running FTPS worker with two users, ``ada`` and ``bob``, who share one tree."""

    def __init__(self, folder: Path, filesystem: Filesystem, **ftps: object) -> None:
        self.folder = folder
        self.filesystem = filesystem
        self.sign_in = StandInSignIn(filesystem)
        self.ports = claim_ports()
        options = {"passive_ports": self.ports.passive, **ftps}
        self.settings = Settings.model_validate({"data": folder, "ftps": options})
        self.certificate, self.key = write_certificate(folder)
        self._sockets = [socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))]
        self.port: int = self._sockets[0].getsockname()[1]
        self.implicit_port: int = self._sockets[1].getsockname()[1]
        self.host = "127.0.0.1"
        self._is_ready = threading.Event()
        self._drain: Callable[[float], None] | None = None
        self._thread = threading.Thread(target=self._run, name="ftps-worker")

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

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive(), "the worker did not end"

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        keys = SimpleNamespace(tls_certificate=self.certificate, tls_key=self.key)
        services = SimpleNamespace(settings=self.settings, sign_in=self.sign_in, keys=keys)
        worker.run(cast("Services", services), self._sockets, self)

    # Files, by the backend itself

    def put(self, path: str, data: bytes) -> None:
        with self.filesystem.open_writer(VirtualPath.parse(path), WriteMode.REPLACE) as upload:
            upload.write_at(0, data)
            upload.commit()

    def get(self, path: str) -> bytes:
        with self.filesystem.open_reader(VirtualPath.parse(path)) as reader:
            return reader.read_at(0, reader.size)

    def names(self, path: str = "/") -> list[str]:
        return sorted(entry.name for entry in self.filesystem.scan(VirtualPath.parse(path)))

    # Clients

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    @contextlib.contextmanager
    def ftp(self, name: str = NAME, password: str = PASSWORD) -> Iterator[ftplib.FTP_TLS]:
        """A signed-in ftplib client with TLS on both channels."""
        client = ftplib.FTP_TLS(context=self.context(), timeout=20, encoding="utf-8")  # noqa: S321 - what is tested
        try:
            client.connect("127.0.0.1", self.port)
            client.host = "localhost"
            client.login(name, password)
            client.prot_p()
            yield client
        finally:
            client.close()

    def run(self, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a client program; nothing of the host's own configuration is read."""
        environment = {**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )

    def curl(self, *arguments: str, implicit: bool = False) -> subprocess.CompletedProcess[str]:
        """Run curl; ``{url}`` in an argument becomes the server's address."""
        scheme, port = ("ftps", self.implicit_port) if implicit else ("ftp", self.port)
        url = f"{scheme}://localhost:{port}"
        words = [argument.replace("{url}", url) for argument in arguments]
        return self.run(
            "curl", "-sS", "--fail", "--ssl-reqd", "--cacert", str(self.certificate), "--user", f"{NAME}:{PASSWORD}",
            "--max-time", "50", "-4", *words,
        )  # fmt: skip

    def lftp(self, script: str, *, implicit: bool = False) -> subprocess.CompletedProcess[str]:
        """Run lftp with a script; it stops at the first failure."""
        scheme, port = ("ftps", self.implicit_port) if implicit else ("ftp", self.port)
        settings = (
            f"set cmd:fail-exit true; set net:max-retries 1; set net:timeout 20; set dns:order inet; "
            f"set ssl:ca-file {self.certificate}; set ftp:ssl-force true; set ftp:ssl-protect-data true; "
            f"open -u {NAME},'{PASSWORD}' {scheme}://localhost:{port}; "
        )
        return self.run("lftp", "-c", settings + script)

    def no_clients(self) -> None:
        """Wait until every session has ended."""
        eventually(lambda: all(session.over.is_set() for session in self.sign_in.sessions), what="the sessions to end")


@contextlib.contextmanager
def serving_ftps(folder: Path, *, filesystem: Filesystem | None = None, **ftps: object) -> Iterator[FtpsSite]:
    """Run a worker; keyword arguments are settings of the ``ftps`` section."""
    site = FtpsSite(folder, filesystem or MemoryFilesystem(), **ftps)
    site.start()
    try:
        yield site
    finally:
        if site.sign_in.hold is not None:
            site.sign_in.hold.set()
        if site.running:
            site.drain(0.1)
        site.join()
        site.ports.release()
