"""Uploads whose client is killed by SIGKILL at a chosen byte of the file; each runs in a process of its own."""

from __future__ import annotations

import ftplib
import http.client
import multiprocessing
import os
import signal
import ssl
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import paramiko

CHUNK = 1 << 15
PROTOCOLS = ("sftp", "ftps", "webdav", "webdav-chunked")


@dataclass(frozen=True, slots=True)
class Fate:
    """An upload of ``total`` bytes to ``remote`` that ends with the client's death after ``limit`` bytes."""

    protocol: str
    port: int
    login: tuple[str, str]
    certificate: Path
    remote: str
    limit: int
    total: int


class FatalSource:
    """A readable file of random bytes that kills its own process when byte ``limit`` has been handed out."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def read(self, size: int = CHUNK) -> bytes:
        """Give the next bytes, or do not return."""
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        data = os.urandom(min(size if size > 0 else CHUNK, CHUNK, self._left))
        self._left -= len(data)
        return data


def upload(fate: Fate) -> None:
    """Start the upload and die."""
    source = FatalSource(fate.limit)
    match fate.protocol:
        case "sftp":
            _sftp(fate, source)
        case "ftps":
            _ftps(fate, source)
        case "webdav":
            _webdav(fate, source, chunked=False)
        case _:
            _webdav(fate, source, chunked=True)


def _sftp(fate: Fate, source: FatalSource) -> None:
    transport = paramiko.Transport(("127.0.0.1", fate.port))
    transport.connect(username=fate.login[0], password=fate.login[1])
    client = paramiko.SFTPClient.from_transport(transport)
    assert client is not None
    with client.open(fate.remote, "wb") as sink:
        while True:
            sink.write(source.read())


def _ftps(fate: Fate, source: FatalSource) -> None:
    context = ssl.create_default_context(cafile=str(fate.certificate))
    ftp = ftplib.FTP_TLS(context=context, timeout=30)  # noqa: S321 - the program under test
    ftp.connect("localhost", fate.port)
    ftp.login(*fate.login)
    ftp.prot_p()
    file: IO[bytes] = source  # type: ignore[assignment]  # ftplib only reads
    ftp.storbinary(f"STOR {fate.remote}", file, blocksize=CHUNK)


def _webdav(fate: Fate, source: FatalSource, *, chunked: bool) -> None:
    context = ssl.create_default_context(cafile=str(fate.certificate))
    connection = http.client.HTTPSConnection("localhost", fate.port, context=context, timeout=30)
    token = b64encode(":".join(fate.login).encode()).decode()
    connection.putrequest("PUT", f"/dav{fate.remote}")
    connection.putheader("Authorization", f"Basic {token}")
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(fate.total))
    connection.endheaders()
    while True:
        data = source.read()
        connection.send(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)


def killer() -> multiprocessing.context.ForkServerContext:
    """A context whose children start with this module loaded, so that 200 of them take seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context
