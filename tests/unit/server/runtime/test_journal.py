"""The journal: written behind, in order, and never silently lost."""

from __future__ import annotations

import threading
from functools import partial

from auth_backends.api import FrontEnd
from server.runtime.journal import FileJournal, Journal
from storage.database.store import Store, StoreUnavailable
from storage.files.events import EventKind, FileEvent
from storage.files.path import VirtualPath


def _add(number: int, store: Store) -> None:
    store.audit.add("test", "a", str(number), "ok", "r")


def test_entries_are_written_in_order(sqlite_store: Store) -> None:
    """What was queued before the close is in the store after it."""
    journal = Journal(sqlite_store)
    for number in range(50):
        journal.write(partial(_add, number))
    lost = journal.close()
    events = sqlite_store.audit.tail(limit=100, kind="test")

    assert lost == 0
    assert sorted((event.subject for event in events), key=int) == [str(number) for number in range(50)]


def test_an_outage_delays_and_loses_nothing(sqlite_store: Store) -> None:
    """An entry that meets an unreachable store is tried again, before the ones behind it."""
    written: list[str] = []
    failures = iter([True, True, False])

    def first(_store: Store) -> None:
        if next(failures):
            raise StoreUnavailable("gone")
        written.append("first")

    journal = Journal(sqlite_store, retry_s=0.01)
    journal.write(first)
    journal.write(lambda _store: written.append("second"))

    assert journal.close() == 0
    assert written == ["first", "second"]


def test_what_cannot_be_kept_is_counted(sqlite_store: Store) -> None:
    """With the queue full, and with the store away until the end, the loss is known."""
    blocked = threading.Event()

    def stuck(_store: Store) -> None:
        blocked.set()
        raise StoreUnavailable("gone")

    journal = Journal(sqlite_store, capacity=1, retry_s=0.01)
    journal.write(stuck)
    blocked.wait(5.0)
    journal.write(stuck)
    journal.write(stuck)
    full = journal.lost
    lost = journal.close(timeout_s=0.1)

    assert full == 1
    assert lost == 3


def test_a_broken_entry_does_not_stop_the_journal(sqlite_store: Store) -> None:
    """The next entry is written all the same."""
    written: list[int] = []
    journal = Journal(sqlite_store)
    journal.write(lambda _store: 1 // 0)
    journal.write(lambda _store: written.append(1))

    assert journal.close() == 1
    assert written == [1]


def test_a_file_event_reaches_the_audit_trail(sqlite_store: Store) -> None:
    """Who changed which file, from where and how; a download is only logged."""
    journal = Journal(sqlite_store)
    observer = FileJournal(journal, "5" * 32, "ada", FrontEnd.WEBDAV, "10.0.0.1")
    path, target = VirtualPath(("a",)), VirtualPath(("b",))
    observer.happened(FileEvent(EventKind.DOWNLOADED, path, "home:1", size=3))
    observer.happened(FileEvent(EventKind.RENAMED, path, "home:1", target=target))
    journal.close()
    events = sqlite_store.audit.tail()

    assert [(event.kind, event.subject, event.front_end, event.session_id) for event in events] == [
        ("file.renamed", "ada", "webdav", "5" * 32)
    ]
    assert events[0].detail == {"path": "/a", "target": "/b", "tree": "home:1"}
