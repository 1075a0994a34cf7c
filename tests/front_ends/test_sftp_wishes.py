"""What SFTP clients may ask for and do not get: modes, variables, news of what is outside."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from paramiko.common import cMSG_CHANNEL_REQUEST

from storage.files.local import LocalFilesystem
from tests.support.raw_sftp import EXTENDED, F_CREAT, F_WRITE, NAME, OK, REALPATH, RawSftp, string
from tests.support.sftp_site import NAME as USER
from tests.support.sftp_site import PASSWORD, SftpSite, serving_sftp

MKDIR, SETSTAT = 14, 9
PERMISSIONS = 4  # the flag in front of a mode among attributes


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def site(tmp_path: Path, home: Path) -> Iterator[SftpSite]:
    with serving_sftp(tmp_path, filesystem=LocalFilesystem(home)) as site:
        yield site


@pytest.fixture
def raw(site: SftpSite) -> Iterator[RawSftp]:
    with site.transport() as transport:
        transport.auth_password(USER, PASSWORD)
        yield RawSftp(transport)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_no_client_chooses_a_mode(raw: RawSftp, home: Path) -> None:
    """Neither OPEN, MKDIR nor SETSTAT sets set-uid, world-writable or any other bit (asyncssh obeys all three)."""
    mode = struct.pack(">II", PERMISSIONS, 0o6777)
    _, handle = raw.ask(3, string(b"/f") + struct.pack(">I", F_WRITE | F_CREAT) + mode)
    statuses = [
        raw.close(handle),
        raw.status(MKDIR, string(b"/d") + mode),
        raw.status(SETSTAT, string(b"/f") + mode),
        raw.status(SETSTAT, string(b"/d") + mode),
    ]

    assert statuses == [OK] * 4
    assert (mode_of(home / "f"), mode_of(home / "d")) == (0o600, 0o700)


def test_realpath_tells_nothing_of_the_outside(raw: RawSftp, home: Path) -> None:
    """The answer is the same whether a path, or what a link leads to, is there (asyncssh's chroot tells)."""
    (home / "there").symlink_to("/etc/passwd")
    (home / "gone").symlink_to("/etc/no-such-file")

    for path in (b"/there", b"/gone", b"/none"):
        assert raw.ask(REALPATH, string(path))[0] == NAME
    for path, inside in ((b"/../../etc/passwd", b"/etc/passwd"), (b"../none/..", b"/"), (b"/there/..", b"/")):
        answer, body = raw.ask(REALPATH, string(path))
        (length,) = struct.unpack(">I", body[4:8])
        assert (answer, body[8 : 8 + length]) == (NAME, inside)


def test_environment_variables_are_refused(site: SftpSite) -> None:
    """Asyncssh would keep any number of them for each channel."""
    with site.transport() as transport:
        transport.auth_password(USER, PASSWORD)
        channel = transport.open_session()
        request = paramiko.Message()
        request.add_byte(cMSG_CHANNEL_REQUEST)
        request.add_int(channel.remote_chanid)
        request.add_string("env")
        request.add_boolean(True)
        request.add_string("LD_PRELOAD")
        request.add_string("/tmp/evil.so")
        channel._event_pending()
        transport._send_user_message(request)

        with pytest.raises(paramiko.SSHException):
            channel._wait_for_event()


def test_fsync_reaches_the_disk(raw: RawSftp, monkeypatch: pytest.MonkeyPatch) -> None:
    """OK to fsync@openssh.com means that the bytes were synced, on a site that is not strict too."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    handle = raw.open(b"/f", F_WRITE | F_CREAT)
    raw.write(handle, 0, b"12345")

    assert raw.status(EXTENDED, string(b"fsync@openssh.com") + handle) == OK
    assert synced == [5]


def test_a_handle_on_an_empty_file_is_a_handle(raw: RawSftp) -> None:
    """Asyncssh asks for a handle's truth, so an object that counted its bytes would be "Invalid handle" when empty."""
    handle = raw.open(b"/empty", F_WRITE | F_CREAT)

    assert raw.status(10, handle + b"\0\0\0\0") == OK  # FSETSTAT of nothing
    assert raw.write(handle, 0, b"") == OK
    assert raw.close(handle) == OK
