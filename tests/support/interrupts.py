"""Programs that a test interrupts as a person does at a terminal."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence


def interruptible(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a program that SIGINT ends, also where this run was started in the background and ignores it."""
    return subprocess.Popen(
        command,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads touch this child
    )
