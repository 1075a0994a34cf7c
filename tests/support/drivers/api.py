"""What the three drivers have in common."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class RefusalKind(StrEnum):
    """What a client learns from a refusal, whatever the protocol's own code."""

    SIGN_IN = "sign-in refused"
    TEMPORARY = "try later"
    MISSING = "missing"
    EXISTS = "exists"
    DENIED = "denied"
    NOT_EMPTY = "not empty"
    NO_SPACE = "no space"
    BAD_NAME = "bad name"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


class Refusal(Exception):
    """The server said no, in a way that a client can tell."""

    def __init__(self, kind: RefusalKind, text: str = "") -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the three front ends listen, and the certificate to trust."""

    sftp: int
    ftps: int
    http: int
    certificate: Path


@dataclass(frozen=True, slots=True)
class Credential:
    """How somebody signs in: a password (or API key), or a private key file."""

    user: str
    password: str | None = None
    private_key: Path | None = None


class Driver(Protocol):
    """A signed-in client; making one raises Refusal(SIGN_IN) or Refusal(TEMPORARY)."""

    front_end: str

    def __init__(self, ports: Ports, credential: Credential) -> None: ...

    def write(self, path: str, data: bytes) -> None:
        """Upload a whole file, replacing what is there."""

    def read(self, path: str) -> bytes:
        """Download a whole file."""

    def names(self, path: str) -> set[str]:
        """List a directory."""

    def size(self, path: str) -> int:
        """Size of a file in bytes."""

    def mkdir(self, path: str) -> None:
        """Make a directory."""

    def remove(self, path: str) -> None:
        """Remove a file."""

    def rmdir(self, path: str) -> None:
        """Remove a directory."""

    def rename(self, source: str, target: str) -> None:
        """Move a file or directory to a free name."""

    def close(self) -> None:
        """Sign out."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Closing:
    """The ``with`` statement of a driver."""

    def close(self) -> None:
        """Sign out; overridden."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
