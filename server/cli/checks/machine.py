"""Checks of the machine: Python, kernel, limits, clock."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import sys
import time
from datetime import UTC, datetime

from server.cli.checks.check import Check, ok, warn

OPENAT2 = 437  # the system call's number on every architecture (it is newer than their unification)
RESOLVE_BENEATH = 0x08
FILES_WANTED = 4096
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
TIMEX_BYTES = 256  # struct timex is 208 bytes on 64-bit Linux


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def check_python() -> Check:
    """Name the Python that runs; the package installs on 3.11 and newer only."""
    return ok("python", f"{platform.python_version()} at {sys.executable}")


def check_kernel() -> Check:
    """Ask the kernel itself for openat2(2), by opening this process's working directory."""
    how = _OpenHow(os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, 0, RESOLVE_BENEATH)
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = libc.syscall(OPENAT2, here, b".", ctypes.byref(how), ctypes.sizeof(how))
    finally:
        os.close(here)
    release = f"{platform.system()} {platform.release()}"
    if descriptor >= 0:
        os.close(descriptor)
        return ok("kernel", f"{release} with openat2")
    return warn(
        "kernel",
        f"{release} without openat2: {os.strerror(ctypes.get_errno())}",
        "files are confined by a slower walk; Linux 5.6 or newer has it, and containers must let it through seccomp",
    )


def check_open_files() -> Check:
    """Compare the hard limit of open files, which workers take for their own, with what a busy one needs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= FILES_WANTED:
        return ok("open files", "no limit" if hard == resource.RLIM_INFINITY else f"{hard} for each process")
    return warn(
        "open files",
        f"at most {hard} for each process",
        f"raise the hard limit to {FILES_WANTED} or more: LimitNOFILE= of a systemd unit, or ulimit -Hn",
    )


def check_clock() -> Check:
    """Ask the kernel whether something keeps the clock right (adjtimex(2), reading only)."""
    now = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    if state == TIME_ERROR:
        return warn(
            "clock",
            f"{now}, and the kernel does not know of any synchronisation",
            "run chrony or systemd-timesyncd: expiry of accounts and keys, and every audit event, depend on the clock",
        )
    return ok("clock", now)
