"""How the test servers are found and kept from outliving the tests."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Callable

import pytest

_PR_SET_PDEATHSIG = 1
_STOP_DEADLINE_S = 10.0
_libc = ctypes.CDLL(None)


def program(name: str) -> str:
    """Give the path of an installed program, or fail the test: a missing one never skips it."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        pytest.fail(f"{name} is not installed; tools/install-test-programs installs what the tests need.")
    return found


def dying_with_parent(how: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """Give a ``preexec_fn`` that has the kernel end the child when the thread that started it ends."""

    def arrange() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, how)

    return arrange


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """End a child and wait for it; kill it when it does not go within 10 s."""
    process.send_signal(how)
    try:
        process.wait(_STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_DEADLINE_S)
