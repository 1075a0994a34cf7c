"""OwnFiles: what one session put there itself, so that a drop box lets it finish its work."""

from __future__ import annotations

import threading
from collections import OrderedDict

from storage.files.api import Stat
from storage.files.path import VirtualPath

REMEMBERED = 10_000

_Mark = tuple[str, int]


class OwnFiles:
    """Paths with the mark of what the session made there; thread-safe; the oldest are forgotten.

    The mark is compared at every use: if somebody else has put another file there, it is not own.
    An identity alone does not tell: disks give the number of a removed file to the next one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[VirtualPath, _Mark] = OrderedDict()

    def add(self, path: VirtualPath, stat: Stat) -> None:
        """Remember what was made."""
        with self._lock:
            self._made[path] = _mark(stat)
            self._made.move_to_end(path)
            if len(self._made) > REMEMBERED:
                self._made.popitem(last=False)

    def has(self, path: VirtualPath, stat: Stat) -> bool:
        """Whether what ``stat`` describes was made here by this session."""
        return bool(self._made) and self._made.get(path) == _mark(stat)

    def changed(self, path: VirtualPath, stat: Stat) -> None:
        """Take note that the session itself changed what was own until then; ``stat`` is how it is now."""
        with self._lock:
            known = self._made.get(path)
            if known is not None and known[0] == stat.identity:
                self._made[path] = _mark(stat)

    def move(self, source: VirtualPath, target: VirtualPath) -> None:
        """Follow a rename of ``source`` and everything below it."""
        with self._lock:
            for path in [path for path in self._made if path.is_within(source)]:
                self._made[target.joined(path.relative_to(source))] = self._made.pop(path)

    def names_in(self, directory: VirtualPath) -> list[str]:
        """Names that the session made in ``directory``; they may be gone by now."""
        with self._lock:
            return [path.name for path in self._made if path.names and path.parent == directory]


def _mark(stat: Stat) -> _Mark:
    """Give what tells a file from a later one in its place; a directory changes with each file in it."""
    return stat.identity, 0 if stat.is_directory else stat.changed_ns
