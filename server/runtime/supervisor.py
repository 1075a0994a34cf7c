"""The supervisor: starts workers, watches them, restarts, drains and reloads them.

It parses no byte from the network and holds no key. Single-threaded: one selector over the
workers' channels, their process descriptors and the signals.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

import structlog

from config.settings import Settings
from server.runtime.process import WorkerProcess
from server.runtime.roles import Role, slots
from server.runtime.slots import Slot

log = structlog.get_logger(__name__)

READY_WITHIN_S = 60.0
KILL_MARGIN_S = 8.0  # longer than a worker's own watchdog
TRIES_AT_START = 3
SAME_SIGNAL_S = 0.5  # a terminal and a process manager may both deliver one wish
FAILED = 1

Reload = Callable[[], Settings | None]
"""Reads the configuration again; None (and a log event) if it cannot be used."""


class Supervisor:
    """Runs the workers of one installation until told to stop."""

    def __init__(
        self,
        settings: Settings,
        sockets: Mapping[Role, Sequence[socket.socket]],
        *,
        reload: Reload,
        on_ready: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._reload = reload
        self._on_ready = on_ready
        self._announced = False
        self._released = False
        self._stopping_since: float | None = None
        self._kill_at: float | None = None
        self._status = 0
        self._signals: list[int] = []
        self._selector = selectors.DefaultSelector()
        self._slots = [Slot(role, number, self._start) for role, number in slots(settings)]
        self._wake, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def start(self) -> None:
        """Start the workers; they load their code and wait for :meth:`run`."""
        for slot in self._slots:
            slot.fill()

    def run(self) -> int:
        """Let the workers serve, and keep them at it, until SIGTERM or SIGINT; the exit status."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        before = {
            number: signal.signal(number, self._note_signal)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        try:
            self._release()
            while any(slot.processes() or slot.restart_at is not None for slot in self._slots):
                self._round()
        finally:
            self.kill()
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            os.close(self._wake)
            os.close(self._wake_write)
        log.info("supervisor.stopped", status=self._status)
        return self._status

    def kill(self) -> None:
        """End every worker hard and collect it."""
        for slot in self._slots:
            slot.restart_at = None
            for process in slot.processes():
                process.kill()
                self._collect(process)
            slot.current = slot.incoming = None
            slot.draining.clear()

    # Starting -------------------------------------------------------------------------------------

    def _start(self, role: Role, number: int) -> WorkerProcess:
        """Start one worker. Raises OSError while the system has no process or descriptor left for it."""
        process = WorkerProcess(role, number, self._sockets.get(role, ()))
        try:
            self._selector.register(process.pidfd, selectors.EVENT_READ, process)
            self._selector.register(process.channel, selectors.EVENT_READ, process)
        except BaseException:
            process.kill()
            self._collect(process)
            raise
        return process

    def _release(self) -> None:
        self._released = True
        for slot in self._slots:
            if slot.current is not None:
                self._begin(slot, slot.current)

    def _begin(self, slot: Slot, process: WorkerProcess) -> None:
        process.begin(self._settings.model_dump_json(), slot.previous)
        log.debug("worker.started", name=process.name, pid=process.pid)

    # The loop -------------------------------------------------------------------------------------

    def _round(self) -> None:
        for key, _events in self._selector.select(self._timeout()):
            if key.data is None:
                self._drain_wake_pipe()
            elif key.fd == key.data.pidfd:
                self._ended(key.data)
            elif key.data.channel.fileno() == key.fd:
                self._heard(key.data)
        while self._signals:
            self._obey(self._signals.pop(0))
        self._restart_due()
        self._enforce_deadlines()

    def _timeout(self) -> float | None:
        now = time.monotonic()
        moments = [slot.restart_at for slot in self._slots if slot.restart_at is not None]
        moments += [] if self._kill_at is None else [self._kill_at]
        moments += [process.started_at + READY_WITHIN_S for process in self._unready()]
        return max(0.0, min(moments) - now) if moments else None

    def _unready(self) -> list[WorkerProcess]:
        return [process for process in self._processes() if process.ready_at is None and not process.killed]

    def _processes(self) -> list[WorkerProcess]:
        return [process for slot in self._slots for process in slot.processes()]

    def _heard(self, process: WorkerProcess) -> None:
        try:
            messages = process.read()
        except ValueError:
            log.exception("worker.nonsense", name=process.name)
            process.kill()
            return
        if messages is None:
            self._selector.unregister(process.channel)  # it is ending: the process descriptor tells the rest
            return
        for message in messages:
            if message.get("event") == "ready" and process.ready_at is None:
                self._became_ready(process)

    def _became_ready(self, process: WorkerProcess) -> None:
        process.ready_at = time.monotonic()
        log.info("worker.ready", name=process.name, pid=process.pid)
        for slot in self._slots:
            if process is slot.incoming and (old := slot.promote()) is not None:
                old.drain(self._settings.drain_s)
        if not self._announced and all(slot.current and slot.current.ready_at for slot in self._slots):
            self._announced = True
            self._on_ready()

    def _ended(self, process: WorkerProcess) -> None:
        status = self._collect(process)
        slot = next(slot for slot in self._slots if process in slot.processes())
        expected = self._stopping_since is not None or process in slot.draining
        vacant = slot.lost(process)
        if expected:
            log.debug("worker.ended", name=process.name, status=status)
            if self._stopping_since is not None:
                slot.restart_at = None
            return
        log.warning("worker.lost", name=process.name, pid=process.pid, status=status)
        if vacant and not self._announced and slot.backoff.failures >= TRIES_AT_START:
            log.error("supervisor.cannot_start", role=slot.role.value, tries=slot.backoff.failures)
            self._status = FAILED
            self._stop(0.0)

    def _collect(self, process: WorkerProcess) -> int:
        for source in (process.pidfd, process.channel):
            if source in self._selector.get_map():
                self._selector.unregister(source)
        return process.reap()

    def _restart_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.restart_at is None or slot.restart_at > now:
                continue
            try:
                process = slot.fill()
            except OSError as error:  # the workers that serve go on, and this one is tried again
                log.error("worker.cannot_start", role=slot.role.value, error=str(error))  # noqa: TRY400 - the system's reason is all
                slot.restart_at = now + slot.backoff.failed(0.0)
                continue
            self._begin(slot, process)

    def _enforce_deadlines(self) -> None:
        now = time.monotonic()
        late = self._kill_at is not None and now >= self._kill_at
        for slot in self._slots:
            for process in slot.processes():
                unready = process.ready_at is None and now >= process.started_at + READY_WITHIN_S
                if (late or unready) and not process.killed:
                    log.error("worker.killed", name=process.name, why="did not end" if late else "not ready in time")
                    process.kill()
        if late:
            self._kill_at = None

    # Signals --------------------------------------------------------------------------------------

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _drain_wake_pipe(self) -> None:
        try:
            while os.read(self._wake, 512):
                pass
        except BlockingIOError:
            return

    def _obey(self, number: int) -> None:
        match number:
            case signal.SIGHUP:
                self._reload_workers()
            case _ if self._stopping_since is None:
                self._stop(self._settings.drain_s)
            case _ if time.monotonic() - self._stopping_since > SAME_SIGNAL_S:
                log.warning("supervisor.told_twice")
                self._kill_at = time.monotonic()
            case _:
                return

    def _stop(self, grace_s: float) -> None:
        log.info("supervisor.draining", grace_s=grace_s)
        self._stopping_since = time.monotonic()
        self._kill_at = self._stopping_since + grace_s + KILL_MARGIN_S
        for sockets in self._sockets.values():
            for one in sockets:
                one.close()
        for slot in self._slots:
            slot.restart_at = None
            for process in slot.processes():
                process.drain(grace_s)

    def _reload_workers(self) -> None:
        if self._stopping_since is not None or not self._released:
            return
        settings = self._reload()
        if settings is None:
            return
        self._settings = settings
        log.info("supervisor.reloading")
        for slot in self._slots:
            if slot.current is None or slot.incoming is not None:
                continue  # a vacant place is filled with the new settings anyway
            try:
                slot.incoming = self._start(slot.role, slot.number)
            except OSError as error:  # the present worker goes on with the settings that it has
                log.error("worker.not_reloaded", role=slot.role.value, error=str(error))  # noqa: TRY400 - as above
                continue
            slot.incoming.begin(self._settings.model_dump_json(), None)
