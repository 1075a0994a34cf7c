"""FTPS by ftplib."""

from __future__ import annotations

import contextlib
import ftplib
import io
import ssl
from collections.abc import Iterator

from tests.support.drivers.api import Closing, Credential, Ports, Refusal, RefusalKind

WORDS = (
    ("no such", RefusalKind.MISSING),
    ("already exists", RefusalKind.EXISTS),
    ("permission denied", RefusalKind.DENIED),
    ("not enough privileges", RefusalKind.DENIED),
    ("not empty", RefusalKind.NOT_EMPTY),
    ("no space", RefusalKind.NO_SPACE),
    ("not allowed", RefusalKind.BAD_NAME),
    ("too long", RefusalKind.BAD_NAME),
)


class FtpsDriver(Closing):
    """A session with TLS on both channels; FTP's 550 is told apart by its plain sentence."""

    front_end = "ftps"

    def __init__(self, ports: Ports, credential: Credential) -> None:
        if credential.private_key is not None:
            raise Refusal(RefusalKind.SIGN_IN, "FTPS has no key sign-in")
        context = ssl.create_default_context(cafile=str(ports.certificate))
        self.client = ftplib.FTP_TLS(context=context, timeout=30, encoding="utf-8")  # noqa: S321 - the program under test
        self.client.connect("localhost", ports.ftps)
        try:
            self.client.login(credential.user, credential.password or "")
        except ftplib.error_perm as error:
            self.client.close()
            raise Refusal(RefusalKind.SIGN_IN, str(error)) from error
        except (ftplib.error_temp, EOFError) as error:
            self.client.close()
            raise Refusal(RefusalKind.TEMPORARY, str(error)) from error
        self.client.prot_p()

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except ftplib.Error as error:
            text = str(error).lower()
            kind = next((kind for words, kind in WORDS if words in text), RefusalKind.FAILED)
            raise Refusal(kind, str(error)) from error

    def write(self, path: str, data: bytes) -> None:
        """Upload a whole file, replacing what is there."""
        with self._mapped():
            self.client.storbinary(f"STOR {path}", io.BytesIO(data))

    def read(self, path: str) -> bytes:
        """Download a whole file."""
        sink = io.BytesIO()
        with self._mapped():
            self.client.retrbinary(f"RETR {path}", sink.write)
        return sink.getvalue()

    def names(self, path: str) -> set[str]:
        """List a directory."""
        with self._mapped():
            return {name for name, facts in self.client.mlsd(path) if facts["type"] in {"file", "dir"}}

    def size(self, path: str) -> int:
        """Size of a file in bytes."""
        with self._mapped():
            self.client.voidcmd("TYPE I")
            return self.client.size(path) or 0

    def mkdir(self, path: str) -> None:
        """Make a directory."""
        with self._mapped():
            self.client.mkd(path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        with self._mapped():
            self.client.delete(path)

    def rmdir(self, path: str) -> None:
        """Remove a directory."""
        with self._mapped():
            self.client.rmd(path)

    def rename(self, source: str, target: str) -> None:
        """Move a file or directory to a free name."""
        with self._mapped():
            self.client.rename(source, target)

    def close(self) -> None:
        """Sign out."""
        self.client.close()
