"""An SFTP worker's connections from sign-in to their end: cut, idle, drain."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from server.sftp.handles import FileHandle
from storage.files.api import Stat, WriteMode
from storage.files.memory import MemoryFilesystem
from storage.files.path import VirtualPath
from tests.support.raw_sftp import (
    CLOSE,
    EXTENDED,
    EXTENDED_REPLY,
    F_CREAT,
    F_READ,
    F_TRUNC,
    F_WRITE,
    FAILURE,
    OK,
    STAT,
    WRITE,
    RawSftp,
    string,
)
from tests.support.raw_sftp import (
    NAME as NAMES,
)
from tests.support.sftp_site import NAME, PASSWORD, SftpSite, serving_sftp
from tests.support.waiting import eventually

NEW = F_WRITE | F_CREAT | F_TRUNC


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SftpSite]:
    with serving_sftp(tmp_path) as site:
        yield site


def signed_in(site: SftpSite, transport: paramiko.Transport) -> RawSftp:
    transport.auth_password(NAME, PASSWORD)
    return RawSftp(transport)


def test_a_cut_drops_the_client_in_the_middle_of_an_upload(site: SftpSite) -> None:
    """Within a second the connection is gone, and nothing was committed."""
    with site.transport() as transport:
        raw = signed_in(site, transport)
        handle = raw.open(b"/a", NEW)
        raw.write(handle, 0, b"half")
        site.sign_in.sessions[0].revoke("user_disabled")
        took = eventually(lambda: not transport.is_active(), what="the cut")

        assert took < 1
        assert site.names() == []
        assert site.sign_in.sessions[0].ended == "user_disabled"


def test_a_cut_reaches_a_client_that_does_not_read(site: SftpSite) -> None:
    """Bytes that wait to be sent are not delivered to somebody who was cut off."""
    with site.filesystem.open_writer(VirtualPath.parse("/big"), WriteMode.REPLACE) as writer:
        writer.truncate(8 * 1024 * 1024)
        writer.commit()
    with site.transport() as transport:
        raw = signed_in(site, transport)
        handle = raw.open(b"/big", F_READ)
        for number in range(200):
            raw.send(5, handle + struct.pack(">QI", number * 32768, 262144))
        site.sign_in.sessions[0].revoke("user_disabled")

        assert eventually(lambda: not transport.is_active(), what="the cut") < 2
        eventually(site.sign_in.sessions[0].over.is_set, what="the session's end")


def test_the_session_ends_with_the_connection(site: SftpSite) -> None:
    """A client that goes away leaves no session."""
    with site.paramiko() as client:
        assert client.listdir("/") == []
    eventually(site.sign_in.sessions[0].over.is_set, what="the session's end")

    assert site.sign_in.sessions[0].ended == "disconnected"


def test_an_idle_connection_is_ended(tmp_path: Path) -> None:
    """Without any request for idle_timeout_s the server says goodbye; open uploads are aborted."""
    with serving_sftp(tmp_path, sftp={"idle_timeout_s": 0.5}) as site, site.transport() as transport:
        raw = signed_in(site, transport)
        handle = raw.open(b"/a", NEW)
        raw.write(handle, 0, b"half")

        assert eventually(lambda: not transport.is_active(), what="the goodbye") > 0.3
        eventually(site.sign_in.sessions[0].over.is_set, what="the session's end")
        assert site.names() == []


class SlowDisk(MemoryFilesystem):
    """A disk whose listing waits for a signal."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def stat(self, path: VirtualPath) -> Stat:
        if path.name == "slow":
            self.go_on.wait(20)
        return super().stat(path)


def test_a_long_request_is_not_idle(tmp_path: Path) -> None:
    """A client that waits for a slow answer is not sent away meanwhile."""
    disk = SlowDisk()
    site_settings = {"idle_timeout_s": 0.2}
    with serving_sftp(tmp_path, filesystem=disk, sftp=site_settings) as site, site.transport() as transport:
        raw = signed_in(site, transport)
        request = raw.send(STAT, string(b"/slow"))
        threading.Timer(0.8, disk.go_on.set).start()
        _, body = raw.receive()

        assert struct.unpack(">I", body[:4])[0] == request


def test_a_slow_backend_holds_up_its_own_session_only(tmp_path: Path) -> None:
    """Files go through threads, so that others are served meanwhile."""
    disk = SlowDisk()
    with serving_sftp(tmp_path, filesystem=disk) as site, site.transport() as transport:
        raw = signed_in(site, transport)
        raw.send(STAT, string(b"/slow"))
        with site.paramiko() as other:
            assert other.listdir("/") == []
        disk.go_on.set()
        raw.receive()


def test_a_drain_lets_a_running_upload_end(site: SftpSite) -> None:
    """Idle clients go at once, new ones are refused, and the upload is finished within the grace."""
    with site.transport() as busy, site.transport() as idle:
        raw = signed_in(site, busy)
        signed_in(site, idle)
        handle = raw.open(b"/a", NEW)
        raw.write(handle, 0, b"first ")
        site.drain(20)
        eventually(lambda: not idle.is_active(), what="the idle client's end")
        with pytest.raises((OSError, paramiko.SSHException)), site.transport():
            pass
        raw.write(handle, 6, b"second")

        assert raw.close(handle) == OK
        site.join()
        assert site.read("/a") == b"first second"


def test_a_drain_aborts_what_does_not_end_in_time(site: SftpSite) -> None:
    """After the grace the rest is cut, and nothing half-written is left."""
    with site.transport() as transport:
        raw = signed_in(site, transport)
        handle = raw.open(b"/a", NEW)
        raw.write(handle, 0, b"half")
        site.drain(0.3)
        site.join()

        assert not transport.is_active() or eventually(lambda: not transport.is_active(), what="the end") >= 0
        assert site.names() == []
        assert site.sign_in.sessions[0].over.is_set()


def test_one_handle_that_cannot_be_aborted_does_not_keep_the_others(
    site: SftpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asyncssh stops its clean-up at the first exception."""
    whole = FileHandle.abort
    tried: list[str] = []

    def abort(handle: FileHandle) -> None:
        tried.append(str(handle.path))
        if len(tried) == 1:
            raise RuntimeError
        whole(handle)

    monkeypatch.setattr(FileHandle, "abort", abort)
    with site.transport() as transport:
        raw = signed_in(site, transport)
        for path in (b"/a", b"/b", b"/c"):
            raw.write(raw.open(path, NEW), 0, b"half")
        raw.channel.shutdown_write()
        raw.channel.recv_exit_status()

        assert tried == ["/a", "/b", "/c"]
        assert site.sign_in.sessions[0].workspace.pending(VirtualPath.parse("/c")) is None


def test_copy_data_copies_on_the_server(site: SftpSite) -> None:
    """Between two handles; a file onto itself is refused instead of never ending."""
    with site.transport() as transport:
        raw = signed_in(site, transport)
        source = raw.open(b"/a", NEW)
        data = bytes(range(256)) * 12_000
        for offset in range(0, len(data), 65536):
            raw.write(source, offset, data[offset : offset + 65536])
        raw.close(source)
        reading, writing = raw.open(b"/a", F_READ), raw.open(b"/b", NEW)
        both = raw.open(b"/c", NEW | F_READ)

        assert raw.status(EXTENDED, string(b"copy-data") + reading + bytes(16) + writing + bytes(8)) == OK
        assert raw.status(EXTENDED, string(b"copy-data") + both + bytes(16) + both + bytes(8)) == FAILURE
        assert raw.close(writing) == OK
        assert site.read("/b") == data


def test_copy_data_leaves_others_their_turn(site: SftpSite) -> None:
    """Asyncssh copies a whole file in one go on the event loop; another client is served meanwhile."""
    with site.filesystem.open_writer(VirtualPath.parse("/big"), WriteMode.REPLACE) as writer:
        writer.truncate(300 * 1024 * 1024)
        writer.commit()
    with site.paramiko() as other, site.transport() as transport:
        raw = signed_in(site, transport)
        reading, writing = raw.open(b"/big", F_READ), raw.open(b"/copy", NEW)
        raw.send(EXTENDED, string(b"copy-data") + reading + bytes(16) + writing + bytes(8))
        worst = 0.0
        while not raw.channel.recv_ready():
            start = time.monotonic()
            other.listdir("/")
            worst = max(worst, time.monotonic() - start)
        raw.receive()

        assert 0 < worst < 5


@pytest.mark.parametrize("path", [b"~", b"~/", b"~ada"])
def test_home_is_the_root(site: SftpSite, path: bytes) -> None:
    """expand-path@openssh.com and home-directory know the own home only."""
    with site.transport() as transport:
        raw = signed_in(site, transport)
        answer, body = raw.ask(EXTENDED, string(b"expand-path@openssh.com") + string(path))

        assert answer == NAMES
        assert body[4:9] == string(b"/")
        assert raw.ask(EXTENDED, string(b"home-directory") + string(b"ada"))[1][4:9] == string(b"/")
        assert raw.ask(EXTENDED, string(b"expand-path@openssh.com") + string(b"~root"))[0] != NAMES


def test_statvfs_answers_for_the_mount(site: SftpSite) -> None:
    """Eleven 64-bit numbers, the block size first."""
    with site.transport() as transport:
        raw = signed_in(site, transport)
        answer, body = raw.ask(EXTENDED, string(b"statvfs@openssh.com") + string(b"/"))

        assert answer == EXTENDED_REPLY
        assert len(body) == 88
        assert struct.unpack(">Q", body[:8])[0] == 4096


def test_requests_are_answered_in_order(site: SftpSite) -> None:
    """A pipelined WRITE, CLOSE and STAT see each other's effect."""
    with site.transport() as transport:
        raw = signed_in(site, transport)
        handle = raw.open(b"/a", NEW)
        sent = [
            raw.send(WRITE, handle + struct.pack(">Q", 0) + string(b"12345")),
            raw.send(CLOSE, handle),
            raw.send(STAT, string(b"/a")),
        ]
        answers = [raw.receive() for _ in sent]

        assert [struct.unpack(">I", body[:4])[0] for _, body in answers] == sent
        assert struct.unpack(">Q", answers[2][1][8:16])[0] == 5
