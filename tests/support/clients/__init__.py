"""Real programs and libraries as one shape: move a flat folder's files up and down, and resume."""

from __future__ import annotations

from tests.support.clients.api import Client, Endpoint
from tests.support.clients.dav import Cadaver, Davfs
from tests.support.clients.digests import digest
from tests.support.clients.many import Curl, FtpLib, Lftp, Rclone
from tests.support.clients.ssh import OpenSshSftp, Paramiko, Scp, Sshfs

__all__ = ["CLIENTS", "RESUMING", "Client", "Endpoint", "digest"]

CLIENTS: tuple[Client, ...] = (
    OpenSshSftp(),
    Scp(),
    Lftp("sftp"),
    Rclone("sftp"),
    Sshfs(),
    Paramiko(),
    Curl("ftps"),
    Curl("ftps-implicit"),
    Lftp("ftps"),
    Rclone("ftp"),
    FtpLib(),
    Curl("webdav"),
    Rclone("webdav"),
    Davfs(),
    Cadaver(),
)
RESUMING = (OpenSshSftp(), Lftp("sftp"), Curl("ftps"), Lftp("ftps"), FtpLib(), Curl("webdav"))
