"""Between the core's facts about files and SFTP's attributes (draft-ietf-secsh-filexfer-02 section 5)."""

from __future__ import annotations

import stat as modes
import time
from dataclasses import dataclass
from typing import Final

from asyncssh import constants
from asyncssh.sftp import SFTPAttrs, SFTPName, SFTPVFSAttrs

from storage.files.api import Entry, Space, Stat
from storage.files.path import MAX_NAME_BYTES

# Files have no owner and no mode of their own here: rights come from grants. Clients want numbers.
DIRECTORY_MODE: Final = modes.S_IFDIR | 0o755
FILE_MODE: Final = modes.S_IFREG | 0o644
LINK_MODE: Final = modes.S_IFLNK | 0o777
OWNER: Final = 0

_SECOND: Final = 1_000_000_000
_LAST_SECOND: Final = 0xFFFFFFFF  # times are unsigned 32-bit seconds in v3
_HALF_YEAR_S: Final = 365 * 86400 // 2
_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class Changes:
    """What a SETSTAT asks for that is done here; None leaves it as it is."""

    size: int | None = None
    modified_ns: int | None = None
    accessed_ns: int | None = None

    @property
    def has_times(self) -> bool:
        """Whether a time is to be set."""
        return self.modified_ns is not None or self.accessed_ns is not None


def to_attrs(stat: Stat) -> SFTPAttrs:
    """Give the attributes of one file or directory."""
    return SFTPAttrs(
        type=constants.FILEXFER_TYPE_DIRECTORY if stat.is_directory else constants.FILEXFER_TYPE_REGULAR,
        size=stat.size,
        uid=OWNER,
        gid=OWNER,
        permissions=DIRECTORY_MODE if stat.is_directory else FILE_MODE,
        atime=_seconds(stat.accessed_ns),
        mtime=_seconds(stat.modified_ns),
        nlink=stat.links,
    )


def to_link_attrs(stat: Stat, text: str) -> SFTPAttrs:
    """Give the attributes of a symbolic link itself; ``stat`` is of what it leads to, and so are its times."""
    attrs = to_attrs(stat)
    attrs.type = constants.FILEXFER_TYPE_SYMLINK
    attrs.permissions = LINK_MODE
    attrs.size = len(text.encode())
    attrs.nlink = 1
    return attrs


def to_changes(attrs: SFTPAttrs) -> Changes:
    """Read a SETSTAT. Owner, group and mode are ignored, with success, as clients set them unasked."""
    return Changes(
        size=attrs.size,
        modified_ns=None if attrs.mtime is None else attrs.mtime * _SECOND,
        accessed_ns=None if attrs.atime is None else attrs.atime * _SECOND,
    )


def to_name(entry: Entry, owner: str, now: float, *, link_text: str | None = None) -> SFTPName:
    """Give one line of a listing; ``link_text`` if the entry is to be shown as the link that it is."""
    attrs = to_attrs(entry.stat) if link_text is None else to_link_attrs(entry.stat, link_text)
    filename = entry.name.encode()
    name = SFTPName(filename, attrs=attrs)
    name.longname = longname(attrs, filename, owner, now)
    return name


def longname(attrs: SFTPAttrs, filename: bytes, owner: str, now: float) -> bytes:
    """Write the line that ``ls -l`` would, which some clients parse; no user database is asked."""
    mode = modes.filemode(attrs.permissions or 0)
    mtime = attrs.mtime or 0
    recent = now - _HALF_YEAR_S < mtime <= now
    moment = time.strftime("%b %e %H:%M" if recent else "%b %e  %Y", time.gmtime(mtime))
    name = owner.replace(" ", "_")
    return f"{mode} {attrs.nlink or 1:>4} {name:<8} {name:<8} {attrs.size or 0:>8} {moment:<12} ".encode() + filename


def to_vfs_attrs(space: Space) -> SFTPVFSAttrs:
    """Give what statvfs@openssh.com answers, in blocks of 4 KiB; inodes are not counted here."""
    return SFTPVFSAttrs(
        bsize=_BLOCK,
        frsize=_BLOCK,
        blocks=space.total // _BLOCK,
        bfree=max(0, space.total - space.used) // _BLOCK,
        bavail=space.available // _BLOCK,
        files=0,
        ffree=0,
        favail=0,
        fsid=0,
        flags=0,
        namemax=MAX_NAME_BYTES,
    )


def _seconds(nanoseconds: int) -> int:
    return min(max(nanoseconds // _SECOND, 0), _LAST_SECOND)
