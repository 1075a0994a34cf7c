"""Ports for test servers: blocks that no other test process takes, outside the range of client ports."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

FIRST, LAST, BLOCK = 10_000, 30_000, 200
LISTENERS = 8


@dataclass(frozen=True, slots=True)
class PortBlock:
    """Ports of one server, claimed while ``claim`` is open."""

    claim: int
    first: int

    def port(self, number: int) -> int:
        """Give the port of listener ``number`` (below 8)."""
        return self.first + number

    @property
    def passive(self) -> str:
        """Give the rest of the block as FIRST-LAST."""
        return f"{self.first + LISTENERS}-{self.first + BLOCK - 1}"

    def release(self) -> None:
        """Let others have the block."""
        os.close(self.claim)


def claim_ports() -> PortBlock:
    """Claim a block in which every port can be bound now."""
    folder = Path(tempfile.gettempdir()) / f"quaymaster-test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    blocks = list(range(FIRST, LAST, BLOCK))
    random.SystemRandom().shuffle(blocks)
    for first in blocks:
        claim = os.open(folder / str(first), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if all(_is_free(port) for port in range(first, first + BLOCK)):
                return PortBlock(claim, first)
        os.close(claim)
    message = f"no free block of {BLOCK} ports between {FIRST} and {LAST}"
    raise AssertionError(message)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
