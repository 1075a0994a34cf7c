"""The part of FilesystemContract about uploads: committed or aborted, never in between."""

from __future__ import annotations

import os
import threading

import pytest

from storage.files.api import Capability, Filesystem, Stat, WriteMode
from storage.files.errors import AlreadyExists, IsADirectory, NotFound, StorageError, UploadFailed
from storage.files.path import VirtualPath

P = VirtualPath.parse


def put(fs: Filesystem, path: str, data: bytes) -> Stat:
    """Upload a file."""
    with fs.open_writer(P(path), WriteMode.REPLACE) as writer:
        writer.write_at(0, data)
        return writer.commit()


def get(fs: Filesystem, path: str) -> bytes:
    """Download a file."""
    with fs.open_reader(P(path)) as reader:
        return reader.read_at(0, reader.size)


def names(fs: Filesystem, path: str) -> set[str]:
    """List a directory."""
    return {entry.name for entry in fs.scan(P(path))}


class UploadContract:
    """Uploads; part of FilesystemContract."""

    @pytest.mark.parametrize("mode", [WriteMode.REPLACE, WriteMode.CREATE, WriteMode.RESUME])
    def test_an_upload_is_unseen_until_its_commit(self, fs: Filesystem, mode: WriteMode) -> None:
        """Before the commit the name is free and the listing empty; then the whole file is there."""
        with fs.open_writer(P("/a"), mode) as writer:
            writer.write_at(0, b"new")

            assert names(fs, "/") == set()
            with pytest.raises(NotFound):
                fs.stat(P("/a"))
            assert writer.size == 3
            assert writer.stat().size == 3
            assert writer.commit().size == 3
        assert get(fs, "/a") == b"new"

    @pytest.mark.parametrize("mode", [WriteMode.REPLACE, WriteMode.RESUME])
    def test_abort_leaves_the_old_bytes(self, fs: Filesystem, mode: WriteMode) -> None:
        """An upload that stops half-way never replaces what was there, and leaves nothing behind."""
        put(fs, "/a", b"old")
        writer = fs.open_writer(P("/a"), mode)
        writer.write_at(0, b"ne")
        writer.abort()
        writer.abort()

        assert get(fs, "/a") == b"old"
        assert names(fs, "/") == {"a"}
        fs.remove(P("/a"))
        assert fs.usage(VirtualPath()) == 0

    def test_leaving_the_block_aborts(self, fs: Filesystem) -> None:
        """A ``with`` block that is left without commit, by its end or by an error, publishes nothing."""
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            writer.write_at(0, b"1")
        with pytest.raises(KeyError), fs.open_writer(P("/b"), WriteMode.REPLACE) as writer:
            raise KeyError

        assert names(fs, "/") == set()

    def test_nothing_works_after_the_end(self, fs: Filesystem) -> None:
        """After commit or abort every verb of the writer raises, and abort does nothing."""
        committed = fs.open_writer(P("/a"), WriteMode.REPLACE)
        committed.commit()
        aborted = fs.open_writer(P("/b"), WriteMode.REPLACE)
        aborted.abort()

        for writer in (committed, aborted):
            writer.abort()
            for verb in (
                writer.commit,
                writer.sync,
                lambda writer=writer: writer.write_at(0, b"x"),
                lambda writer=writer: writer.read_at(0, 1),
                lambda writer=writer: writer.truncate(0),
                lambda writer=writer: writer.set_times(1, 1),
                lambda writer=writer: writer.retarget(P("/c")),
            ):
                with pytest.raises(UploadFailed):
                    verb()
        assert names(fs, "/") == {"a"}

    def test_create_never_replaces(self, fs: Filesystem) -> None:
        """CREATE refuses a taken name at once, and at the commit if the name was taken meanwhile."""
        late = fs.open_writer(P("/a"), WriteMode.CREATE)
        put(fs, "/a", b"first")

        with pytest.raises(AlreadyExists):
            fs.open_writer(P("/a"), WriteMode.CREATE)
        with pytest.raises(AlreadyExists):
            late.commit()
        assert get(fs, "/a") == b"first"
        assert names(fs, "/") == {"a"}

    def test_a_directory_that_came_meanwhile_stays(self, fs: Filesystem) -> None:
        """A commit onto a directory fails and leaves it."""
        for mode in (WriteMode.REPLACE, WriteMode.CREATE):
            writer = fs.open_writer(P("/a"), mode)
            if mode is WriteMode.REPLACE:
                fs.mkdir(P("/a"))
                fs.mkdir(P("/a/b"))
                with pytest.raises(IsADirectory):
                    writer.commit()
                fs.rmdir(P("/a/b"))
                fs.rmdir(P("/a"))
            else:
                fs.mkdir(P("/a"))
                with pytest.raises(StorageError):
                    writer.commit()
        assert fs.stat(P("/a")).is_directory

    def test_resume_goes_on_from_the_present_bytes(self, fs: Filesystem) -> None:
        """RESUME starts with what is there, or empty, and may write anywhere."""
        put(fs, "/a", b"12345")
        with fs.open_writer(P("/a"), WriteMode.RESUME) as writer:
            assert writer.size == 5
            assert writer.read_at(0, 9) == b"12345"
            writer.write_at(5, b"678")
            writer.write_at(0, b"X")

            assert get(fs, "/a") == b"12345"
            writer.commit()
        assert get(fs, "/a") == b"X2345678"

    def test_in_place_writes_are_seen_at_once(self, fs: Filesystem) -> None:
        """IN_PLACE changes the live file, makes it if it is absent, and abort keeps what was written."""
        if Capability.IN_PLACE not in fs.capabilities:
            return
        put(fs, "/a", b"12345")
        with fs.open_writer(P("/a"), WriteMode.IN_PLACE) as writer, fs.open_writer(P("/b"), WriteMode.IN_PLACE) as new:
            writer.write_at(1, b"X")
            new.write_at(0, b"new")

            assert get(fs, "/a") == b"1X345"
            assert get(fs, "/b") == b"new"
            writer.abort()
            assert new.commit().size == 3
        assert get(fs, "/a") == b"1X345"

    def test_blocks_in_any_order_with_gaps(self, fs: Filesystem) -> None:
        """Blocks may come in any order; what no block covers reads as zeros."""
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            writer.write_at(6, memoryview(b"ef"))
            writer.write_at(2, bytearray(b"cd"))
            writer.write_at(2, b"CD")
            writer.commit()

        assert get(fs, "/a") == b"\0\0CD\0\0ef"

    def test_truncate_of_an_upload(self, fs: Filesystem) -> None:
        """An upload can be cut and extended before its commit."""
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            writer.write_at(0, b"12345")
            writer.truncate(2)
            writer.truncate(3)
            writer.commit()

        assert get(fs, "/a") == b"12\0"

    def test_an_empty_file(self, fs: Filesystem) -> None:
        """A commit without any write makes an empty file, and empties one that was there."""
        put(fs, "/b", b"old")
        for path in ("/a", "/b"):
            with fs.open_writer(P(path), WriteMode.REPLACE) as writer:
                writer.commit()

            assert fs.stat(P(path)).size == 0

    def test_times_of_an_upload(self, fs: Filesystem) -> None:
        """Times set before the commit are those of the committed file, whatever was written after."""
        if Capability.SET_TIMES not in fs.capabilities:
            return
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            writer.set_times(1_000_000_000_000_000_000, None)
            writer.set_times(None, 1_100_000_000_000_000_000)
            writer.write_at(0, b"1")

            assert writer.stat().modified_ns == 1_000_000_000_000_000_000
            writer.write_at(1, b"2")
            writer.commit()
        assert fs.stat(P("/a")).modified_ns == 1_000_000_000_000_000_000
        assert fs.stat(P("/a")).accessed_ns == 1_100_000_000_000_000_000

    def test_a_retargeted_upload_is_published_there(self, fs: Filesystem) -> None:
        """After retarget the commit uses the new path, in another directory too, and replaces what is there."""
        fs.mkdir(P("/d"))
        put(fs, "/d/b", b"old")
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            writer.write_at(0, b"new")
            with pytest.raises(NotFound):
                writer.retarget(P("/missing/b"))
            writer.retarget(P("/d/b"))

            assert get(fs, "/d/b") == b"old"
            writer.commit()
        assert get(fs, "/d/b") == b"new"
        assert names(fs, "/") == {"d"}

    def test_of_two_uploads_the_last_commit_stays(self, fs: Filesystem) -> None:
        """Two writers to one path do not mix: each commit publishes one whole file."""
        first = fs.open_writer(P("/a"), WriteMode.REPLACE)
        second = fs.open_writer(P("/a"), WriteMode.REPLACE)
        second.write_at(0, b"2" * 10)
        first.write_at(0, b"1" * 20)
        second.commit()

        assert get(fs, "/a") == b"2" * 10
        first.commit()
        assert get(fs, "/a") == b"1" * 20

    def test_a_reader_keeps_its_bytes_over_a_commit(self, fs: Filesystem) -> None:
        """Somebody who reads while the file is replaced gets the old bytes to the end."""
        put(fs, "/a", b"old!")
        with fs.open_reader(P("/a")) as reader:
            put(fs, "/a", b"newer")

            assert reader.read_at(0, 10) == b"old!"

    def test_an_upload_outlives_the_rename_of_its_directory(self, fs: Filesystem) -> None:
        """If the directory moves and the upload is told, it is published there; abort leaves nothing."""
        fs.mkdir(P("/d"))
        kept = fs.open_writer(P("/d/a"), WriteMode.REPLACE)
        dropped = fs.open_writer(P("/d/b"), WriteMode.REPLACE)
        fs.rename(P("/d"), P("/e"), replace=False)
        kept.retarget(P("/e/a"))
        kept.commit()
        dropped.abort()

        assert names(fs, "/e") == {"a"}
        fs.remove(P("/e/a"))
        fs.rmdir(P("/e"))

    def test_descriptors_carry_the_same_bytes(self, fs: Filesystem) -> None:
        """Bytes written and read through ``fileno`` are the file's."""
        if Capability.FILE_DESCRIPTOR not in fs.capabilities:
            return
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            target = writer.fileno()
            assert target is not None
            os.pwrite(target, b"12345", 0)
            writer.wrote(5)
            writer.sync()
            assert writer.size == 5
            writer.commit()
        with fs.open_reader(P("/a")) as reader:
            source = reader.fileno()
            assert source is not None
            assert os.pread(source, 10, 0) == b"12345"

    def test_many_threads_write_one_upload(self, fs: Filesystem) -> None:
        """Blocks written by several threads all arrive."""
        block, count = 1000, 16
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            threads = [
                threading.Thread(target=writer.write_at, args=(number * block, bytes([number]) * block))
                for number in range(count)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            writer.commit()

        assert get(fs, "/a") == b"".join(bytes([number]) * block for number in range(count))

    def test_a_file_beyond_all_limits_is_refused(self, fs: Filesystem) -> None:
        """A write where no file can reach raises a StorageError, and the upload cannot be committed."""
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            with pytest.raises(StorageError):
                writer.write_at(2**63, b"x")
            with pytest.raises(UploadFailed):
                writer.commit()
        assert names(fs, "/") == set()

    def test_sweep_leaves_live_uploads_alone(self, fs: Filesystem) -> None:
        """A sweep of any age removes nothing that somebody still writes."""
        with fs.open_writer(P("/a"), WriteMode.REPLACE) as writer:
            writer.write_at(0, b"12345")

            assert fs.sweep(0) == 0
            writer.commit()
        assert get(fs, "/a") == b"12345"
