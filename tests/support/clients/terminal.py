"""A program that wants a terminal, answered line by line as a person would."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

PROMPTS = (b"> ", b"(y/n) ")
LIMIT_S = 170.0


def dialogue(command: Sequence[str], lines: Sequence[str], *, home: Path) -> str:
    """Start the program, accept its question about the certificate, give it each line at its prompt, then quit.

    Gives everything that was shown. cadaver asks about the certificate on a terminal only.
    """
    terminal, other_end = pty.openpty()
    env = {**os.environ, "HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(command, stdin=other_end, stdout=other_end, stderr=other_end, cwd=home, env=env) as program:
        os.close(other_end)
        try:
            shown = b""
            for line in ("y", *lines, "quit"):
                shown += _until_prompt(terminal)
                os.write(terminal, line.encode() + b"\n")
            program.wait(LIMIT_S)
        finally:
            program.kill()
            os.close(terminal)
    return shown.decode("utf-8", "replace")


def _until_prompt(terminal: int) -> bytes:
    deadline, shown = time.monotonic() + LIMIT_S, b""
    while not shown.endswith(PROMPTS):
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no prompt after {shown[-500:]!r}"
        try:
            shown += os.read(terminal, 65536)
        except OSError as error:  # EIO: the program ended
            raise AssertionError(f"the program ended after {shown[-2000:]!r}") from error
    return shown
