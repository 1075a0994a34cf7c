"""Names and facts: CWD, RNTO, SIZE, MDTM, MFMT, AVBL, SITE CHMOD."""

from __future__ import annotations

from calendar import timegm
from datetime import UTC, datetime

from server.ftps.control import ControlBase
from server.ftps.listing import NANOSECONDS, timestamp
from storage.files.path import VirtualPath

TIMESTAMP = "%Y%m%d%H%M%S"
TIMESTAMP_LENGTH = 14
MODE_LENGTH = 4


class FileCommands(ControlBase):
    """Commands that pyftpdlib would answer from the host's disk, or with a reply that misleads."""

    def ftp_CWD(self, path: str) -> None:
        """Set where relative names start. pyftpdlib moves the whole process there and back."""
        self.fs.chdir(path)
        self.respond(f'250 "{_quoted(self.fs.cwd)}" is the current directory.')

    def ftp_SIZE(self, path: str) -> None:
        """Give a file's size, in both types, since both carry the same bytes."""
        facts = self.fs.facts(path)
        if facts.is_directory:
            self.respond("550 This is a directory.")
        else:
            self.respond(f"213 {facts.size}")

    def ftp_MLSD(self, path: str) -> None:
        """List a directory: a missing one is 550, which rclone needs to hear, a file 501 (RFC 3659 section 7.2.1)."""
        if self.fs.facts(path).is_directory:
            super().ftp_MLSD(path)
        else:
            self.respond("501 Not a directory.")

    def ftp_MDTM(self, path: str) -> None:
        """Give a file's time of modification, UTC (RFC 3659 section 3)."""
        facts = self.fs.facts(path)
        if facts.is_directory:
            self.respond("550 This is a directory.")
        else:
            self.respond(f"213 {timestamp(facts.modified_ns)}")

    def ftp_MFMT(self, path: str, timeval: str) -> None:
        """Set a file's time of modification, UTC (draft-somers-ftp-mfxx-04 section 3)."""
        whole, _, _fraction = timeval.partition(".")
        seconds = _read_timestamp(whole)
        if seconds is None:
            self.respond("501 The time has the form YYYYMMDDHHMMSS.")
            return
        self.fs.workspace.set_times(VirtualPath.parse(path), seconds * NANOSECONDS, None)
        self.respond(f"213 Modify={whole}; {path}")

    def ftp_AVBL(self, line: str) -> None:
        """Give the bytes that the user may still store at a directory (draft-peterson-streamlined-ftp)."""
        path = VirtualPath.parse(self.fs.ftp2fs(line or "."))
        self.respond(f"213 {self.fs.workspace.space(path).available}")

    def ftp_RMD(self, path: str) -> None:
        """Remove an empty directory."""
        self.fs.rmdir(path)
        self.respond("250 Directory removed.")

    def ftp_RNFR(self, path: str) -> None:
        """Name what is to be moved."""
        self._rnfr = None
        self.fs.facts(path)
        self._rnfr = path
        self.respond("350 Send the new name.")

    def ftp_SITE_CHMOD(self, path: str, mode: str) -> None:
        """Accept and change nothing, so that mirroring clients go on: rights are granted, not kept in modes."""
        if not (mode.isascii() and mode.isdecimal() and len(mode) <= MODE_LENGTH):
            self.respond("501 The mode has three or four octal digits.")
            return
        self.fs.chmod(path, int(mode, 10))
        self.respond("202 Modes are not kept here; nothing was changed.")


def _read_timestamp(text: str) -> int | None:
    if not (len(text) == TIMESTAMP_LENGTH and text.isascii() and text.isdecimal()):
        return None
    try:
        return timegm(datetime.strptime(text, TIMESTAMP).replace(tzinfo=UTC).timetuple())
    except ValueError:
        return None


def _quoted(path: str) -> str:
    return path.replace('"', '""')
