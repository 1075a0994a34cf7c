"""What a server costs: CPU seconds and resident memory of a process and all its descendants."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psutil

SAMPLE_S = 0.05


def cpu_seconds(pid: int) -> float:
    """CPU seconds used so far by the tree of ``pid``, ended and waited-for children included."""
    total = 0.0
    for process in _tree(pid):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_bytes(pid: int) -> int:
    """Unique resident bytes of the tree of ``pid`` now, shared pages counted in proportion (PSS)."""
    total = 0
    for process in _tree(pid):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


class PeakMemory:
    """Samples the memory of a tree while a ``with`` block runs; ``peak`` is in bytes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak = 0

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self.peak = max(self.peak, resident_bytes(self._pid))

    def __enter__(self) -> Self:
        self.peak = resident_bytes(self._pid)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
