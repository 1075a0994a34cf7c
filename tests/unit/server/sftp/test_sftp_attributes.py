"""Attributes between the core and SFTP."""

from __future__ import annotations

import stat as modes

import pytest
from asyncssh.packet import SSHPacket
from asyncssh.sftp import SFTPAttrs

from server.sftp.attributes import Changes, to_attrs, to_changes, to_name, to_vfs_attrs
from storage.files.api import Entry, Kind, Space, Stat

NOW = 1_700_000_000
SECOND = 1_000_000_000


def facts(kind: Kind = Kind.FILE, size: int = 5, modified_s: int = NOW) -> Stat:
    return Stat(kind, size, modified_s * SECOND + 999, NOW * SECOND, NOW * SECOND, "v", "i", 2)


@pytest.mark.parametrize(("kind", "check"), [(Kind.FILE, modes.S_ISREG), (Kind.DIRECTORY, modes.S_ISDIR)])
def test_a_stat_survives_the_wire(kind: Kind, check: object) -> None:
    """Size, times and kind as a v3 client decodes them."""
    attrs = SFTPAttrs.decode(SSHPacket(to_attrs(facts(kind)).encode(3)), 3)

    assert (attrs.size, attrs.mtime, attrs.atime) == (5, NOW, NOW)
    assert check(attrs.permissions)


@pytest.mark.parametrize(("seconds", "sent"), [(-5, 0), (2**40, 2**32 - 1)])
def test_times_that_the_wire_cannot_hold_are_clamped(seconds: int, sent: int) -> None:
    """Before 1970 and after 2106."""
    attrs = SFTPAttrs.decode(SSHPacket(to_attrs(facts(modified_s=seconds)).encode(3)), 3)

    assert attrs.mtime == sent


def test_owner_and_mode_are_ignored() -> None:
    """Clients set them unasked; nothing of it may reach a file (set-uid, world-writable)."""
    assert to_changes(SFTPAttrs(uid=0, gid=0, permissions=0o6777)) == Changes()


def test_size_and_times_are_taken() -> None:
    """Whole seconds become nanoseconds."""
    assert to_changes(SFTPAttrs(size=7, atime=1, mtime=2)) == Changes(7, 2 * SECOND, SECOND)


@pytest.mark.parametrize(
    ("modified_s", "moment"),
    [(NOW - 60, "Nov 14 22:12"), (NOW - 86400 * 365, "Nov 14  2022"), (NOW + 86400, "Nov 15  2023")],
)  # fmt: skip
def test_the_long_name_is_as_ls_writes_it(modified_s: int, moment: str) -> None:
    """Recent times with hour and minute, others with the year."""
    name = to_name(Entry("f ü", facts(modified_s=modified_s)), "ada", NOW)

    assert name.longname == f"-rw-r--r--    2 ada      ada             5 {moment} f ü".encode()


def test_space_is_counted_in_blocks() -> None:
    """A quota that is used up has nothing free, not less than nothing."""
    attrs = to_vfs_attrs(Space(total=40960, used=81920, available=0))

    assert (attrs.frsize, attrs.blocks, attrs.bfree, attrs.bavail) == (4096, 10, 0, 0)
