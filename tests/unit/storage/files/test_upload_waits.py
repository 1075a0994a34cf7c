"""Uploads that wait for their quota: a revocation does not wait with them."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest

from storage.files.api import WriteMode
from storage.files.errors import StorageError
from storage.files.quota import Quota
from storage.files.uploads import Upload
from storage.files.workspace import Workspace
from tests.support.trees import P, table
from tests.support.waiting import eventually

SLOW_S = 20.0


def test_a_session_ends_while_a_write_waits_for_the_first_measurement() -> None:
    """Measuring a big tree for the first time takes long; the session's end does not wait for it."""
    began, go_on = threading.Event(), threading.Event()

    def measure() -> int:
        began.set()
        go_on.wait(SLOW_S)
        return 0

    session = Workspace(table({"/": "full"}, quota=Quota(1 << 30, measure)))
    upload = session.open_writer(P("/a"), WriteMode.REPLACE)
    outcome: list[BaseException | None] = []

    def write() -> None:
        try:
            upload.write_at(0, b"x")
            outcome.append(None)
        except StorageError as error:
            outcome.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    began.wait(SLOW_S)
    before = time.monotonic()
    ending = threading.Thread(target=session.end, args=("disabled",))
    ending.start()
    ending.join(5.0)
    took = time.monotonic() - before
    go_on.set()
    writer.join(SLOW_S)
    ending.join(SLOW_S)

    assert took < 3.0
    with pytest.raises(StorageError):
        upload.commit()
    assert outcome


def test_many_waiting_writes_hold_up_the_end_of_a_session_no_longer_than_one() -> None:
    """The uploads of a session are waited for together, not one after the other."""
    count = 5
    began, go_on = threading.Event(), threading.Event()

    def measure() -> int:
        began.set()
        go_on.wait(SLOW_S)
        return 0

    session = Workspace(table({"/": "full"}, quota=Quota(1 << 30, measure)))
    uploads = [session.open_writer(P(f"/{number}"), WriteMode.REPLACE) for number in range(count)]

    def write(upload: Upload) -> None:
        with suppress(StorageError):
            upload.write_at(0, b"x")

    writers = [threading.Thread(target=write, args=(upload,)) for upload in uploads]
    for writer in writers:
        writer.start()
    began.wait(SLOW_S)
    eventually(lambda: all(inside(upload) for upload in uploads), what="all writes to be under way")
    before = time.monotonic()
    session.end("disabled")
    took = time.monotonic() - before
    go_on.set()
    for writer in writers:
        writer.join(SLOW_S)

    assert took < 2.5
    assert [upload.parked for upload in uploads] == [False] * count
    assert session.pending(P("/0")) is None


def inside(upload: Upload) -> bool:
    """Whether an operation runs inside the upload."""
    return upload._gate._inside > 0
