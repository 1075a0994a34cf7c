"""The servers that people use today, started on loopback with settings like ours: OpenSSH, vsftpd, Apache mod_dav."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server: its name, process id, port, and the folder that clients see as their root."""

    name: str
    pid: int
    port: int
    root: Path


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def openssh(folder: Path, host_key: Path, authorized_key: Path) -> Iterator[Peer]:
    """OpenSSH's sshd with internal-sftp; the user is the one who runs the bench."""
    port, root = free_port(), _made(folder / "files")
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {authorized_key}\n"
        "StrictModes no\nPermitRootLogin prohibit-password\nUsePAM no\nPidFile none\nLogLevel ERROR\n"
        f"Subsystem sftp internal-sftp -d {root}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's privilege separation folder
    with _running("OpenSSH", [_program("sshd"), "-D", "-e", "-f", str(config)], port, root) as peer:
        yield peer


@contextlib.contextmanager
def vsftpd(folder: Path, certificate: Path, key: Path) -> Iterator[Peer]:
    """Vsftpd with TLS required on both channels; the user is ``anonymous``, uploads go to ``/up``."""
    port, root = free_port(), _made(folder / "files")
    _made(folder / "empty")
    upload = _made(root / "up")
    shutil.chown(upload, "ftp")
    folder.chmod(0o755)
    config = folder / "vsftpd.conf"
    settings = {
        "listen": "YES",
        "listen_address": "127.0.0.1",
        "listen_port": str(port),
        "background": "NO",
        "anonymous_enable": "YES",
        "no_anon_password": "YES",
        "anon_root": str(root),
        "ftp_username": "ftp",
        "write_enable": "YES",
        "anon_upload_enable": "YES",
        "anon_other_write_enable": "YES",
        "anon_world_readable_only": "NO",
        "anon_umask": "022",
        "secure_chroot_dir": str(folder / "empty"),
        "ssl_enable": "YES",
        "allow_anon_ssl": "YES",
        "force_anon_data_ssl": "YES",
        "force_anon_logins_ssl": "YES",
        "require_ssl_reuse": "NO",
        "ssl_tlsv1": "YES",
        "rsa_cert_file": str(certificate),
        "rsa_private_key_file": str(key),
        "xferlog_enable": "NO",
        "seccomp_sandbox": "NO",
    }
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    with _running("vsftpd", [_program("vsftpd"), str(config)], port, root) as peer:
        yield peer


@contextlib.contextmanager
def apache(folder: Path, certificate: Path, key: Path) -> Iterator[Peer]:
    """Apache with the event MPM, mod_ssl and mod_dav; no sign-in, files under ``/``."""
    port, root = free_port(), _made(folder / "files")
    modules = Path("/usr/lib/apache2/modules")
    names = ["mpm_event", "authz_core", "dir", "mime", "ssl", "socache_shmcb", "dav", "dav_fs"]
    owner = "www-data"
    shutil.chown(root, owner)
    locks = _made(folder / "locks")
    shutil.chown(locks, owner)
    folder.chmod(0o755)
    config = folder / "httpd.conf"
    config.write_text(
        "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in names)
        + f"ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/pid\n"
        f"ErrorLog {folder}/error.log\nUser {owner}\nGroup {owner}\nTypesConfig /etc/mime.types\n"
        f"DavLockDB {locks}/db\nDocumentRoot {root}\n"
        f"SSLEngine on\nSSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}\n"
        f"<Directory {root}>\n Dav On\n Require all granted\n</Directory>\n"
    )
    command = [_program("apache2"), "-f", str(config), "-DFOREGROUND"]
    with _running("Apache mod_dav", command, port, root) as peer:
        yield peer


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        message = f"{name} is not installed; run tools/install-bench-peers"
        raise SystemExit(message)
    return found


@contextlib.contextmanager
def _running(name: str, command: list[str], port: int, root: Path) -> Iterator[Peer]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait_for(process, port, name)
        yield Peer(name, process.pid, port, root)
    finally:
        process.terminate()
        process.wait(WAIT_S)


def _wait_for(process: subprocess.Popen[bytes], port: int, name: str) -> None:
    tries = 400
    for _ in range(tries):
        with socket.socket() as probe:
            probe.settimeout(WAIT_S)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(WAIT_S / tries)
            break
    message = f"{name} did not start listening on port {port} (exit status {process.poll()})"
    raise SystemExit(message)
