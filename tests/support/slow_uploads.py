"""Uploads that the test drives step by step, per front end, and that notice when the server cuts them off."""

from __future__ import annotations

import base64
import contextlib
import ftplib
import http.client
import socket
import ssl
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import paramiko
from paramiko.sftp import CMD_CLOSE

from tests.support.drivers import Credential, Ports

CHUNK = bytes(range(256)) * 8192  # 2 MiB: above what a front end gathers before it writes
LITTLE = CHUNK[:4096]
TIMEOUT_S = 30.0


class SlowUpload(Protocol):
    """One signed-in client in the middle of one upload. Making one signs in and starts it."""

    front_end: str

    def __init__(self, ports: Ports, credential: Credential, name: str, chunks: int) -> None: ...

    def send(self) -> None:
        """Send one chunk."""

    def send_little(self) -> None:
        """Send a small piece, so that the client is seen to be alive."""

    def finish(self) -> bool:
        """End the upload properly; whether the server said that the file is there."""

    def wait_cut(self, within_s: float) -> float | None:
        """Wait for the server to drop the connection; when it did (``time.monotonic``), or None."""

    def close(self) -> None:
        """Hang up."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Closing:
    def close(self) -> None:
        """Hang up; overridden."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SftpUpload(_Closing):
    """An open file handle; paramiko's own thread notices the end."""

    front_end = "sftp"

    def __init__(self, ports: Ports, credential: Credential, name: str, chunks: int) -> None:
        plain = socket.create_connection(("127.0.0.1", ports.sftp), timeout=TIMEOUT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else paramiko waits 40 ms after each 32 KiB
        self._transport = paramiko.Transport(plain)
        self._transport.daemon = True
        self._transport.connect(username=credential.user, password=credential.password)
        client = paramiko.SFTPClient.from_transport(self._transport)
        assert client is not None
        self._client = client
        self._file = client.open(name, "wb")

    def send(self) -> None:
        self._file.write(CHUNK)

    def send_little(self) -> None:
        self._file.write(LITTLE)

    def finish(self) -> bool:
        try:  # not file.close(), which takes a lost connection for success
            self._client._request(CMD_CLOSE, self._file.handle)
        except (OSError, EOFError):
            return False
        return True

    def wait_cut(self, within_s: float) -> float | None:
        self._transport.join(within_s)
        return None if self._transport.is_alive() else time.monotonic()

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._transport.close()


class FtpsUpload(_Closing):
    """A STOR in flight; the end of either connection is noticed on the control connection."""

    front_end = "ftps"

    def __init__(self, ports: Ports, credential: Credential, name: str, chunks: int) -> None:
        context = ssl.create_default_context(cafile=str(ports.certificate))
        self._client = ftplib.FTP_TLS(context=context, timeout=TIMEOUT_S)  # noqa: S321 - TLS on both channels
        self._client.connect("127.0.0.1", ports.ftps)
        self._client.login(credential.user, credential.password or "")
        self._client.prot_p()
        self._client.voidcmd("TYPE I")
        self._data = self._client.transfercmd(f"STOR {name}")

    def send(self) -> None:
        self._data.sendall(CHUNK)

    def send_little(self) -> None:
        self._data.sendall(LITTLE)

    def finish(self) -> bool:
        try:
            assert isinstance(self._data, ssl.SSLSocket)
            self._data.unwrap()
            self._data.close()
            return self._client.voidresp().startswith("226")
        except (OSError, EOFError, ftplib.Error):
            return False

    def wait_cut(self, within_s: float) -> float | None:
        assert self._client.sock is not None
        return _wait_for_end(self._client.sock, within_s)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._data.close()
        self._client.close()


class WebdavUpload(_Closing):
    """A PUT whose body is sent bit by bit."""

    front_end = "webdav"

    def __init__(self, ports: Ports, credential: Credential, name: str, chunks: int) -> None:
        context = ssl.create_default_context(cafile=str(ports.certificate))
        self._connection = http.client.HTTPSConnection("127.0.0.1", ports.http, context=context, timeout=TIMEOUT_S)
        token = base64.b64encode(f"{credential.user}:{credential.password}".encode()).decode()
        self._connection.putrequest("PUT", f"/dav/{name}")
        self._connection.putheader("Authorization", f"Basic {token}")
        self._connection.putheader("Content-Length", str(chunks * len(CHUNK)))
        self._connection.endheaders()

    def send(self) -> None:
        self._connection.send(CHUNK)

    def send_little(self) -> None:
        self._connection.send(LITTLE)

    def finish(self) -> bool:
        try:
            return self._connection.getresponse().status in {201, 204}
        except (OSError, http.client.HTTPException):
            return False

    def wait_cut(self, within_s: float) -> float | None:
        assert self._connection.sock is not None
        return _wait_for_end(self._connection.sock, within_s)

    def close(self) -> None:
        self._connection.close()


SLOW_UPLOADS: tuple[type[SlowUpload], ...] = (SftpUpload, FtpsUpload, WebdavUpload)


def _wait_for_end(connection: socket.socket, within_s: float) -> float | None:
    """Read until the end of the connection, whatever else the server says before."""
    deadline = time.monotonic() + within_s
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(4096):
                return time.monotonic()
        except TimeoutError:
            return None
        except OSError:
            return time.monotonic()
    return None


class Watch:
    """Waits for the cut in a thread of its own, so that the moment is exact."""

    def __init__(self, upload: SlowUpload, within_s: float) -> None:
        self.cut_at: float | None = None
        self._thread = threading.Thread(target=self._wait, args=(upload, within_s), daemon=True)
        self._thread.start()

    def result(self) -> float | None:
        """Give when the server hung up (``time.monotonic``), or None."""
        self._thread.join()
        return self.cut_at

    def _wait(self, upload: SlowUpload, within_s: float) -> None:
        self.cut_at = upload.wait_cut(within_s)


def bytes_in_flight(home: Path) -> int:
    """Bytes of the temporary files of uploads in this folder."""
    total = 0
    for file in home.rglob(".quaymaster-upload-*"):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total
