"""A worker process: ``python -P -m server.runtime.worker ROLE DESCRIPTOR``.

It imports its front end while the supervisor prepares the data folder, then gets its settings
and sockets over the channel, runs, drains when told (by the channel or SIGTERM), and ends by
itself if the supervisor is gone.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import structlog

from config.settings import Settings
from server.runtime import logs
from server.runtime.channel import Channel, Message
from server.runtime.roles import Role
from server.services import Control, Services

log = structlog.get_logger(__name__)

ORPHAN_GRACE_S = 1.0
EXIT_MARGIN_S = 5.0  # after the grace, what has not ended by itself is ended hard
EXIT_HARD = 70


class RoleModule(Protocol):
    """What a role's module offers."""

    def run(self, services: Services, sockets: Sequence[socket.socket], control: Control) -> None:
        """Serve until drained."""


class WorkerControl:
    """The Control of one worker. Thread-safe."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._callback: Callable[[float], None] | None = None
        self._grace_s: float | None = None

    def ready(self) -> None:
        """Tell the supervisor that connections are accepted."""
        self._channel.send({"event": "ready"})

    def on_drain(self, callback: Callable[[float], None]) -> None:
        """Name what to call when the worker must end; called at once if it must already."""
        with self._lock:
            self._callback = callback
            grace_s = self._grace_s
        if grace_s is not None:
            callback(grace_s)

    def drain(self, grace_s: float, why: str) -> None:
        """Begin to end, once; a watchdog ends the process hard if it does not follow."""
        with self._lock:
            if self._grace_s is not None:
                return
            self._grace_s = grace_s
            callback = self._callback
        log.info("worker.draining", why=why, grace_s=grace_s)
        watchdog = threading.Timer(grace_s + EXIT_MARGIN_S, _end_hard)
        watchdog.daemon = True
        watchdog.start()
        if callback is not None:
            callback(grace_s)


def main(arguments: Sequence[str]) -> int:
    """Run one worker to its end; the exit status."""
    role, descriptor = Role(arguments[0]), int(arguments[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # for every thread: one thread waits for it
    _take_descriptors()
    channel = Channel(descriptor)
    module = cast("RoleModule", importlib.import_module(role.module))
    from server.app import open_services  # noqa: PLC0415 - imported with the front end, before the settings come

    start = channel.receive()
    if start is None:
        return 0
    settings = Settings.model_validate_json(str(start["settings"]))
    name = str(start["worker"])
    logs.set_up(settings.log, worker=name)
    control = WorkerControl(channel)
    threading.Thread(target=_obey, args=(channel, control), name="channel", daemon=True).start()
    threading.Thread(target=_wait_for_sigterm, args=(control, settings.drain_s), name="sigterm", daemon=True).start()
    with open_services(settings, worker=name) as services:
        _end_sessions_of(services, start)
        module.run(services, _sockets(start), control)
    log.info("worker.ended")
    return 0


def _take_descriptors() -> None:
    """Raise the soft limit of open files to the hard one: with the usual 1,024 one user's uploads lock all others out.

    The soft limit is that low for programs that wait in select(2); workers wait in epoll(7).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_sessions_of(services: Services, start: Message) -> None:
    if previous := start.get("previous"):
        services.sessions.bury(str(previous))


def _sockets(start: Message) -> list[socket.socket]:
    descriptors = cast("list[int]", start["sockets"])
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for one in sockets:
        one.set_inheritable(False)
        one.setblocking(False)
    return sockets


def _obey(channel: Channel, control: WorkerControl) -> None:
    while (message := channel.receive()) is not None:
        if message.get("command") == "drain":
            control.drain(float(str(message["grace_s"])), "told by the supervisor")
    control.drain(ORPHAN_GRACE_S, "the supervisor is gone")


def _wait_for_sigterm(control: WorkerControl, grace_s: float) -> None:
    signal.sigwait({signal.SIGTERM})
    control.drain(grace_s, "SIGTERM")


def _end_hard() -> None:
    log.error("worker.ended_hard")
    sys.stderr.flush()
    os._exit(EXIT_HARD)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)  # all is closed by now; joining idle pool threads would take the interpreter another second
