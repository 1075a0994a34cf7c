"""Quota: counted at write time, checked again at the commit, and measured anew."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import pytest

from storage.files.api import WriteMode
from storage.files.errors import AlreadyExists, QuotaExceeded, StorageUnavailable, UploadFailed
from storage.files.local import LocalFilesystem
from storage.files.memory import MemoryFilesystem
from storage.files.quota import FileLedger, Quota, QuotaBook
from storage.files.workspace import Workspace
from tests.support.trees import ROOT, P, get, ls, put, table

MIB = 1 << 20


def _session(limit: int) -> tuple[Workspace, Quota, MemoryFilesystem]:
    home = MemoryFilesystem()
    quota = Quota(limit, lambda: home.usage(ROOT))
    return Workspace(table({"/": "full"}, {"/": home}, quota)), quota, home


def test_a_write_beyond_the_quota_fails_at_once() -> None:
    """The write that does not fit raises, the upload cannot be committed, and nothing stays reserved."""
    session, quota, _ = _session(100)
    put(session, "/a", b"x" * 60)
    with session.open_writer(P("/b"), WriteMode.REPLACE) as upload:
        upload.write_at(0, b"x" * 40)
        with pytest.raises(QuotaExceeded):
            upload.write_at(40, b"x")
        with pytest.raises(UploadFailed):
            upload.commit()

    assert (quota.used, quota.reserved, quota.available) == (60, 0, 40)
    assert ls(session, "/") == ["a"]


def test_uploads_in_flight_share_the_room() -> None:
    """What one upload has written is not available to another, until it ends."""
    session, quota, _ = _session(100)
    first = session.open_writer(P("/a"), WriteMode.REPLACE)
    first.expect(70)
    second = session.open_writer(P("/b"), WriteMode.REPLACE)
    with pytest.raises(QuotaExceeded):
        second.write_at(0, b"x" * 40)
    first.abort()
    put(session, "/c", b"x" * 100)

    assert quota.available == 0


def test_every_verb_keeps_the_count() -> None:
    """After any mix of verbs the count equals what the files measure."""
    session, quota, home = _session(10 * MIB)
    put(session, "/a", b"x" * 1000)
    put(session, "/a", b"x" * 400)
    put(session, "/b", b"x" * 50)
    session.rename(P("/b"), P("/a"), replace=True)
    with session.open_writer(P("/a"), WriteMode.RESUME) as upload:
        upload.write_at(50, b"x" * 10)
        upload.truncate(55)
        upload.commit()
    with session.open_writer(P("/a"), WriteMode.IN_PLACE) as upload:
        upload.write_at(100, b"x" * 10)
        upload.truncate(90)
        upload.commit()
    with session.open_writer(P("/live"), WriteMode.IN_PLACE) as upload:
        upload.write_at(0, b"x" * 7)
    session.truncate(P("/a"), 200)
    session.copy_file(P("/a"), P("/c"), replace=False)
    session.mkdir(P("/d"))
    for number in range(5):
        put(session, f"/d/{number}", b"x" * number)
    session.remove(P("/c"))

    assert quota.used == home.usage(ROOT) == 200 + 7 + 10
    session.remove_tree(P("/d"))
    session.remove_tree(P("/a"))
    assert quota.used == home.usage(ROOT) == 7
    assert quota.reserved == 0


def test_in_place_growth_and_truncate_are_charged_at_once() -> None:
    """Live writes and extensions beyond the quota are refused before they happen."""
    session, _, home = _session(100)
    put(session, "/a", b"x" * 90)
    with session.open_writer(P("/a"), WriteMode.IN_PLACE) as upload, pytest.raises(QuotaExceeded):
        upload.write_at(90, b"x" * 20)
    with pytest.raises(QuotaExceeded):
        session.truncate(P("/a"), 101)
    with pytest.raises(QuotaExceeded):
        session.copy_file(P("/a"), P("/b"), replace=False)

    assert home.usage(ROOT) == 90


def test_a_replaced_file_makes_room_for_itself() -> None:
    """Replacing a file needs only the difference."""
    session, quota, _ = _session(100)
    put(session, "/a", b"x" * 90)
    put(session, "/a", b"y" * 100)

    assert quota.used == 100
    assert get(session, "/a") == b"y" * 100


def test_space_shows_the_quota() -> None:
    """The space of a mount with a quota is the quota's, and never more than the disk's."""
    session, _, _ = _session(100)
    put(session, "/a", b"x" * 30)
    space = session.space(P("/a"))
    unlimited = Workspace(table({"/": "full"}, {"/": MemoryFilesystem(capacity=50)}))

    assert (space.total, space.used, space.available) == (100, 30, 70)
    assert unlimited.space(ROOT).available == 50


def test_a_failed_commit_gives_its_bytes_back() -> None:
    """A commit that fails is not counted."""
    session, quota, home = _session(1000)
    late = session.open_writer(P("/a"), WriteMode.CREATE)
    late.write_at(0, b"x" * 100)
    with home.open_writer(P("/a"), WriteMode.REPLACE) as writer:
        writer.commit()
    with pytest.raises(AlreadyExists):
        late.commit()

    assert (quota.used, quota.reserved) == (0, 0)


def test_an_old_measurement_is_renewed() -> None:
    """After ``max_age_s`` the files are measured in the background, and until then the old number holds."""
    now, real, measured = [1000.0], [10], threading.Event()

    def measure() -> int:
        if now[0] > 1000:
            measured.set()
        return real[0]

    quota = Quota(100, measure, max_age_s=60, clock=lambda: now[0])
    assert quota.used == 10
    real[0] = 20
    assert quota.used == 10
    now[0] = 1061.0
    assert quota.used in {10, 20}
    assert measured.wait(5)
    assert quota.reconcile() == 20


def test_a_failing_measurement_fails_closed_at_first_and_keeps_the_count_later() -> None:
    """Nothing is written while nothing is known; a later failure keeps the last count."""
    now, down = [1000.0], [True]
    failed = threading.Event()

    def measure() -> int:
        if down[0]:
            failed.set()
            raise StorageUnavailable("down")
        return 10

    quota = Quota(100, measure, max_age_s=60, clock=lambda: now[0])
    with pytest.raises(StorageUnavailable):
        quota.reserve(1)
    down[0] = False
    assert quota.used == 10
    down[0], now[0] = True, 2000.0
    failed.clear()
    assert quota.used == 10
    assert failed.wait(5)
    assert quota.used == 10


def test_commits_during_a_measurement_are_not_lost() -> None:
    """What is charged while the files are being measured is added to the measurement."""
    inside, go_on = threading.Event(), threading.Event()
    first = [True]

    def measure() -> int:
        if not first[0]:
            inside.set()
            assert go_on.wait(5)
        first[0] = False
        return 10

    quota = Quota(100, measure)
    assert quota.used == 10
    thread = threading.Thread(target=quota.reconcile)
    thread.start()
    assert inside.wait(5)
    quota.charge(5)
    go_on.set()
    thread.join(5)

    assert quota.used == 15


def test_one_book_has_one_quota_for_each_tree(tmp_path: Path) -> None:
    """All sessions of a process share one object per tree; the limit is the one given last."""
    book = QuotaBook(tmp_path / "quota")
    first = book.quota("home:1", 100, lambda: 0)

    assert book.quota("home:1", 200, lambda: 0) is first
    assert first.limit == 200
    assert book.quota("home:2", 100, lambda: 0) is not first
    assert QuotaBook().quota("home:1", 100, lambda: 7).used == 7


def test_a_quota_that_nobody_uses_is_let_go(tmp_path: Path) -> None:
    """A book keeps no quota, no descriptor and no backend of users who are gone; the ledger file remembers."""
    book = QuotaBook(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(50):
        book.quota(f"home:{number}", 100, lambda: 5).charge(1)

    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert book.quota("home:7", 100, lambda: 0).used == 6


def test_two_books_on_one_folder_see_each_other(tmp_path: Path) -> None:
    """Workers share the ledger: bytes that one commits count for the other at once, without measuring."""
    first = QuotaBook(tmp_path).quota("home:1", 100, lambda: 0)
    second = QuotaBook(tmp_path).quota("home:1", 100, lambda: 0)
    first.charge(60)

    assert second.used == 60
    with pytest.raises(QuotaExceeded):
        second.charge(41)
    second.charge(-20)
    assert first.used == 40


def test_the_faster_of_two_measurements_counts(tmp_path: Path) -> None:
    """A measurement that another process overtook is dropped: that one may have been charged since."""
    other = FileLedger(tmp_path / "l")

    def measure() -> int:
        with other.locked():
            other.write(77, 5.0)
        return 10

    assert Quota(100, measure, ledger=FileLedger(tmp_path / "l")).used == 77


def _fill(root: str, ledgers: str, worker: int) -> None:
    home = LocalFilesystem(Path(root))
    quota = QuotaBook(Path(ledgers)).quota("t", 64 * 1000, lambda: home.usage(ROOT))
    session = Workspace(table({"/": "full"}, {"/": home}, quota))
    for number in range(40):
        try:
            put(session, f"/{worker}-{number}", b"x" * 1000)
        except (QuotaExceeded, UploadFailed):
            return


def test_several_processes_never_commit_more_than_the_limit(tmp_path: Path) -> None:
    """Four processes fill one root at the same time: committed bytes reach the quota and stay within it."""
    root, ledgers = tmp_path / "root", tmp_path / "ledgers"
    root.mkdir()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    processes = [context.Process(target=_fill, args=(str(root), str(ledgers), number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0

    assert LocalFilesystem(root).usage(ROOT) == 64 * 1000
