"""The processes when the system has no room for another one."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.support.drivers import DRIVERS, Credential
from tests.support.server import QuaymasterServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

PASSWORD = "right horse battery"
ADA = Credential("ada", PASSWORD)
SLOW_S = 60.0
SFTP = next(driver for driver in DRIVERS if driver.front_end == "sftp")


def test_a_worker_that_cannot_be_started_again_is_tried_later_while_the_other_serves() -> None:
    """Without a descriptor left, a restart and a reload fail; nothing else ends, and with room it comes back."""
    with QuaymasterServer(workers=2) as server:
        server.add_user("ada", password=PASSWORD)
        supervisor = psutil.Process(server.pid)
        limits = supervisor.rlimit(psutil.RLIMIT_NOFILE)
        victim, survivor = sorted(server.worker_pids("sftp"))
        supervisor.rlimit(psutil.RLIMIT_NOFILE, (3, limits[1]))
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: server.log.count("worker.cannot_start") >= 2, what="two tries", within_s=SLOW_S)
        server.signal(signal.SIGHUP)
        eventually(lambda: "supervisor.reloading" in server.log, what="the reload", within_s=SLOW_S)
        with SFTP(server.driver_ports, ADA) as session:
            session.write("/meanwhile", b"served")
        during = server.worker_pids("sftp")
        supervisor.rlimit(psutil.RLIMIT_NOFILE, limits)
        eventually(lambda: len(server.worker_pids("sftp")) == 2, what="the worker to come back", within_s=SLOW_S)

        assert during == [survivor]
        assert (server.home_of("ada") / "meanwhile").read_bytes() == b"served"


def test_a_worker_takes_as_many_descriptors_as_it_may() -> None:
    """A shell's soft limit of open files does not bind a worker; the hard limit does."""
    with QuaymasterServer() as server:
        supervisor = psutil.Process(server.pid)
        _, hard = supervisor.rlimit(psutil.RLIMIT_NOFILE)
        before = server.worker_pids("sftp")
        supervisor.rlimit(psutil.RLIMIT_NOFILE, (512, hard))
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: server.worker_pids("sftp") not in ([], before), what="the new worker", within_s=SLOW_S)
        worker = psutil.Process(server.worker_pids("sftp")[0])
        eventually(lambda: worker.rlimit(psutil.RLIMIT_NOFILE) == (hard, hard), what="its limit", within_s=SLOW_S)

        assert supervisor.rlimit(psutil.RLIMIT_NOFILE) == (512, hard)
