"""The files of a Samba domain controller: made once for each Samba version, kept, and copied for each server."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.support.directories import samba_provision
from tests.support.directories.certificates import Identity
from tests.support.directories.processes import program

_UNUSED_S = 30 * 86400
_CONFIGURATION = """[global]
netbios name = DC1
realm = {realm}
workgroup = {domain}
server role = active directory domain controller
server services = ldap
dcerpc endpoint servers = none
interfaces = 127.0.0.1/8
bind interfaces only = yes
private dir = {folder}/private
state directory = {folder}/state
cache directory = {folder}/cache
lock directory = {folder}/lock
pid directory = {folder}/run
ncalrpc dir = {folder}/run/ncalrpc
binddns dir = {folder}/bind-dns
winbindd socket directory = {folder}/run/winbindd
ntp signd socket directory = {folder}/run/ntp
log file = {folder}/samba.log
old password allowed period = {old_password_minutes}
{tls}
[sysvol]
path = {folder}/state/sysvol
[netlogon]
path = {folder}/state/sysvol/{dns}/scripts
"""
_TLS = """tls enabled = yes
tls cafile = {ca_file}
tls certfile = {certificate}
tls keyfile = {key}
"""


def in_new_network() -> list[str]:
    """Give the words before a command that has it run in a network namespace of its own, also for ordinary users."""
    return [program("unshare"), "-n" if os.geteuid() == 0 else "-rn"]


def write_configuration(folder: Path, identity: Identity | None, old_password_minutes: int = 0) -> Path:
    """Write the smb.conf of the server in ``folder``, without TLS when it has no identity, and give its path."""
    tls = "tls enabled = no"
    if identity is not None:
        tls = _TLS.format(ca_file=identity.ca_file, certificate=identity.certificate, key=identity.key)
    file = folder / "etc" / "smb.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        _CONFIGURATION.format(
            realm=samba_provision.REALM,
            domain=samba_provision.NETBIOS_DOMAIN,
            dns=samba_provision.DNS_DOMAIN,
            folder=folder,
            tls=tls,
            old_password_minutes=old_password_minutes,
        )
    )
    return file


def kept_tree() -> Path:
    """Give the folder kept for this Samba version and this provisioning, made now (15 s or more) if there is none."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "quaymaster-tests"
    folder.mkdir(parents=True, exist_ok=True)
    script = Path(samba_provision.__file__)
    key = hashlib.sha256(script.read_bytes() + _CONFIGURATION.encode()).hexdigest()[:16]
    kept = folder / f"samba-{_version()}-{key}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let another test process finish making it
        _drop_unused(folder)
        if not kept.exists():
            _make(kept, script)
        os.utime(kept)
    return kept


def _make(kept: Path, script: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="provision-", dir=kept.parent) as name:
        folder = Path(name) / "tree"
        configuration = write_configuration(folder, None)
        # -I, because the folder of the script has a module named samba of its own.
        command: list[str | Path] = [*in_new_network(), _python(), "-I", script, configuration, folder]
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            pytest.fail(f"Samba cannot be provisioned: {done.stderr.decode(errors='replace')}")
        folder.rename(kept)


def _drop_unused(folder: Path) -> None:
    unused = [kept for kept in folder.glob("samba-*") if time.time() - kept.stat().st_mtime > _UNUSED_S]
    half_made = folder.glob("provision-*")  # we hold the lock, so whoever made it was killed
    for each in (*unused, *half_made):
        shutil.rmtree(each, ignore_errors=True)


def _version() -> str:
    done = subprocess.run([program("samba"), "--version"], capture_output=True, check=True)
    return done.stdout.decode().split()[-1]


def _python() -> str:
    """Give the Python that has Samba's modules: the one that samba-tool names."""
    with Path(program("samba-tool")).open("rb") as tool:
        return tool.readline().decode().removeprefix("#!").split()[0]
