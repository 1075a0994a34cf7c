"""SFTP uploads: committed by CLOSE and by nothing else."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.files.api import WriteMode
from storage.files.errors import NoSpace
from storage.files.memory import MemoryFilesystem
from storage.files.path import VirtualPath
from tests.support.raw_sftp import (
    CLOSE,
    F_APPEND,
    F_CREAT,
    F_EXCL,
    F_READ,
    F_TRUNC,
    F_WRITE,
    FAILURE,
    NO_SUCH_FILE,
    OK,
    OPEN,
    REMOVE,
    STATUS,
    WRITE,
    RawSftp,
    string,
)
from tests.support.sftp_site import NAME, PASSWORD, SftpSite, serving_sftp
from tests.support.waiting import eventually

NEW = F_WRITE | F_CREAT | F_TRUNC


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SftpSite]:
    with serving_sftp(tmp_path) as site:
        yield site


def put(site: SftpSite, path: str, data: bytes) -> None:
    with site.filesystem.open_writer(VirtualPath.parse(path), WriteMode.REPLACE) as writer:
        writer.write_at(0, data)
        writer.commit()


def gone(site: SftpSite) -> bool:
    return all(session.over.is_set() for session in site.sign_in.sessions)


def test_close_commits(site: SftpSite) -> None:
    """What a client wrote is there, and only there, once CLOSE is answered."""
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", NEW)
        assert raw.write(handle, 0, b"bytes") == OK
        assert site.names() == []
        assert raw.close(handle) == OK

        assert site.read("/a") == b"bytes"


@pytest.mark.parametrize("ending", ["drop", "disconnect", "channel", "eof"])
def test_an_upload_without_close_leaves_the_old_bytes(site: SftpSite, ending: str) -> None:
    """A TCP drop, a disconnect, a closed channel and a plain EOF abort; asyncssh calls close() for all four."""
    put(site, "/a", b"old")
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", NEW)
        assert raw.write(handle, 0, b"half of the n") == OK
        match ending:
            case "drop":
                transport.sock.close()
            case "disconnect":
                transport.close()
            case "channel":
                raw.channel.close()
            case _:
                raw.channel.shutdown_write()
                assert raw.channel.recv_exit_status() == 0
        workspace = site.sign_in.sessions[0].workspace
        eventually(lambda: gone(site) or workspace.pending(VirtualPath.parse("/a")) is None, what="the abort")

        assert site.read("/a") == b"old"
        assert site.names() == ["a"]


def test_a_close_that_was_received_counts_without_its_answer(site: SftpSite) -> None:
    """A client that sends WRITE and CLOSE and hangs up at once has proved that it sent everything."""
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", NEW)
        raw.send(WRITE, handle + struct.pack(">Q", 0) + string(b"all of it"))
        raw.send(CLOSE, handle)
        transport.sock.shutdown(socket.SHUT_WR)  # a FIN after the last byte; a close could become a reset
        eventually(lambda: gone(site), what="the session's end")

        assert site.read("/a") == b"all of it"


class FullDisk(MemoryFilesystem):
    """A disk of 64 KiB."""

    def __init__(self) -> None:
        super().__init__(capacity=64 * 1024)


def test_a_failed_write_is_reported_and_never_committed(tmp_path: Path) -> None:
    """Asyncssh acknowledges short writes; here the WRITE fails, CLOSE fails, and the old file stays."""
    with serving_sftp(tmp_path, filesystem=FullDisk()) as site, site.transport() as transport:
        put(site, "/a", b"old")
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", NEW)
        codes = [raw.write(handle, offset * 16384, bytes(16384)) for offset in range(6)]
        closed = raw.close(handle)

        assert FAILURE in codes
        assert closed == FAILURE
        assert site.read("/a") == b"old"


def test_the_reason_of_a_failed_write_is_said_without_detail(tmp_path: Path) -> None:
    """The client reads the error class's public sentence."""
    with serving_sftp(tmp_path, filesystem=FullDisk()) as site, site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", NEW)
        text = raw.message(WRITE, handle + struct.pack(">Q", 200_000) + string(b"x"))

        assert text == NoSpace.public


def test_open_without_trunc_goes_on_with_the_file(site: SftpSite) -> None:
    """WRITE|CREAT (reput) keeps the bytes that are there; the rest is added at its offset."""
    put(site, "/a", b"first ")
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", F_WRITE | F_CREAT)
        raw.write(handle, 6, b"second")
        raw.close(handle)

        assert site.read("/a") == b"first second"


def test_append_ignores_the_offset(site: SftpSite) -> None:
    """APPEND writes at the end whatever offset comes with it."""
    put(site, "/a", b"first ")
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", F_WRITE | F_APPEND)
        raw.write(handle, 0, b"second")
        raw.close(handle)

        assert site.read("/a") == b"first second"


def test_read_and_write_changes_the_file_in_place(site: SftpSite) -> None:
    """READ|WRITE on a file that is there is random access, as sshfs does it."""
    put(site, "/a", b"0123456789")
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", F_READ | F_WRITE)
        raw.write(handle, 3, b"xyz")
        seen = raw.read(handle, 0, 100)
        raw.close(handle)

        assert seen == b"012xyz6789"
        assert site.read("/a") == b"012xyz6789"


def test_excl_and_missing_files(site: SftpSite) -> None:
    """EXCL refuses what is there; without CREAT nothing is made."""
    put(site, "/a", b"old")
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)

        assert raw.status(OPEN, string(b"/a") + struct.pack(">I", F_WRITE | F_CREAT | F_EXCL) + bytes(4)) == FAILURE
        assert raw.status(OPEN, string(b"/b") + struct.pack(">I", F_WRITE | F_TRUNC) + bytes(4)) == NO_SUCH_FILE
        assert raw.status(OPEN, string(b"/b") + struct.pack(">I", F_READ) + bytes(4)) == NO_SUCH_FILE
        assert site.names() == ["a"]


def test_a_file_in_flight_is_opened_by_its_upload(site: SftpSite) -> None:
    """A second handle to a file being uploaded sees its bytes, and the last CLOSE commits."""
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw, other = RawSftp(transport), RawSftp(transport)
        first = raw.open(b"/a", NEW)
        raw.write(first, 0, b"one")
        second = other.open(b"/a", F_WRITE)
        reading = raw.open(b"/a", F_READ)
        other.write(second, 3, b"two")
        assert raw.read(reading, 0, 100) == b"onetwo"
        assert raw.close(first) == OK
        assert site.names() == []
        assert other.close(second) == OK

        assert site.read("/a") == b"onetwo"
        assert raw.read(reading, 0, 100) == b"onetwo"


def test_a_dropped_handle_spoils_an_upload_that_another_still_writes(site: SftpSite) -> None:
    """If one of two channels goes away without CLOSE, the other's CLOSE is told so and nothing is committed."""
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw, other = RawSftp(transport), RawSftp(transport)
        first, second = raw.open(b"/a", NEW), other.open(b"/a", F_WRITE)
        raw.write(first, 0, b"one")
        other.write(second, 3, b"two")
        other.channel.close()
        eventually(other.channel.exit_status_ready, what="the other channel's end")

        answer, _ = raw.ask(CLOSE, first)
        assert answer == STATUS
        assert site.names() == []


def test_a_file_removed_while_it_is_uploaded_stays_away(site: SftpSite) -> None:
    """REMOVE of the own upload ends it; CLOSE then fails instead of bringing the file back."""
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", NEW)
        raw.write(handle, 0, b"one")

        assert raw.status(REMOVE, string(b"/a")) == OK
        assert raw.close(handle) == FAILURE
        assert site.names() == []
