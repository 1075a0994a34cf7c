"""Workspace: uploads in flight, parked uploads, drop boxes, and how a session ends."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from storage.files.api import Filesystem, WriteMode
from storage.files.errors import (
    AlreadyExists,
    DirectoryNotEmpty,
    Locked,
    NotADirectory,
    NotFound,
    PermissionDenied,
    SessionEnded,
    StorageError,
    TooManyOpen,
    UploadFailed,
)
from storage.files.local import LocalFilesystem
from storage.files.memory import MemoryFilesystem
from storage.files.workspace import Workspace
from tests.support.trees import ROOT, Journal, P, get, ls, put, table


@pytest.fixture(params=["memory", "local"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Filesystem:
    return MemoryFilesystem() if request.param == "memory" else LocalFilesystem(tmp_path)


def _session(home: Filesystem, rights: str = "full") -> Workspace:
    return Workspace(table({"/": rights}, {"/": home}))


def test_own_uploads_are_seen_by_path_and_by_nobody_else(home: Filesystem) -> None:
    """The session sees its upload in stat and listing; another session sees the old bytes."""
    mine, other = _session(home), _session(home)
    put(other, "/b", b"old")
    with mine.open_writer(P("/a"), WriteMode.REPLACE) as new, mine.open_writer(P("/b"), WriteMode.REPLACE) as again:
        new.write_at(0, b"123")
        again.write_at(0, b"12345")

        assert (mine.stat(P("/a")).size, mine.stat(P("/b")).size) == (3, 5)
        assert mine.stat(P("/b"), committed=True).size == 3
        assert ls(mine, "/") == ["a", "b"]
        assert {entry.name: entry.stat.size for entry in mine.scan(ROOT)} == {"a": 3, "b": 5}
        assert [entry.name for entry in mine.scan(ROOT, committed=True)] == ["b"]
        assert ls(other, "/") == ["b"]
        assert not other.exists(P("/a"))
        assert mine.pending(P("/a")) is new
        assert other.pending(P("/a")) is None
        with pytest.raises(NotADirectory):
            mine.scan(P("/a"))
    assert ls(mine, "/") == ["b"]


def test_own_uploads_take_times_and_sizes_by_path(home: Filesystem) -> None:
    """set_times and truncate by path work on the upload in flight and hold after the commit."""
    session = _session(home)
    with session.open_writer(P("/a"), WriteMode.REPLACE) as upload:
        upload.write_at(0, b"12345")
        session.truncate(P("/a"), 3)
        session.set_times(P("/a"), 10**18, None)
        upload.sync()
        assert upload.read_at(0, 9) == b"123"
        upload.commit()

    assert get(session, "/a") == b"123"
    assert session.stat(P("/a")).modified_ns == 10**18


def test_a_renamed_upload_is_committed_under_its_new_name(home: Filesystem) -> None:
    """Renaming while the upload runs moves it, and the old committed file along with it."""
    session = _session(home)
    put(session, "/b", b"old")
    session.mkdir(P("/d"))
    with (
        session.open_writer(P("/a"), WriteMode.REPLACE) as new,
        session.open_writer(P("/b"), WriteMode.REPLACE) as over,
    ):
        session.rename(P("/a"), P("/d/x"), replace=False)
        over.retarget(P("/c"))

        assert ls(session, "/") == ["c", "d"]
        assert new.path == P("/d/x")
        with pytest.raises(AlreadyExists):
            session.rename(P("/c"), P("/d/x"), replace=False)
        new.write_at(0, b"1")
        over.write_at(0, b"2")
        new.commit()
        over.commit()
    assert (get(session, "/d/x"), get(session, "/c")) == (b"1", b"2")
    assert ls(session, "/") == ["c", "d"]


def test_uploads_follow_the_rename_of_their_directory(home: Filesystem) -> None:
    """A directory that is renamed takes the session's uploads below it along."""
    session = _session(home)
    session.mkdir(P("/d"))
    with session.open_writer(P("/d/a"), WriteMode.REPLACE) as upload:
        upload.write_at(0, b"1")
        session.rename(P("/d"), P("/e"), replace=False)

        assert ls(session, "/e") == ["a"]
        upload.commit()
    assert get(session, "/e/a") == b"1"


def test_a_rename_onto_an_upload_ends_it(home: Filesystem) -> None:
    """Replacing the place of an own upload aborts that upload."""
    session = _session(home)
    put(session, "/a", b"1")
    upload = session.open_writer(P("/b"), WriteMode.REPLACE)
    session.rename(P("/a"), P("/b"), replace=True)

    with pytest.raises(UploadFailed):
        upload.commit()
    assert get(session, "/b") == b"1"


def test_a_parked_upload_goes_on_by_resume(home: Filesystem) -> None:
    """Parked bytes stay for the session, unseen by others; RESUME takes them up, the old handle is dead."""
    session, other = _session(home), _session(home)
    first = session.open_writer(P("/a"), WriteMode.REPLACE)
    first.write_at(0, b"123")
    with pytest.raises(Locked):
        session.open_writer(P("/a"), WriteMode.RESUME)
    first.park()
    first.park()
    first.abort()

    assert first.parked
    assert session.stat(P("/a")).size == 3
    assert not other.exists(P("/a"))
    session.set_times(P("/a"), 10**18, None)
    session.rename(P("/a"), P("/b"), replace=False)
    with pytest.raises(UploadFailed):
        first.write_at(3, b"x")
    with session.open_writer(P("/b"), WriteMode.RESUME) as second:
        assert second.size == 3
        second.write_at(3, b"45")
        for attempt in (first.commit, first.successor, lambda: first.write_at(0, b"x")):
            with pytest.raises(UploadFailed):
                attempt()
        first.abort()
        second.commit()
    assert get(other, "/b") == b"12345"
    assert session.stat(P("/b")).modified_ns == 10**18


def test_a_parked_upload_gives_way(home: Filesystem) -> None:
    """REPLACE starts anew over a parked upload; CREATE says that the name is taken; remove drops it."""
    session = _session(home)
    session.open_writer(P("/a"), WriteMode.REPLACE).park()
    with pytest.raises(AlreadyExists):
        session.open_writer(P("/a"), WriteMode.CREATE)
    put(session, "/a", b"new")
    session.open_writer(P("/a"), WriteMode.REPLACE).park()
    session.remove(P("/a"))
    session.open_writer(P("/b"), WriteMode.REPLACE).park()
    session.remove(P("/b"))

    assert ls(session, "/") == []


def test_failed_and_in_place_uploads_do_not_park(home: Filesystem) -> None:
    """What cannot be taken up again is aborted when it is parked."""
    session = _session(home)
    failed = session.open_writer(P("/a"), WriteMode.REPLACE)
    with pytest.raises(StorageError):
        failed.write_at(2**63, b"x")
    failed.park()
    live = session.open_writer(P("/b"), WriteMode.IN_PLACE)
    live.write_at(0, b"1")
    live.park()

    assert session.pending(P("/a")) is None
    assert session.pending(P("/b")) is None
    assert get(session, "/b") == b"1"


def test_directories_with_uploads_in_flight(home: Filesystem) -> None:
    """Rmdir refuses a directory that an upload goes into, and gives up parked ones; remove_tree ends all."""
    session = _session(home)
    session.mkdir(P("/d"))
    upload = session.open_writer(P("/d/a"), WriteMode.REPLACE)
    with pytest.raises(DirectoryNotEmpty):
        session.rmdir(P("/d"))
    upload.park()
    session.rmdir(P("/d"))
    session.mkdir(P("/e"))
    late = session.open_writer(P("/e/a"), WriteMode.REPLACE)
    session.remove_tree(P("/e"))

    assert ls(session, "/") == []
    with pytest.raises(UploadFailed):
        late.commit()
    session.open_writer(P("/x"), WriteMode.REPLACE)
    with pytest.raises(AlreadyExists):
        session.mkdir(P("/x"))
    session.remove_tree(P("/x"))
    with pytest.raises(NotFound):
        session.remove_tree(P("/x"))


def test_a_drop_box_lets_the_session_finish_its_work(home: Filesystem) -> None:
    """With upload-only rights the session may stat, list, resume, rename, touch and overwrite its own files only."""
    admin, box = _session(home), _session(home, "upload-only")
    put(admin, "/theirs", b"secret")
    put(box, "/mine", b"123")

    assert box.stat(P("/mine")).size == 3
    assert ls(box, "/") == ["mine"]
    put(box, "/mine", b"1")
    with box.open_writer(P("/mine"), WriteMode.RESUME) as upload:
        upload.write_at(1, b"2")
        upload.commit()
    box.set_times(P("/mine"), 10**18, None)
    box.truncate(P("/mine"), 1)
    box.rename(P("/mine"), P("/renamed"), replace=False)
    box.mkdir(P("/sub"))
    put(box, "/sub/x", b"")
    assert box.stat(P("/renamed")).size == 1
    assert ls(box, "/") == ["renamed", "sub"]
    assert ls(box, "/sub") == ["x"]
    box.rename(P("/sub"), P("/sub2"), replace=False)
    assert ls(box, "/sub2") == ["x"]
    assert box.exists(P("/theirs"))
    for attempt in (
        lambda: get(box, "/renamed"),
        lambda: box.remove(P("/renamed")),
        lambda: box.stat(P("/theirs")),
        lambda: get(box, "/theirs"),
        lambda: put(box, "/theirs", b""),
        lambda: put(box, "/theirs", b"", WriteMode.RESUME),
        lambda: put(box, "/theirs", b"", WriteMode.IN_PLACE),
        lambda: box.rename(P("/renamed"), P("/theirs"), replace=True),
        lambda: box.rename(P("/theirs"), P("/taken"), replace=True),
        lambda: box.set_times(P("/theirs"), 1, 1),
        lambda: box.truncate(P("/theirs"), 0),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    assert get(admin, "/theirs") == b"secret"


def test_a_drop_box_is_own_to_its_session_only(home: Filesystem) -> None:
    """Another session of the same user does not own the file, nor does this one once somebody replaced it."""
    first, second, admin = _session(home, "upload-only"), _session(home, "upload-only"), _session(home)
    put(first, "/a", b"1")
    with pytest.raises(PermissionDenied):
        second.stat(P("/a"))
    assert ls(second, "/") == []
    put(admin, "/a", b"2")

    assert ls(first, "/") == []
    with pytest.raises(PermissionDenied):
        put(first, "/a", b"3")


def test_a_file_that_came_meanwhile_is_not_replaced_in_a_drop_box(home: Filesystem) -> None:
    """With CREATE alone, a commit onto what somebody else made meanwhile fails and theirs stays."""
    admin, box = _session(home), _session(home, "upload-only")
    for mode in (WriteMode.REPLACE, WriteMode.RESUME):
        with box.open_writer(P("/a"), mode) as upload:
            put(admin, "/a", b"theirs")
            with pytest.raises(AlreadyExists):
                upload.commit()
        assert get(admin, "/a") == b"theirs"
        admin.remove(P("/a"))
    put(box, "/live", b"1", WriteMode.IN_PLACE)
    assert get(admin, "/live") == b"1"


def test_appending_does_not_make_a_file_own(home: Filesystem) -> None:
    """Who may only append gains nothing over a file by having appended to it."""
    admin, writer = _session(home), _session(home, "create append")
    put(admin, "/log", b"123")
    with writer.open_writer(P("/log"), WriteMode.RESUME) as upload:
        upload.write_at(3, b"4")
        upload.commit()

    with pytest.raises(PermissionDenied):
        put(writer, "/log", b"")
    assert get(admin, "/log") == b"1234"


def test_open_files_are_limited(home: Filesystem) -> None:
    """Readers and uploads count together; closing one makes room."""
    session = Workspace(table({"/": "full"}, {"/": home}), max_open_files=2)
    put(session, "/a", b"")
    reader = session.open_reader(P("/a"))
    upload = session.open_writer(P("/b"), WriteMode.REPLACE)
    for attempt in (lambda: session.open_reader(P("/a")), lambda: session.open_writer(P("/c"), WriteMode.REPLACE)):
        with pytest.raises(TooManyOpen):
            attempt()
    reader.close()
    reader.close()
    session.open_reader(P("/a"))
    upload.abort()
    session.open_writer(P("/c"), WriteMode.REPLACE)


def test_the_end_of_a_session_ends_everything(home: Filesystem) -> None:
    """End aborts uploads, parked ones too, closes readers, keeps old bytes, and every verb says why."""
    journal = Journal()
    session = Workspace(table({"/": "full"}, {"/": home}), observer=journal)
    put(session, "/a", b"old")
    upload = session.open_writer(P("/a"), WriteMode.REPLACE)
    parked = session.open_writer(P("/b"), WriteMode.REPLACE)
    parked.park()
    reader = session.open_reader(P("/a"))
    listing = session.scan(ROOT)
    session.end("disabled")
    session.end("again")

    assert session.ended == "disabled"
    for attempt in (
        upload.commit,
        upload.stat,
        lambda: upload.write_at(0, b"x"),
        lambda: upload.read_at(0, 1),
        lambda: upload.truncate(0),
        lambda: reader.read_at(0, 1),
        reader.stat,
        lambda: list(listing),
        lambda: session.stat(P("/a")),
        lambda: session.scan(ROOT),
        lambda: session.open_reader(P("/a")),
        lambda: session.open_writer(P("/a"), WriteMode.RESUME),
        lambda: session.rename(P("/a"), P("/b"), replace=True),
        lambda: session.remove(P("/a")),
        lambda: session.mkdir(P("/d")),
        lambda: session.space(ROOT),
    ):
        with pytest.raises(SessionEnded, match="disabled"):
            attempt()
    upload.abort()
    reader.close()
    assert (get(_session(home), "/a"), ls(_session(home), "/")) == (b"old", ["a"])
    assert upload.size == 0
    assert journal.lines() == ["uploaded /a 3", "upload_aborted /a 0", "upload_aborted /b 0"]


def test_grants_that_change_cut_what_lost_its_right(home: Filesystem) -> None:
    """replace_mounts narrows a live session at once: handles without their right are cut, others go on."""
    session = _session(home)
    put(session, "/a", b"old")
    upload = session.open_writer(P("/a"), WriteMode.REPLACE)
    new = session.open_writer(P("/new"), WriteMode.REPLACE)
    reader = session.open_reader(P("/a"))
    session.replace_mounts(table({"/": "list create"}, {"/": home}))

    for attempt in (lambda: upload.write_at(0, b"x"), upload.commit, lambda: reader.read_at(0, 1)):
        with pytest.raises(PermissionDenied):
            attempt()
    new.write_at(0, b"1")
    new.commit()
    assert ls(session, "/") == ["a", "new"]
    session.replace_mounts(table({"/": "full"}, {"/": home}))
    assert get(session, "/a") == b"old"
    kept = session.open_reader(P("/a"))
    session.replace_mounts(table({"/": "full"}, {}))
    with pytest.raises(PermissionDenied):
        kept.read_at(0, 1)


def test_ending_while_threads_write_never_tears_a_descriptor(tmp_path: Path) -> None:
    """End comes in the middle of writes from other threads: no byte lands in a file opened afterwards."""
    home = LocalFilesystem(tmp_path)
    for _ in range(30):
        session = _session(home)
        uploads = [session.open_writer(P(f"/u{number}"), WriteMode.REPLACE) for number in range(4)]
        started = threading.Barrier(len(uploads) + 1)

        def hammer(upload, started=started):
            started.wait()
            try:
                while True:
                    upload.write_at(0, b"x" * 4096)
                    with upload.lease() as fd:
                        upload.wrote(4096 if fd is not None else 0)
            except SessionEnded:
                pass

        threads = [threading.Thread(target=hammer, args=(upload,)) for upload in uploads]
        for thread in threads:
            thread.start()
        started.wait()
        session.end("cut")
        after = _session(home)
        victims = [after.open_writer(P(f"/v{number}"), WriteMode.REPLACE) for number in range(8)]
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        for victim in victims:
            assert victim.commit().size == 0
        assert {entry.name for entry in home.scan(ROOT)} == {f"v{number}" for number in range(8)}
        assert not [name for name in tmp_path.iterdir() if name.name.startswith(".")]


def test_events_tell_what_was_done(home: Filesystem) -> None:
    """Each thing that was done is told once, with its sizes and targets."""
    journal = Journal()
    session = Workspace(table({"/": "full"}, {"/": home}), observer=journal)
    put(session, "/a", b"123")
    assert get(session, "/a") == b"123"
    session.mkdir(P("/d"))
    session.rename(P("/a"), P("/d/a"), replace=False)
    session.copy_file(P("/d/a"), P("/d/b"), replace=False)
    session.remove(P("/d/a"))
    session.remove_tree(P("/d/b"))
    session.rmdir(P("/d"))
    session.open_writer(P("/x"), WriteMode.REPLACE).abort()

    assert journal.lines() == [
        "uploaded /a 3",
        "downloaded /a 3",
        "made_directory /d",
        "renamed /a /d/a",
        "uploaded /d/b 3",
        "downloaded /d/a 3",
        "removed /d/a",
        "removed /d/b",
        "removed_directory /d",
        "upload_aborted /x 0",
    ]
