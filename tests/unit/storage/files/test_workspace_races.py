"""Workspace: what happens when a session ends, or a grant changes, in the middle of a verb."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from storage.files import uploads
from storage.files.api import Dependencies, WriteMode
from storage.files.errors import NotFound, PermissionDenied, SessionEnded, StorageError
from storage.files.gate import Gate
from storage.files.memory import MemoryFilesystem, build
from storage.files.own import REMEMBERED, OwnFiles
from storage.files.workspace import Workspace
from tests.support.trees import ROOT, P, get, ls, put, table


class _Interrupted(MemoryFilesystem):
    """A backend during whose verbs something else happens."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] = lambda: None

    def open_reader(self, path):
        reader = super().open_reader(path)
        self.meanwhile()
        return reader

    def open_writer(self, path, mode):
        writer = super().open_writer(path, mode)
        self.meanwhile()
        return writer


@pytest.mark.parametrize("what", ["end", "narrow"])
def test_handles_opened_meanwhile_are_cut(what: str) -> None:
    """A handle that is being opened while the session ends or loses the right is never given out."""
    home = _Interrupted()
    put(Workspace(table({"/": "full"}, {"/": home})), "/a", b"old")
    error: type[StorageError] = SessionEnded if what == "end" else PermissionDenied

    def interrupt(session: Workspace) -> None:
        if what == "end":
            session.end("cut")
        else:
            session.replace_mounts(table({"/": "list"}, {"/": home}))

    for verb in ("open_reader", "open_writer"):
        session = Workspace(table({"/": "full"}, {"/": home}))
        home.meanwhile = partial(interrupt, session)
        with pytest.raises(error):
            getattr(session, verb)(P("/a"), *((WriteMode.REPLACE,) if verb == "open_writer" else ()))
    home.meanwhile = lambda: None

    assert get(Workspace(table({"/": "full"}, {"/": home})), "/a") == b"old"
    assert home.pending == 0


class _Slow(MemoryFilesystem):
    """A backend whose writes wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go_on = threading.Event(), threading.Event()

    def overwrite(self, node, offset, data, *, pending=False):
        self.inside.set()
        assert self.go_on.wait(10)
        super().overwrite(node, offset, data, pending=pending)


def test_a_write_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """End waits a bounded time; the upload is aborted when the write comes back, and never committed."""
    monkeypatch.setattr(uploads, "END_WAIT_S", 0.01)
    home = _Slow()
    session = Workspace(table({"/": "full"}, {"/": home}))
    upload = session.open_writer(P("/a"), WriteMode.REPLACE)
    writer = threading.Thread(target=upload.write_at, args=(0, b"x"))
    writer.start()
    assert home.inside.wait(5)
    session.end("cut")

    assert session.pending(P("/a")) is upload
    with pytest.raises(SessionEnded):
        upload.commit()
    home.go_on.set()
    writer.join(5)
    assert session.pending(P("/a")) is None
    assert list(home.scan(ROOT)) == []


def test_a_commit_waits_for_writes_that_are_inside() -> None:
    """A commit publishes what a write in another thread was just writing."""
    home = _Slow()
    session = Workspace(table({"/": "full"}, {"/": home}))
    upload = session.open_writer(P("/a"), WriteMode.REPLACE)
    writer = threading.Thread(target=upload.write_at, args=(0, b"x"))
    writer.start()
    assert home.inside.wait(5)
    committer = threading.Thread(target=upload.commit)
    committer.start()
    home.go_on.set()
    for thread in (writer, committer):
        thread.join(5)

    assert get(session, "/a") == b"x"


class _SlowCommit(MemoryFilesystem):
    """A backend whose publishing waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go_on = threading.Event(), threading.Event()

    def put(self, path, node):
        self.inside.set()
        assert self.go_on.wait(10)
        super().put(path, node)


def test_the_end_waits_for_a_commit_that_has_begun() -> None:
    """A commit that is being published when the session ends is complete before end returns."""
    home = _SlowCommit()
    session = Workspace(table({"/": "full"}, {"/": home}))
    upload = session.open_writer(P("/a"), WriteMode.REPLACE)
    committer = threading.Thread(target=upload.commit)
    committer.start()
    assert home.inside.wait(5)
    ender = threading.Thread(target=session.end, args=("cut",))
    ender.start()
    home.go_on.set()
    for thread in (ender, committer):
        thread.join(5)

    assert [entry.name for entry in home.scan(ROOT)] == ["a"]


def test_a_gate_lets_the_last_one_close_it() -> None:
    """The closing action runs once, when nobody is inside; whoever comes later is refused."""
    gate, done = Gate(), []
    gate.enter()
    assert gate.shut_and_then(KeyError, lambda: done.append("closed"))
    assert gate.shut
    assert not gate.shut_and_then(KeyError, lambda: done.append("again"))
    assert not gate.shut_and_wait(KeyError)
    assert done == []
    with pytest.raises(KeyError):
        gate.enter()
    gate.leave()

    assert done == ["closed"]


def test_leases_keep_a_handle_open_to_their_end() -> None:
    """An end of the session during a lease closes the handle after it, and later leases are refused."""
    session = Workspace(table({"/": "full"}))
    put(session, "/a", b"1")
    reader = session.open_reader(P("/a"))
    with reader.lease() as fd:
        assert fd is reader.fileno() is None
        session.end("cut")
    with pytest.raises(SessionEnded), reader.lease():
        pass
    with pytest.raises(SessionEnded):
        _ = reader.size


def test_a_parked_upload_that_ended_does_not_resume() -> None:
    """What a changed grant took away cannot be taken up again."""
    home = MemoryFilesystem()
    session = Workspace(table({"/": "full"}, {"/": home}))
    upload = session.open_writer(P("/a"), WriteMode.REPLACE)
    upload.park()
    session.replace_mounts(table({"/": "read-only"}, {"/": home}))

    assert session.pending(P("/a")) is None
    with pytest.raises(PermissionDenied):
        session.open_writer(P("/a"), WriteMode.RESUME)


def test_a_rename_passes_over_uploads_that_end_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload below a moved directory that ends during the move does not fail the move; the moved one does."""
    session = Workspace(table({"/": "full"}))
    session.mkdir(P("/d"))
    below = session.open_writer(P("/d/a"), WriteMode.REPLACE)
    real = uploads.Upload.move

    def ends_first(self, path, terms, *, replace):
        self.abort()
        real(self, path, terms, replace=replace)

    monkeypatch.setattr(uploads.Upload, "move", ends_first)
    session.rename(P("/d"), P("/e"), replace=False)
    assert ls(session, "/") == ["e"]
    assert below.path == P("/d/a")
    session.open_writer(P("/f"), WriteMode.REPLACE)
    with pytest.raises(StorageError):
        session.rename(P("/f"), P("/g"), replace=False)


def test_own_files_are_remembered_up_to_a_limit() -> None:
    """The oldest of very many own files are forgotten, so that a session cannot fill the memory."""
    own = OwnFiles()
    stat = MemoryFilesystem().stat(ROOT)
    for number in range(REMEMBERED + 1):
        own.add(P(f"/{number}"), stat)

    assert not own.has(P("/0"), stat)
    assert own.has(P("/1"), stat)
    assert len(own.names_in(ROOT)) == REMEMBERED


def test_the_memory_backend_is_shared_by_its_name() -> None:
    """Build gives the same tree for the same name, and names a wrong option."""
    first = build({"name": "test-shared", "capacity": "10"}, Dependencies())

    assert build({"name": "test-shared"}, Dependencies()) is first
    assert build({"name": "test-other"}, Dependencies()) is not first
    assert first.space().total == 10
    with pytest.raises(ValueError, match="colour"):
        build({"colour": "red"}, Dependencies())


def test_verbs_on_what_is_gone() -> None:
    """Renaming, touching or cutting nothing is NotFound."""
    session = Workspace(table({"/": "full"}))
    for attempt in (
        lambda: session.rename(P("/a"), P("/b"), replace=True),
        lambda: session.set_times(P("/a"), 1, 1),
        lambda: session.truncate(P("/a"), 1),
        lambda: session.remove(P("/a")),
        lambda: session.rmdir(P("/a")),
        lambda: session.copy_file(P("/a"), P("/b"), replace=True),
    ):
        with pytest.raises(NotFound):
            attempt()
