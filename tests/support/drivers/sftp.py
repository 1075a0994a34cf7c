"""SFTP by paramiko."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import paramiko

from tests.support.drivers.api import Closing, Credential, Ports, Refusal, RefusalKind


class SftpDriver(Closing):
    """A paramiko session; SFTP v3 tells apart only missing, denied, unsupported and failed."""

    front_end = "sftp"

    def __init__(self, ports: Ports, credential: Credential) -> None:
        self._transport = paramiko.Transport(("127.0.0.1", ports.sftp))
        key = paramiko.Ed25519Key.from_private_key_file(str(credential.private_key)) if credential.private_key else None
        try:
            self._transport.connect(username=credential.user, password=credential.password or "", pkey=key)
            client = paramiko.SFTPClient.from_transport(self._transport)
        except paramiko.AuthenticationException as error:
            self._transport.close()
            # a disconnect before the answer ("cannot tell") is an AuthenticationException of this text in paramiko
            kind = RefusalKind.TEMPORARY if "transport shut down" in str(error) else RefusalKind.SIGN_IN
            raise Refusal(kind, str(error)) from error
        except (paramiko.SSHException, EOFError) as error:
            self._transport.close()
            raise Refusal(RefusalKind.TEMPORARY, str(error)) from error
        assert client is not None
        self.client = client

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kinds = {errno.ENOENT: RefusalKind.MISSING, errno.EACCES: RefusalKind.DENIED}
            raise Refusal(kinds.get(error.errno or 0, RefusalKind.FAILED), str(error)) from error

    def write(self, path: str, data: bytes) -> None:
        """Upload a whole file, replacing what is there."""
        with self._mapped(), self.client.open(path, "wb") as sink:
            sink.set_pipelined(True)
            sink.write(data)

    def read(self, path: str) -> bytes:
        """Download a whole file."""
        with self._mapped(), self.client.open(path, "rb") as source:
            return bytes(source.read())

    def names(self, path: str) -> set[str]:
        """List a directory."""
        with self._mapped():
            return {*self.client.listdir(path)} - {".", ".."}

    def size(self, path: str) -> int:
        """Size of a file in bytes."""
        with self._mapped():
            return int(self.client.stat(path).st_size or 0)

    def mkdir(self, path: str) -> None:
        """Make a directory."""
        with self._mapped():
            self.client.mkdir(path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        with self._mapped():
            self.client.remove(path)

    def rmdir(self, path: str) -> None:
        """Remove a directory."""
        with self._mapped():
            self.client.rmdir(path)

    def rename(self, source: str, target: str) -> None:
        """Move a file or directory to a free name."""
        with self._mapped():
            self.client.rename(source, target)

    def close(self) -> None:
        """Sign out."""
        self._transport.close()
