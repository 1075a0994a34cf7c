"""SFTP against clients that want too much: memory, time, places, handles."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import psutil
import pytest

from server.sftp.handler import SftpHandler
from server.sftp.limits import MAX_PACKET, MAX_READ, MAX_UNAUTHENTICATED_INPUT
from storage.files.api import Stat, WriteMode
from storage.files.errors import StorageError
from storage.files.local import LocalFilesystem
from storage.files.memory import MemoryFilesystem
from storage.files.path import VirtualPath
from tests.support.raw_sftp import (
    BAD_MESSAGE,
    DATA,
    EOF,
    EXTENDED,
    EXTENDED_REPLY,
    F_CREAT,
    F_READ,
    F_TRUNC,
    F_WRITE,
    FAILURE,
    HANDLE,
    INIT,
    NO_SUCH_FILE,
    OK,
    OPEN,
    OPENDIR,
    PERMISSION_DENIED,
    READ,
    READDIR,
    REALPATH,
    STAT,
    UNSUPPORTED,
    WRITE,
    RawSftp,
    string,
)
from tests.support.sftp_site import NAME, PASSWORD, SftpSite, serving_sftp
from tests.support.waiting import eventually

NEW = F_WRITE | F_CREAT | F_TRUNC
MIB = 1024 * 1024


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SftpSite]:
    with serving_sftp(tmp_path, files={"max_open_files": 20}) as site:
        yield site


@pytest.fixture
def raw(site: SftpSite) -> Iterator[RawSftp]:
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        yield RawSftp(transport)


def put(site: SftpSite, path: str, size: int) -> None:
    with site.filesystem.open_writer(VirtualPath.parse(path), WriteMode.REPLACE) as writer:
        writer.truncate(size)
        writer.commit()


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_the_read_length_is_clamped(site: SftpSite, raw: RawSftp) -> None:
    """A 25-byte request for 4 GiB gives at most 256 KiB (asyncssh would read all of it at once)."""
    put(site, "/big", 8 * MIB)
    handle = raw.open(b"/big", F_READ)
    answer, data = raw.ask(READ, handle + struct.pack(">QI", 0, 0xFFFFFFFF))

    assert answer == DATA
    assert len(data) - 4 == MAX_READ


def test_reads_that_nobody_takes_do_not_pile_up(site: SftpSite) -> None:
    """600 READs with an endless window and a socket that is not read: memory stays, and requests wait."""
    put(site, "/big", 4 * MIB)
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        transport.packetizer.REKEY_BYTES = 2**40
        channel = transport.open_session(window_size=2**31 - 1)
        channel.settimeout(20)
        channel.invoke_subsystem("sftp")
        channel.sendall(struct.pack(">IBI", 5, INIT, 3))
        channel.recv(4096)
        channel.sendall(struct.pack(">IBI", 17 + 4, OPEN, 1) + string(b"/big") + struct.pack(">II", F_READ, 0))
        handle = channel.recv(4096)[9:]
        before = resident()
        gate = threading.Event()
        transport.packetizer.read_message = _never_reading(gate)  # type: ignore[method-assign]  # the client stops
        for number in range(600):
            body = struct.pack(">BI", READ, number + 2) + handle + struct.pack(">QI", 0, MIB)
            channel.sendall(struct.pack(">I", len(body)) + body)
        session = site.sign_in.sessions[0]
        given = _settled(lambda: _given(session))
        grown = resident() - before
        gate.set()

        assert given < 600 * MAX_READ / 4
        assert grown < 64 * MIB


def _never_reading(gate: threading.Event) -> object:
    def read_message() -> object:
        gate.wait(60)
        raise EOFError

    return read_message


def _given(session: object) -> int:
    readers = session.workspace._state._readers
    return sum(reader.given for reader in readers)


def _settled(value: object) -> int:
    """Wait until a number no longer changes."""
    pause = threading.Event()
    last, same = -1, 0
    while same < 10:
        now = value()
        same = same + 1 if now == last and now > 0 else 0
        last = now
        pause.wait(0.05)
    return last


def test_the_back_pressure_override_is_in_effect() -> None:
    """The handler's own packet method is the one that runs (asyncssh could rename it)."""
    assert "_process_packet" in vars(SftpHandler)
    assert "recv_packet" in vars(SftpHandler)
    assert SftpHandler._packet_handlers[OPEN].__qualname__.startswith("_guarded")


def test_a_packet_that_is_too_long_ends_the_channel(raw: RawSftp) -> None:
    """The announced length is refused before any of it is kept; asyncssh takes 4 MiB."""
    raw.channel.sendall(struct.pack(">I", MAX_PACKET + 1))

    assert raw.channel.recv_exit_status() == 1


def test_limits_say_what_is_enforced(raw: RawSftp) -> None:
    """limits@openssh.com: packet, read, write, handles."""
    answer, body = raw.ask(EXTENDED, string(b"limits@openssh.com"))

    assert answer == EXTENDED_REPLY
    assert struct.unpack(">QQQQ", body) == (MAX_PACKET, MAX_READ, 256 * 1024, 20)


@pytest.mark.parametrize("kind", [OPEN, OPENDIR])
def test_handles_are_limited(site: SftpSite, raw: RawSftp, kind: int) -> None:
    """Files and directories alike, over all channels of the session, and closing one makes room."""
    put(site, "/a", 1)
    body = string(b"/a") + struct.pack(">I", F_READ) + bytes(4) if kind == OPEN else string(b"/")
    handles = []
    while (answer := raw.ask(kind, body))[0] == HANDLE:
        handles.append(answer[1])
    other = RawSftp(raw.channel.get_transport())

    assert len(handles) == 20
    assert other.status(kind, body) == FAILURE
    assert raw.close(handles[0]) == OK
    assert raw.ask(kind, body)[0] == HANDLE


def test_channels_are_limited(tmp_path: Path) -> None:
    """max_sessions_per_connection; one that closes makes room."""
    with serving_sftp(tmp_path, sftp={"max_sessions_per_connection": 3}) as site, site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        channels = [RawSftp(transport) for _ in range(3)]
        with pytest.raises(paramiko.ChannelException):
            transport.open_session()
        channels[0].channel.close()

        eventually(lambda: _opens(transport), what="room for another channel")


def _opens(transport: paramiko.Transport) -> bool:
    try:
        transport.open_session().close()
    except paramiko.ChannelException:
        return False
    return True


def test_silent_connections_are_limited(tmp_path: Path) -> None:
    """Beyond the limit a connection is closed at once; one that leaves makes room."""
    with serving_sftp(tmp_path, sftp={"max_unauthenticated_per_network": 5}) as site:
        silent = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(5)]
        assert all(one.recv(64).startswith(b"SSH-2.0-") for one in silent)
        with socket.create_connection(("127.0.0.1", site.port)) as extra:
            assert extra.recv(64) == b""
        silent[0].close()

        eventually(lambda: _is_greeted(site), what="room for another connection")
        for one in silent:
            one.close()


def _is_greeted(site: SftpSite) -> bool:
    with socket.create_connection(("127.0.0.1", site.port)) as one:
        return one.recv(64) != b""


def test_signed_in_connections_do_not_count_as_silent(tmp_path: Path) -> None:
    """The gate is left at sign-in."""
    with (
        serving_sftp(tmp_path, sftp={"max_unauthenticated_per_network": 1}) as site,
        site.paramiko() as first,
        site.paramiko() as second,
    ):
        assert first.listdir("/") == second.listdir("/") == []


def test_the_version_names_no_library(site: SftpSite) -> None:
    """Nothing to look an advisory up with."""
    with socket.create_connection(("127.0.0.1", site.port)) as one:
        assert one.recv(255) == b"SSH-2.0-Quaymaster\r\n"


def test_unauthenticated_input_is_bounded(site: SftpSite) -> None:
    """Bytes that pile up while an attempt is being checked end the connection at 1 MiB."""
    site.sign_in.hold = threading.Event()
    with site.transport() as transport:
        start = threading.Thread(target=_try_password, args=(transport,))
        start.start()
        assert site.sign_in.arrived.acquire(timeout=20)
        junk = struct.pack(">I", 200_000) + bytes(MAX_UNAUTHENTICATED_INPUT // 4)
        with pytest.raises(OSError, match=r"."):
            transport.sock.sendall(junk * 200)
        site.sign_in.hold.set()
        start.join(20)

        assert not start.is_alive()


def _try_password(transport: paramiko.Transport) -> None:
    try:
        transport.auth_password(NAME, PASSWORD, fallback=False)
    except (paramiko.SSHException, EOFError, OSError):
        return


def test_compression_is_off(site: SftpSite) -> None:
    """zlib@openssh.com has no limit on what it inflates in asyncssh; only "none" is offered."""
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)

        assert transport.remote_compression == transport.local_compression == "none"
        with paramiko.Transport(("127.0.0.1", site.port)) as other:
            other.get_security_options().compression = ("zlib@openssh.com",)
            with pytest.raises(paramiko.SSHException):
                other.start_client(timeout=20)


@pytest.mark.parametrize(
    "path",
    [b"../../../etc/passwd", b"/../../etc/passwd", b"/etc/passwd", b"//etc//passwd", b"/./.././etc/passwd"],
)
def test_nothing_outside_the_root_is_reached(tmp_path: Path, path: bytes) -> None:
    """Dots never climb, and absolute paths begin at the session's root."""
    home = tmp_path / "home"
    home.mkdir()
    with serving_sftp(tmp_path, filesystem=LocalFilesystem(home)) as site, site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)

        assert raw.status(STAT, string(path)) == NO_SUCH_FILE
        assert raw.status(OPEN, string(path) + struct.pack(">I", F_READ) + bytes(4)) == NO_SUCH_FILE


def test_a_link_that_is_renamed_does_not_lead_outside(tmp_path: Path) -> None:
    """Asyncssh's chroot is left by symlink and rename; here a link that the host planted leads nowhere."""
    home = tmp_path / "home"
    (home / "a" / "b").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (home / "a" / "b" / "l").symlink_to("../../..")
    with serving_sftp(tmp_path, filesystem=LocalFilesystem(home)) as site, site.paramiko() as client:
        with pytest.raises(OSError, match=r"."):
            client.open("/a/b/l/secret")
        with contextlib.suppress(OSError):
            client.rename("/a/b/l", "/l")
        with pytest.raises(OSError, match=r"."):
            client.open("/l/secret")
        with pytest.raises(OSError, match=r"."):
            client.listdir("/l")
        with pytest.raises(OSError, match=r"."):
            client.symlink("../../..", "/made")


@pytest.mark.parametrize("path", [b"/\xff\xfe", b"/a\0b", b"/" + b"x" * 300, b"/" + b"y/" * 3000 + b"z"])
def test_a_name_that_is_none_fails_that_request_only(raw: RawSftp, path: bytes) -> None:
    """Not UTF-8, NUL, too long: FAILURE, and the session goes on."""
    assert raw.status(OPEN, string(path) + struct.pack(">I", NEW) + bytes(4)) == FAILURE
    assert raw.status(REALPATH, string(path)) == FAILURE
    assert raw.status(STAT, string(b"/none")) == NO_SUCH_FILE


def test_a_name_on_the_disk_that_is_no_text_does_not_harm_the_listing(tmp_path: Path) -> None:
    """What cannot be named is left out, the rest is listed."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "good").write_text("x")
    (Path(str(home)) / b"bad\xff".decode("utf-8", "surrogateescape")).write_text("x")
    with serving_sftp(tmp_path, filesystem=LocalFilesystem(home)) as site, site.paramiko() as client:
        assert client.listdir("/") == ["good"]


class Broken(MemoryFilesystem):
    """A backend with a bug."""

    def stat(self, path: VirtualPath) -> Stat:
        if path.name == "bug":
            raise RuntimeError("secret /real/path")
        return super().stat(path)


def test_an_unexpected_error_says_nothing(tmp_path: Path) -> None:
    """Asyncssh sends "Uncaught exception: ..." with the text; the client gets the general sentence."""
    with serving_sftp(tmp_path, filesystem=Broken()) as site, site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport)

        assert raw.message(STAT, string(b"/bug")) == StorageError.public
        assert raw.status(STAT, string(b"/none")) == NO_SUCH_FILE


def test_malformed_and_unknown_requests_fail_alone(raw: RawSftp) -> None:
    """A short packet is BAD_MESSAGE; unknown requests, and those of other versions, are UNSUPPORTED."""
    assert raw.status(OPEN, b"\0\0\0\x09abc") == BAD_MESSAGE
    assert raw.status(99, b"") == UNSUPPORTED
    assert raw.status(21, string(b"a") + string(b"b") + b"\0") == UNSUPPORTED
    assert raw.status(EXTENDED, string(b"ranges@asyncssh.com") + string(bytes(4)) + bytes(16)) == UNSUPPORTED
    assert raw.status(READ, string(b"none") + struct.pack(">QI", 0, 10)) == FAILURE
    assert raw.status(STAT, string(b"/none")) == NO_SUCH_FILE


def test_offsets_that_no_file_has(site: SftpSite, raw: RawSftp) -> None:
    """2**64-1 is the end of the file for a READ and an error for a WRITE."""
    put(site, "/a", 10)
    reading, writing = raw.open(b"/a", F_READ), raw.open(b"/b", NEW)

    assert raw.status(READ, reading + struct.pack(">QI", 2**64 - 1, 10)) == EOF
    assert raw.status(WRITE, writing + struct.pack(">Q", 2**64 - 1) + string(b"x")) == FAILURE


def test_an_older_version_is_not_served(site: SftpSite) -> None:
    """Asyncssh would go on with version 0 in a layout of its own."""
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD)
        raw = RawSftp(transport, version=2)

        assert raw.channel.recv_exit_status() == 1


def test_handles_are_checked_for_what_they_were_opened_for(site: SftpSite, raw: RawSftp) -> None:
    """A reading handle does not write, and a writing one does not read."""
    put(site, "/a", 10)

    assert raw.write(raw.open(b"/a", F_READ), 0, b"x") == PERMISSION_DENIED
    assert raw.status(READ, raw.open(b"/b", NEW) + struct.pack(">QI", 0, 1)) == PERMISSION_DENIED


def test_listing_comes_in_batches_and_ends(site: SftpSite, raw: RawSftp) -> None:
    """1,000 names are all given once, with "." and "..", then EOF."""
    for number in range(1000):
        put(site, f"/f{number:04}", 0)
    _, handle = raw.ask(OPENDIR, string(b"/"))
    total = 0
    while (answer := raw.ask(READDIR, handle))[0] == 104:
        total += struct.unpack(">I", answer[1][:4])[0]

    assert total == 1002
    assert struct.unpack(">I", answer[1][:4])[0] == EOF


def test_opening_a_directory_that_is_none_fails_at_once(site: SftpSite, raw: RawSftp) -> None:
    """OPENDIR says it, not the first READDIR."""
    put(site, "/a", 1)

    assert raw.status(OPENDIR, string(b"/none")) == NO_SUCH_FILE
    assert raw.status(OPENDIR, string(b"/a")) == NO_SUCH_FILE
